import httpx
import pytest

from watchnext.contracts.api import RecommendRequest
from watchnext.errors import GatewayError
from watchnext.recommend import client
from watchnext.settings import Settings


def test_another_server_on_the_gateways_port_is_no_fault_of_the_request(monkeypatch: pytest.MonkeyPatch):
    def post(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, text="<html>", request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)

    with pytest.raises(GatewayError, match="is no gateway of this release"):
        client.ask_rest(Settings(), RecommendRequest(user_id="u"))
