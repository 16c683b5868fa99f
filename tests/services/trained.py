"""A stack that has learnt: events replayed, a generation trained by the real pipeline, answers asked of the router.

The world is small and its catalogue short, so that users see the same film again and again: with 300 films instead of
100, only one impression in a hundred is a film's fourth or later, and a small ranker cannot learn fatigue from that.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from watchnext.cli.pipeline import Pipeline, run_pipeline
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.data.records import Record
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import GraphError, WatchnextError
from watchnext.generation.manifest import Target
from watchnext.generation.store import GenerationStore
from watchnext.local.environment import server_environment
from watchnext.recommend.client import ask_graph, ask_rest
from watchnext.settings import Settings
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.training.build import build
from watchnext.training.evaluate import evaluate
from watchnext.training.ranker import train_ranker

WORLD = Simulator(WorldConfig(users=1_050, videos=100, uploads_per_day=5), days=4)
USERS = [profile.user_id for profile in WORLD.profiles()]
CLOCK = SystemClock()

Asked = RecommendAnswer | str  # an answer, or the text of the error that came instead


def run(pipeline: Pipeline, settings: Settings) -> Target:
    """Run a real pipeline as the command line does; returns what is live once the router answers with it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server_environment(settings).items():
            patch.setenv(name, value)
        run_pipeline(pipeline, settings, Console(quiet=True))
    live = GenerationStore.open(settings).live()
    assert eventually(lambda: serves(settings, live), seconds=60), f"the router does not answer with {live}"
    return live


def another_generation(settings: Settings) -> str:
    """The last training run again with another seed for the ranker: built and not published; returns its id."""
    last = max((settings.home / "pipelines").glob("watchnext-train-*"))
    examples, towers, ranker = last / "examples" / "encoded", last / "train-towers" / "towers", last / "other-ranker"
    training = settings.training.model_copy(update={"seed": settings.training.seed + 1})
    train_ranker(settings.model_copy(update={"training": training}), examples, ranker)
    evaluate(settings, examples, towers, ranker).save(last / "other-evaluation")
    return build(
        settings, examples=examples, towers=towers, ranker=ranker, evaluation=last / "other-evaluation", card=""
    )


def target_of(answer: RecommendAnswer) -> Target:
    """What an answer says it was made with."""
    return Target(answer.generation, answer.overlay)


def serves(settings: Settings, target: Target) -> bool:
    """Whether the router answers with `target`, and with nothing missing."""
    try:
        answer = ask_graph(settings, RecommendRequest(user_id=USERS[0], k=1))
    except GraphError:
        return False
    return target_of(answer) == target and not answer.degraded


def eventually(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def tell(settings: Settings, *events: Record) -> None:
    """Send events and wait until they are features."""
    with EventProducer(settings) as producer:
        producer.send_many(events)
    wait_until_caught_up(settings)


@dataclass
class Load:
    """What callers got."""

    graph: list[Asked] = field(default_factory=list)  # always the same request, at a fixed time
    gateway: list[Asked] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Texts of errors."""
        return [answer for answer in self.graph + self.gateway if isinstance(answer, str)]

    @property
    def answers(self) -> list[RecommendAnswer]:
        """All answers."""
        return [answer for answer in self.graph + self.gateway if isinstance(answer, RecommendAnswer)]


@contextmanager
def load(settings: Settings, request: RecommendRequest) -> Iterator[Load]:
    """While the body runs, one caller asks the graph for `request`, and one the gateway for another user."""
    got, stop = Load(), threading.Event()

    def keep_asking(ask: Callable[[Settings, RecommendRequest], RecommendAnswer], asked: RecommendRequest) -> None:
        answers = got.graph if ask is ask_graph else got.gateway
        while not stop.is_set():
            try:
                answers.append(ask(settings, asked))
            except WatchnextError as error:
                answers.append(str(error))
            time.sleep(0.02)

    other = RecommendRequest(user_id=USERS[-1], k=request.k)  # the gateway logs what it serves: not the graph's user
    threads = [threading.Thread(target=keep_asking, args=one) for one in ((ask_graph, request), (ask_rest, other))]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        stop.set()
        for thread in threads:
            thread.join()
