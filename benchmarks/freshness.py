"""How soon an event changes an answer: watches of users' first videos, sent beside a steady load."""

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from benchmarks.rounds import Verdict
from benchmarks.watches import a_watch, messages
from watchnext.cli.output import note
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.names import Topic
from watchnext.errors import WatchnextError
from watchnext.recommend.client import ask_graph
from watchnext.settings import Settings
from watchnext.stream.producer import EventProducer

RATE: Final = 1_000  # events/s of the load
LEAST_RATE: Final = 950  # under less the latency is not the one that is promised
LOAD_S: Final = 60.0
PROBERS: Final = 2
PROBE_S: Final = 60.0  # an event that changed nothing by then is lost
POLL_S: Final = 0.1


class Freshness:
    """The probes of some users, beside a load of others."""

    def __init__(self, settings: Settings, producer: EventProducer, users: Sequence[str]) -> None:
        self.settings = settings
        self.producer = producer
        self.users = users

    def measure(self) -> Verdict:
        """Seconds from sending a watch of a user's first video until an answer leaves it out, RATE events/s beside."""
        note(f"event to changed answer: {LOAD_S:.0f} s beside {RATE} events/s")
        stop = threading.Event()
        with ThreadPoolExecutor(PROBERS + 1) as pool:
            load = pool.submit(self.load, stop)
            try:
                found = list(pool.map(self.probe, (self.users[n::PROBERS] for n in range(PROBERS))))
            finally:
                stop.set()
            return freshness_verdict(found, load.result())

    def load(self, stop: threading.Event) -> float:
        """Send RATE events a second until `stop`; the events a second that the broker acknowledged."""
        began, sent = time.perf_counter(), 0
        while not stop.is_set():
            for key, value in messages(int((time.perf_counter() - began) * RATE) - sent):
                self.producer.send_raw(Topic.WATCH, key, value)
                sent += 1
            time.sleep(0.01)
        self.producer.flush()
        return sent / (time.perf_counter() - began)

    def probe(self, users: Sequence[str]) -> tuple[list[float], int]:
        """Seconds of each probe in LOAD_S, and how many answers on the way were degraded."""
        taken, degraded = [], 0
        until = time.perf_counter() + LOAD_S
        for user in itertools.cycle(users):
            if time.perf_counter() > until:
                break
            first = self.first_video(user)
            began = time.perf_counter()
            self.producer.send(Topic.WATCH, a_watch(user, first))
            while (answer := self.answer(user)).degraded or first in {item.video_id for item in answer.items}:
                if time.perf_counter() > began + PROBE_S:
                    raise WatchnextError(
                        f"a watch of {first} by user {user} changed no answer within {PROBE_S:.0f} s "
                        f"(degraded: {answer.degraded}): the event is lost, or the workers are far behind"
                    )
                degraded += bool(answer.degraded)
                time.sleep(POLL_S)
            taken.append(time.perf_counter() - began)
        return taken, degraded

    def first_video(self, user: str) -> str:
        """Of the user's list.

        Raises:
            WatchnextError: there is none.
        """
        answer = self.answer(user)
        if not answer.items:
            raise WatchnextError(f"the answer to user {user} is empty (degraded: {answer.degraded}): what is live?")
        return answer.items[0].video_id

    def answer(self, user: str) -> RecommendAnswer:
        """Ten videos through the real router."""
        return ask_graph(self.settings, RecommendRequest(user_id=user, k=10))


def freshness_verdict(found: Sequence[tuple[list[float], int]], rate: float) -> Verdict:
    """Of each prober's seconds and degraded answers, and the events a second that were sent beside them."""
    taken = [seconds for one, _ in found for seconds in one]
    p50, p99 = np.percentile(taken, [50, 99]).tolist()
    raw = {
        "p50 s": round(p50, 3),
        "p99 s": round(p99, 3),
        "max s": round(max(taken), 3),
        "probes": len(taken),
        "events/s": round(rate),
        "degraded answers": sum(degraded for _, degraded in found),
    }
    spoilt = f"only {rate:.0f} events/s were sent beside it" if rate < LEAST_RATE else ""
    return Verdict("event to changed answer, p99 s at 1,000 events/s", p99, "<= 5", raw, spoilt=spoilt)
