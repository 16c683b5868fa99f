"""The inference graph as its callers see it: a request in, an answer out, over the router's one address."""

from http import HTTPStatus
from typing import Final

from watchnext.contracts.api import RecommendAnswer, RecommendRequest, decode_answer, encode
from watchnext.errors import GraphError, RequestError
from watchnext.recommend.http_pool import HttpError, HttpPool

HEADERS: Final = {"content-type": "application/json"}


class Graph:
    """Asks the graph. The caller bounds the time."""

    def __init__(self, url: str, *, connections: int) -> None:
        self._url = url
        self._pool = HttpPool(connections)

    async def ask(self, request: RecommendRequest) -> RecommendAnswer:
        """The graph's answer.

        Raises:
            RequestError: the graph refused the request.
            GraphError: the graph is down or a step failed.
        """
        try:
            status, body = await self._pool.post(self._url, encode(request), HEADERS)
        except HttpError as error:
            raise GraphError(f"the graph at {self._url} cannot be reached: {error}") from error
        return read_answer(status, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


def read_answer(status: int, body: bytes) -> RecommendAnswer:
    """The answer in a response of the graph.

    Raises:
        RequestError: 400: the graph refused the request.
        GraphError: any other status, or no answer in the body.
    """
    if status == HTTPStatus.BAD_REQUEST:
        raise RequestError(body.decode(errors="replace")[:500])
    if status != HTTPStatus.OK:
        raise GraphError(f"the graph answered {status}: {body.decode(errors='replace')[:300]}")
    try:
        return decode_answer(body)
    except RequestError as error:
        raise GraphError(f"the graph answered 200: {error}") from error
