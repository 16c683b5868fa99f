import asyncio
from collections.abc import Awaitable, Callable

import pytest

from watchnext.recommend.http_pool import HttpError, HttpPool

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def post(url: str, *, times: int = 1) -> list[tuple[int, bytes]]:
    """What `times` posts in turn get."""
    pool = HttpPool(2)
    try:
        return [await pool.post(url, b"body", {"x-name": "value"}) for _ in range(times)]
    finally:
        await pool.close()


async def posted(serve: Server, *, times: int = 1) -> list[tuple[int, bytes]]:
    """What they get from a server that handles each connection with `serve`."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        return await post(f"http://{host}:{port}/x", times=times)


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of a request on a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.lower(), await reader.readexactly(4)


def test_status_and_body_come_back_over_one_kept_connection():
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            head, body = await request(reader)
            assert head.startswith(b"post /x")
            assert b"x-name: value" in head
            assert body == b"body"
            writer.write(b"HTTP/1.1 507 Full\r\ncontent-length: 4\r\n\r\nlate")
        await writer.drain()
        writer.close()

    assert asyncio.run(posted(serve, times=2)) == [(507, b"late")] * 2
    assert connections == 1


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut", b"no HTTP\r\n\r\n"])
def test_a_server_that_hangs_up_or_talks_nonsense_is_one_error(answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    with pytest.raises(HttpError):
        asyncio.run(posted(serve))


def test_nobody_listening_is_the_same_error():
    with pytest.raises(HttpError, match=r"127\.0\.0\.1:1"):
        asyncio.run(post("http://127.0.0.1:1"))
