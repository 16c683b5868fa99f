import httpx
import pytest

from watchnext.contracts.api import RecommendRequest
from watchnext.errors import ConfigError, GatewayError
from watchnext.recommend import client
from watchnext.settings import Gateway, Settings


def test_another_server_on_the_gateways_port_is_no_fault_of_the_request(monkeypatch: pytest.MonkeyPatch):
    def post(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, text="<html>", request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)

    with pytest.raises(GatewayError, match="is no gateway of this release"):
        client.ask_rest(Settings(), RecommendRequest(user_id="u"))


def test_an_address_that_is_no_url_is_a_wrong_setting():
    settings = Settings(gateway=Gateway(host="é..", graph_url="http://[::1"))

    with pytest.raises(ConfigError, match=r"setting gateway\.host = 'é\.\.' makes no URL"):
        client.ask_rest(settings, RecommendRequest(user_id="u"))
    with pytest.raises(ConfigError, match=r"setting gateway\.graph_url = 'http://\[::1' is no URL"):
        client.ask_graph(settings, RecommendRequest(user_id="u"))


def test_a_gateway_on_ipv6_has_an_address():
    assert client.rest_url(Settings(gateway=Gateway(host="::1"))) == "http://[::1]:18000"
    with pytest.raises(GatewayError, match=r"the gateway at \[::1\]:1 \(gRPC\) cannot be reached"):
        client.grpc_health(Settings(gateway=Gateway(host="::1", grpc_port=1)))
