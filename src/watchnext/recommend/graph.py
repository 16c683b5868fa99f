"""The inference graph as its callers see it: a request in, an answer out, over the router's one address."""

import httpx

from watchnext.contracts.api import RecommendAnswer, RecommendRequest, decode_answer, encode
from watchnext.errors import GraphError, RequestError

HEADERS = {"content-type": "application/json"}


class Graph:
    """Asks the graph. The caller bounds the time."""

    def __init__(self, url: str, *, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._url = url
        self._client = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)

    async def ask(self, request: RecommendRequest) -> RecommendAnswer:
        """The graph's answer.

        Raises:
            RequestError: the graph refused the request.
            GraphError: the graph is down or a step failed.
        """
        try:
            response = await self._client.post(self._url, content=encode(request), headers=HEADERS)
        except httpx.HTTPError as error:
            raise GraphError(f"the graph at {self._url} cannot be reached: {type(error).__name__} {error}") from error
        return read_answer(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def read_answer(response: httpx.Response) -> RecommendAnswer:
    """The answer in a response of the graph.

    Raises:
        RequestError: 400: the graph refused the request.
        GraphError: any other status, or no answer in the body.
    """
    if response.status_code == httpx.codes.BAD_REQUEST:
        raise RequestError(response.text[:500])
    if response.status_code != httpx.codes.OK:
        raise GraphError(f"the graph answered {response.status_code}: {response.text[:300]}")
    try:
        return decode_answer(response.content)
    except RequestError as error:
        raise GraphError(str(error)) from error
