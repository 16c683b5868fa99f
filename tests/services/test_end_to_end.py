"""The main job on real parts: a simulated world's events, a trained generation, answers, and the loop back.

One stack, one small training; every test asks the same servers. Users are many and histories short, so that a thousand
requests come from a thousand users.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from tests.services.conftest import private_settings
from watchnext.cli.pipeline import Pipeline, run_pipeline
from watchnext.cli.replay import send
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.events import CatalogEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import GraphError, WatchnextError
from watchnext.generation.publish import publish, rollback
from watchnext.generation.store import GenerationStore
from watchnext.local import supervisor
from watchnext.local.environment import server_environment
from watchnext.recommend.client import ask_graph, ask_grpc, ask_rest
from watchnext.settings import Settings
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.training.parity import check_parity

WORLD = Simulator(WorldConfig(users=1_050, videos=300, uploads_per_day=10), days=4)
USERS = [profile.user_id for profile in WORLD.profiles()]
REQUESTS = 1_000
K = 10
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = private_settings(
        tmp_path_factory.mktemp("end-to-end"),
        training={"gate_recall_factor": 0.1, "gate_min_auc": 0.51},
        serving={
            "deadline_ms": 5_000,
            "features_budget_ms": 1_000,
            "index_budget_ms": 1_500,
            "ranker_budget_ms": 2_000,
        },
    )
    with supervisor.running(settings):
        send(settings, WORLD, CLOCK, quiet=True)
        wait_until_caught_up(settings)
        train(settings)
        yield settings


def train(settings: Settings) -> str:
    """Run the real pipeline; returns the generation once the router answers with it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server_environment(settings).items():
            patch.setenv(name, value)
        run_pipeline(Pipeline.TRAIN, settings, Console(quiet=True))
    live = GenerationStore.open(settings).live()
    assert eventually(lambda: serves(settings, live.generation, live.overlay), seconds=60)
    return live.generation


def serves(settings: Settings, generation: str, overlay: int) -> bool:
    try:
        answer = ask_graph(settings, RecommendRequest(user_id=user(0), k=1))
    except GraphError:
        return False
    return (answer.generation, answer.overlay, answer.degraded) == (generation, overlay, [])


def eventually(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def user(number: int) -> str:
    return USERS[number]


def ids(answer: RecommendAnswer) -> list[str]:
    return [item.video_id for item in answer.items]


def tell(settings: Settings, *events: tuple[Topic, object]) -> None:
    with EventProducer(settings) as producer:
        producer.send_many(events)  # type: ignore[arg-type]
    wait_until_caught_up(settings)


def test_rest_grpc_and_graph_give_the_same_ranked_list(settings: Settings) -> None:
    live = GenerationStore.open(settings).live()
    request = RecommendRequest(user_id=user(1), k=K, now_ms=CLOCK.now_ms())

    answers = [ask(settings, request) for ask in (ask_rest, ask_grpc, ask_graph)]

    assert ids(answers[0]) == ids(answers[1]) == ids(answers[2])
    assert {(answer.generation, answer.overlay) for answer in answers} == {(live.generation, live.overlay)}
    expected = [item.expected_seconds for item in answers[0].items]
    assert len(expected) == K
    assert None not in expected
    assert expected == sorted(expected, reverse=True)
    assert all(item.sources for item in answers[0].items)


def test_at_a_fixed_time_two_answers_are_identical(settings: Settings) -> None:
    request = RecommendRequest(user_id=user(2), k=K, now_ms=CLOCK.now_ms(), request_id="fixed")

    first, second = ask_graph(settings, request), ask_graph(settings, request)

    assert first.items == second.items


def test_logged_features_equal_point_in_time_features_for_a_thousand_users(settings: Settings) -> None:
    since = CLOCK.now_ms()
    users = USERS[50 : 50 + REQUESTS]

    answers = [ask_rest(settings, RecommendRequest(user_id=one, k=K)) for one in users]
    assert [answer.degraded for answer in answers if answer.degraded] == []
    assert eventually(lambda: served_since(settings, since) >= REQUESTS, seconds=60)

    parity = check_parity(settings, requests=REQUESTS, since_ms=since)

    assert parity.requests == REQUESTS
    assert parity.vectors == REQUESTS * K
    assert (parity.mismatched_requests, parity.mismatches) == (0, [])


def served_since(settings: Settings, since_ms: int) -> int:
    from watchnext.training.log import served_of

    wait_until_caught_up(settings)
    return int((served_of(settings.archive_path)["served_at"] >= since_ms).sum())


def test_a_watch_changes_the_next_answer(settings: Settings) -> None:
    who = user(3)
    top = ask_graph(settings, RecommendRequest(user_id=who, k=K)).items[0].video_id

    tell(settings, (Topic.WATCH, a_watch(who, top)))

    after = ask_graph(settings, RecommendRequest(user_id=who, k=K, why_not=[top]))
    assert top not in ids(after)
    assert after.why_not[top].startswith("seen")


def a_watch(who: str, video: str) -> WatchEvent:
    return WatchEvent(
        event_id=f"test-{who}-{video}",
        user_id=who,
        video_id=video,
        started_at=CLOCK.now_ms() - 60_000,
        watch_seconds=30,
        video_seconds=60,
        completed=True,
    )


def test_a_new_video_comes_with_an_overlay_and_without_training(settings: Settings) -> None:
    live = GenerationStore.open(settings).live()
    upload = CatalogEvent(
        video_id="brand-new", channel_id="channel-1", uploaded_at=CLOCK.now_ms() - 3_600_000, video_seconds=120
    )
    tell(settings, (Topic.CATALOG, upload))

    with pytest.MonkeyPatch.context() as patch:
        for name, value in server_environment(settings).items():
            patch.setenv(name, value)
        run_pipeline(Pipeline.REFRESH_INDEX, settings, Console(quiet=True))

    assert eventually(lambda: serves(settings, live.generation, live.overlay + 1), seconds=30)
    answer = ask_graph(settings, RecommendRequest(user_id=user(40), k=300))
    assert "fresh" in next(item.sources for item in answer.items if item.video_id == "brand-new")


def test_publishing_and_rolling_back_under_load_fails_no_request(settings: Settings) -> None:
    store = GenerationStore.open(settings)
    live = store.live()
    pids = {one.name: one.pid for one in supervisor.status(settings)}

    with load(settings) as answers:
        publish(store, live.generation, 0, settings)
        assert eventually(lambda: serves(settings, live.generation, 0), seconds=10)
        time.sleep(1)  # of answers from the one, and after the rollback from the other
        rollback(store)
        assert eventually(lambda: serves(settings, live.generation, live.overlay), seconds=10)
        time.sleep(1)

    assert len(answers) > 10
    assert [answer for answer in answers if isinstance(answer, str)] == []
    assert {answer.overlay for answer in answers} == {0, live.overlay}
    assert [answer.degraded for answer in answers if answer.degraded] == []
    assert {one.name: one.pid for one in supervisor.status(settings)} == pids


@contextmanager
def load(settings: Settings) -> Iterator[list[RecommendAnswer | str]]:
    """Two callers who ask all the while; what they got, errors as texts."""
    answers: list[RecommendAnswer | str] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        while not stop.is_set():
            try:
                answers.append(ask_rest(settings, RecommendRequest(user_id=user(100 + number), k=K)))
            except WatchnextError as error:
                answers.append(str(error))
            time.sleep(0.02)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
