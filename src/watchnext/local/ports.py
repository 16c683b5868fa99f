"""Who holds a port of this machine."""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from watchnext.errors import ConfigError, ServerError
from watchnext.local.probes import LOOPBACK
from watchnext.local.processes import SERVER_MARK, marked_pids
from watchnext.local.servers import Server

_FIRST_FREE: Final = 1024  # below it a user may not listen


def port_is_free(port: int) -> bool:
    """Can a server listen on `port` of loopback?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
        return True


def port_holder(port: int) -> str:
    """The process that listens on `port`, in words."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            with suppress(psutil.Error):  # it has ended meanwhile
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())
                return f"process {connection.pid} ({command[:80] or process.name()})"
    return "root alone" if port < _FIRST_FREE else "a process of another user"


def check_distinct(servers: Iterable[Server]) -> None:
    """Sees that no two servers want the same port.

    Raises:
        ConfigError: two do; the message names both and their settings.
    """
    wanted: dict[int, str] = {}
    for server in servers:
        for port in server.ports:
            ours = f"{server.name} ({port.setting or 'fixed'})"
            other = wanted.setdefault(port.number, ours)
            if other != ours:
                raise ConfigError(f"port {port.number} is that of {other} and of {ours}: set another for one of them")


def check_ports(server: Server, pid_file: Path | None = None) -> None:
    """Sees that the ports of a server that is to be started are free; `pid_file` is where it records itself.

    Raises:
        ServerError: one is not; the message names who has it and what mends it.
    """
    for port in server.ports:
        if not port_is_free(port.number):
            if pid_file and marked_pids(SERVER_MARK, str(pid_file)):
                mend = f"{pid_file} was lost while it ran: `watchnext down --only {server.name}` ends it"
            elif port.setting:
                mend = f"set {port.setting} (WATCHNEXT_{port.setting.upper().replace('.', '__')})"
            else:
                mend = "KServe's router listens there always: stop that process"
            raise ServerError(f"{server.name} needs port {port.number}, which {port_holder(port.number)} holds: {mend}")
