"""The gateway alone, without graph, generation or static list, first without Kafka and then with it."""

from pathlib import Path

from tests.services.conftest import private_settings
from tests.services.counters import settled
from watchnext.contracts.api import RecommendRequest
from watchnext.local import supervisor
from watchnext.recommend.client import ask_rest


def test_lists_wait_for_a_kafka_that_starts_after_the_gateway(tmp_path: Path):
    from watchnext.stream.topics import ensure_topics

    settings = private_settings(tmp_path, gateway={"graph_url": "http://127.0.0.1:9"})  # nobody listens there
    request = RecommendRequest(user_id="ann", k=3)
    with supervisor.running(settings, ["gateway"]):
        answer = ask_rest(settings, request)
        assert (answer.degraded, answer.items) == (["graph"], [])
        with supervisor.running(settings, ["kafka"]):
            ensure_topics(settings)
            ask_rest(settings, request)
            assert settled(settings, 2) == (2, 0)
