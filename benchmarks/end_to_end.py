"""The whole request path under an open load, against the parts that it is made of, in alternating rounds.

A router that cost nothing would answer in the sum of its parts. Every round measures the parts in this process, loads
the router, and measures the parts again: parts over parts is the control. Each latency is divided by the parts of its
own round, and the bar is for the p99 of these quotients over all rounds.

The parts' own p99, of requests that meet no other, tells how much of that tail is the machine's.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from benchmarks.request_path import Bench, request_of
from benchmarks.rounds import Measured, Verdict, interleave
from watchnext.cli.output import note
from watchnext.clock import SystemClock
from watchnext.contracts import api, envelope
from watchnext.errors import GraphError
from watchnext.models.scorer import Scorer
from watchnext.recommend.graph import Graph
from watchnext.recommend.ranking import Guard

CLIENTS: Final = 8
CONNECTIONS: Final = 256  # an open loop never waits for one
TIMEOUT_S: Final = 10.0  # of a request; a hung router ends the bench
CAPACITY_S: Final = 8.0
SHARE: Final = 0.3  # of the capacity that the open loop offers
LOAD_S: Final = 120.0  # of all rounds together, at the least
ANSWERS: Final = 1_000  # of all rounds together, at the least: ten lie above the p99
MAY_DEGRADE: Final = 0.01  # share of the answers
REQUESTS: Final = 100  # that one measure of the parts is made of
_PARTS, _ROUTER = "parts", "router"


class InProcess:
    """TorchServe's place taken by the scorer itself: the guard's own work and the model's, without a wire."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    async def score(self, version: str, payload: bytes) -> bytes:
        return self.scorer.answer(payload)


@dataclass
class Load:
    """What came back in one round; milliseconds."""

    latencies: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    degraded: int = 0

    def add(self, answer: api.RecommendAnswer, latency: float) -> None:
        self.latencies.append(latency)
        self.degraded += bool(answer.degraded)
        for name, value in answer.stages_ms.items():
            self.stages.setdefault(name, []).append(value)


class Parts:
    """Each part of a request in this process: retrieval with its real stores, guard, model, codecs."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.guard = Guard(InProcess(bench.scorer), bench.settings.serving, clock=SystemClock())
        self.loop = asyncio.new_event_loop()
        self.answer = self.loop.run_until_complete(self.guard.answer(self.fresh()))
        self.users = itertools.cycle(bench.users)
        self.medians: dict[str, list[float]] = {}
        self.requests: list[float] = []  # milliseconds of each, all parts together

    def measure(self) -> float:
        """Milliseconds of a request, as the sum of the parts' medians; each request goes through all of them."""
        calls: dict[str, Callable[[], object]] = {
            "retrieval": lambda: self.bench.retriever.retrieve(request_of(next(self.users))),
            # KServe parses the body before the ranking step converts it
            "envelope": lambda: envelope.convert(msgspec.json.decode(envelope.encode(self.bench.envelope))),
            "ranking": lambda: self.loop.run_until_complete(self.guard.answer(self.fresh())),
            "answer": lambda: api.decode_answer(api.encode(self.answer)),
        }
        taken = np.array([[_ms(call) for call in calls.values()] for _ in range(REQUESTS)])
        self.requests += taken.sum(axis=1).tolist()
        medians = np.median(taken, axis=0).tolist()
        for name, value in zip(calls, medians, strict=True):
            self.medians.setdefault(name, []).append(value)
        return float(sum(medians))

    def close(self) -> None:
        self.loop.close()

    def fresh(self) -> envelope.Envelope:
        """The envelope with a deadline that lies ahead."""
        return msgspec.structs.replace(self.bench.envelope, deadline_ms=SystemClock().now_ms() + 60_000)


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def asking(bench: Bench) -> AsyncIterator[Graph]:
    """The gateway's own client of the graph: what it costs is a part of every answer anyway."""
    graph = Graph(bench.settings.gateway.graph_url, connections=CONNECTIONS)
    try:
        yield graph
    finally:
        await graph.close()


async def capacity(bench: Bench) -> float:
    """Answers a second with CLIENTS clients that each wait for their answer."""
    done = 0
    began = time.perf_counter()
    async with asking(bench) as graph:

        async def ask(number: int) -> None:
            nonlocal done
            for user in itertools.cycle(bench.users[number::CLIENTS]):
                if time.perf_counter() > began + CAPACITY_S:
                    return
                await ask_once(graph, user)
                done += 1

        await asyncio.gather(*(ask(number) for number in range(CLIENTS)))
    return done / (time.perf_counter() - began)


async def open_loop(bench: Bench, rate: float, seconds: float, draw: random.Random) -> Load:
    """Poisson arrivals at `rate` a second; a latency counts from when its request was due."""
    load = Load()
    async with asking(bench) as graph:

        async def ask(user: str, due: float) -> None:
            answer = await ask_once(graph, user)
            load.add(answer, (time.perf_counter() - due) * 1000)

        tasks = []
        began = due = time.perf_counter()
        users = itertools.cycle(bench.users)
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(next(users), due)))
            due += draw.expovariate(rate)
        await asyncio.gather(*tasks)
    return load


async def ask_once(graph: Graph, user: str) -> api.RecommendAnswer:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await graph.ask(request_of(user))
    except TimeoutError as error:
        raise GraphError(f"no answer for user {user} within {TIMEOUT_S:.0f} s; see `watchnext status`") from error


def end_to_end(bench: Bench, rounds: int) -> tuple[Verdict, dict[str, object]]:
    """The verdict, and what it is made of."""
    note("capacity of the router")
    asyncio.run(capacity(bench))  # servers that were just started, Java's foremost, got a fifth less
    most = asyncio.run(capacity(bench))
    rate = SHARE * most
    seconds = max(LOAD_S, ANSWERS / rate) / rounds
    loads: list[Load] = []
    draw = random.Random(7)  # one for all rounds: the same arrivals each time would count one burst of them thrice

    def load() -> float:
        loads.append(asyncio.run(open_loop(bench, rate, seconds, draw)))
        return float(np.percentile(loads[-1].latencies, 99))

    with closing(Parts(bench)) as parts:
        measured = interleave({_PARTS: parts.measure, _ROUTER: load}, rounds=rounds, title="end to end")
    counted = loads[1:]  # the first was the warm-up
    return verdict_of(measured, counted, parts.requests), {
        "parts p50 ms in process": {name: round(float(np.median(values)), 2) for name, values in parts.medians.items()},
        "envelope bytes": len(envelope.encode(bench.envelope)),
        "stages p50/p99 ms under load": stages_of(counted),
        "capacity answers/s": round(most, 1),
        "offered answers/s": round(rate, 1),
        "seconds of load": round(seconds * rounds, 1),
    }


def verdict_of(measured: Measured, loads: Sequence[Load], alone: Sequence[float]) -> Verdict:
    """p99 of each latency over the parts of its round; missed where too many answers are degraded.

    Args:
        measured: milliseconds of the parts, by round.
        loads: what came back, by round.
        alone: milliseconds of single requests through the parts.
    """
    latencies = np.concatenate([load.latencies for load in loads])
    parts = np.repeat(measured.figures[_PARTS], [len(load.latencies) for load in loads])
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    degraded = sum(load.degraded for load in loads)
    raw = {
        "p50 ms": round(p50, 1),
        "p99 ms": round(p99, 1),
        "parts ms": round(measured.median(_PARTS), 1),
        "parts p99 ms": round(float(np.percentile(alone, 99)), 1),
        "answers": len(latencies),
        "degraded": degraded,
    }
    return Verdict(
        "end-to-end p99 at 30 % / parts",
        float(np.percentile(latencies / parts, 99)),
        "<= 4",
        raw,
        measured.control,
        spoilt=f"{degraded} of {len(latencies)} answers were degraded"
        if degraded > MAY_DEGRADE * len(latencies)
        else "",
    )


def stages_of(loads: Sequence[Load]) -> dict[str, list[float]]:
    """p50 and p99 of each stage over all rounds."""
    values: dict[str, list[float]] = {}
    for load in loads:
        for name, taken in load.stages.items():
            values.setdefault(name, []).extend(taken)
    return {name: [round(one, 2) for one in np.percentile(taken, [50, 99]).tolist()] for name, taken in values.items()}
