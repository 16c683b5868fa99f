"""Questions to a server over loopback, each answered yes or no within a second. Standard library only."""

import http.client
import socket
import struct
from typing import Final

TIMEOUT_SECONDS: Final = 1.0
LOOPBACK: Final = "127.0.0.1"
_METADATA_REQUEST: Final = struct.pack(">hhih i", 3, 1, 1, -1, 0)  # api 3 (Metadata) version 1, no client id, no topics


def http_ok(port: int, path: str) -> bool:
    """Does GET `path` answer 200?"""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def valkey_answers(port: int) -> bool:
    """Does Valkey answer PING? Not while it still loads its file."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def kafka_answers(port: int) -> bool:
    """Does the broker answer a Metadata request with at least one live broker (itself)?

    The port opens before the broker is unfenced, so an open port is not enough.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
            head = b""  # length, correlation id, number of brokers: 4 bytes each
            while len(head) < 12:
                part = connection.recv(12 - len(head))
                if not part:
                    return False
                head += part
            brokers: int = struct.unpack(">iii", head)[2]
            return brokers > 0
    except OSError:
        return False
