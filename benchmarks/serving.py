"""`python -m benchmarks.serving`: the request path of a running stack, whole and in parts.

Wanted: `watchnext up` with a live generation of at least 500 videos and users with histories (`watchnext demo`).
"""

import argparse
import asyncio
import itertools
import logging
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import httpx
import msgspec
import numpy as np
import redis
import torch
from feast.infra.online_stores.helpers import _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from numpy.typing import NDArray

from benchmarks.report import report
from benchmarks.rounds import Verdict, interleave
from watchnext.clock import SystemClock
from watchnext.contracts import api, envelope
from watchnext.contracts.names import MODEL_RANKER, FeatureService, View, ranker_version
from watchnext.errors import WatchnextError
from watchnext.features.batches import ranker_batch
from watchnext.features.codec import pack, unpack
from watchnext.features.cross import cross_features
from watchnext.features.state import EncodedUser
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.models.scorer import Scorer
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.ranking import Guard
from watchnext.recommend.retrieval import Retriever
from watchnext.settings import Settings, load_settings
from watchnext.store.apply import open_store
from watchnext.store.config import repo_config
from watchnext.store.rows import FeatureStoreRows

CANDIDATES = 500
INNER = 20  # calls a round: one call is too short to time
CAPACITY_S, LOAD_S = 8.0, 20.0
CLIENTS = 8
SHARE = 0.3  # of the capacity that the open loop offers


@dataclass(frozen=True)
class Bench:
    """One user's request, and every part that it passes through, in this process."""

    settings: Settings
    prepared: PreparedGeneration
    rows: FeatureStoreRows
    retriever: Retriever
    scorer: Scorer
    users: list[str]
    user: str
    envelope: envelope.Envelope
    payload: bytes

    @classmethod
    def open(cls, settings: Settings) -> "Bench":
        store = GenerationStore.open(settings)
        live = store.live()
        bundle = store.load(live.generation, live.overlay)
        prepared = PreparedGeneration.of(bundle)
        rows = FeatureStoreRows.open(settings)
        index = VideoIndex.open(settings)
        rows.warm_up()
        index.warm_up()
        retriever = Retriever(settings, features=rows, index=index, live=lambda: prepared, clock=SystemClock())
        users = users_with_histories(settings, rows)
        found = retriever.retrieve(request_of(users[0]))
        if len(found.candidates.video_ids) < CANDIDATES or not found.rankable:
            raise WatchnextError(
                f"user {users[0]} has {len(found.candidates.video_ids)} candidates; "
                f"wanted {CANDIDATES}: run `watchnext demo`"
            )
        _, state = unpack(found.state_bytes())
        meta = {"generation": bundle.id, "overlay": bundle.overlay, "now_ms": found.now_ms, "k": 20, "explain": False}
        payload = pack(meta, found.candidates.columns() | {f"user.{name}": column for name, column in state.items()})
        scorer = Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)
        return cls(settings, prepared, rows, retriever, scorer, users, users[0], found, payload)

    def candidates(self) -> tuple[EncodedUser, dict[str, NDArray[np.generic]]]:
        _, columns = unpack(self.payload)
        user = EncodedUser.from_columns(
            {name.removeprefix("user."): column for name, column in columns.items() if name.startswith("user.")}
        )
        return user, {name: columns[name] for name in ("row", "score", "sources")}


class InProcess:
    """TorchServe's place taken by the scorer itself: the guard's own work and the model's, without a wire."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    async def score(self, version: str, payload: bytes) -> bytes:
        return self.scorer.answer(payload)


def users_with_histories(settings: Settings, rows: FeatureStoreRows, wanted: int = 200) -> list[str]:
    """Users of the offline log with at least five watches."""
    log = f"{settings.offline_path}/{View.USER_WATCHES.value}/*.parquet"
    try:
        found = duckdb.sql(
            "SELECT user_id FROM read_parquet($log) GROUP BY user_id HAVING max(watches) >= 5 ORDER BY hash(user_id)",
            params={"log": log},
        ).fetchall()
    except duckdb.Error as error:
        raise WatchnextError(f"the offline log cannot be read ({error}): run `watchnext demo` first") from error
    if not found:
        raise WatchnextError("no user with five watches is in the offline log: run `watchnext demo` first")
    return [user for (user,) in found[:wanted]]


def redis_of(settings: Settings) -> redis.Redis:
    host, port = settings.features.online.split(",")[0].split(":")
    return redis.Redis(host, int(port))


def request_of(user: str) -> api.RecommendRequest:
    return api.RecommendRequest(user_id=user, k=20, request_id="bench")


def seconds_of(call: Callable[[], object], times: int = INNER) -> Callable[[], float]:
    """Seconds a call, mean of `times`."""

    def run() -> float:
        began = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - began) / times

    return run


def median_ms(call: Callable[[], object], times: int = 100) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return float(np.median(taken))


def feature_assembly(bench: Bench, rounds: int) -> Verdict:
    """Gather and cross 500 candidates, against Feast's stock read of the same 500 video rows."""
    user, columns = bench.candidates()
    videos, feast = bench.prepared.bundle.videos, open_store(bench.settings)
    service = feast.get_feature_service(FeatureService.VIDEO.value)
    asked = [{"video_id": videos.video_ids[row]} for row in columns["row"].tolist()[:CANDIDATES]]
    measured = interleave(
        {
            "ours": seconds_of(
                lambda: cross_features(user, videos.take(columns["row"]), columns["score"], columns["sources"])
            ),
            "feast": seconds_of(lambda: feast.get_online_features(service, asked), 1),
        },
        rounds=rounds,
    )
    raw = {f"{name} ms": round(measured.median(name) * 1000, 3) for name in ("ours", "feast")}
    return Verdict("500-candidate features / Feast", measured.ratio("feast"), "<= 0.02", raw, measured.control)


def user_read(bench: Bench, rounds: int) -> Verdict:
    """The user row as a dict, against a raw HMGET of the same fields."""
    client = redis_of(bench.settings)
    entity = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=bench.user)])
    key = _redis_key(repo_config(bench.settings).project, entity, entity_key_serialization_version=3)
    fields = list(client.hgetall(key))
    measured = interleave(
        {
            "ours": seconds_of(lambda: bench.rows.read_user(bench.user)),
            "hmget": seconds_of(lambda: client.hmget(key, fields)),
        },
        rounds=rounds,
    )
    raw = {f"{name} ms": round(measured.median(name) * 1000, 3) for name in ("ours", "hmget")}
    return Verdict("user row / HMGET", measured.ratio("hmget"), "<= 8", raw, measured.control)


def ranker_wire(bench: Bench, rounds: int) -> Verdict:
    """Candidates a second over TorchServe's REST, against the bare forward pass of the same batch."""
    user, columns = bench.candidates()
    table, bundle = bench.prepared.bundle.videos, bench.prepared.bundle
    taken = table.take(columns["row"])
    features = cross_features(user, taken, columns["score"], columns["sources"])
    inputs = ranker_batch([user], table, taken, bundle.quantiles.expand(features))
    batch = {name: torch.from_numpy(column) for name, column in inputs.items()}
    url = f"{bench.settings.serving.ranker_url}/predictions/{MODEL_RANKER}/{ranker_version(bundle.id, bundle.overlay)}"
    client = httpx.Client(timeout=10, trust_env=False)

    def post() -> None:
        client.post(url, content=bench.payload, headers={"content-type": "application/octet-stream"}).raise_for_status()

    def forward() -> None:
        with torch.inference_mode():
            bundle.ranker(batch)

    measured = interleave({"wire": seconds_of(post), "torch": seconds_of(forward)}, rounds=rounds)
    count = len(columns["row"])
    raw = {f"{name} candidates/s": round(count / measured.median(name)) for name in ("wire", "torch")}
    return Verdict("ranker wire / raw torch", 1 / measured.ratio("torch"), ">= 0.3", raw, measured.control)


def parts_ms(bench: Bench) -> dict[str, float]:
    """Median of each part of a request in this process: retrieval with its real stores, guard, model, codecs."""
    guard = Guard(InProcess(bench.scorer), bench.settings.serving, clock=SystemClock())
    body = envelope.encode(bench.envelope)
    answer = asyncio.run(guard.answer(fresh(bench)))
    users = itertools.cycle(bench.users)
    loop = asyncio.new_event_loop()
    return {
        "retrieval": median_ms(lambda: bench.retriever.retrieve(request_of(next(users)))),
        "envelope": median_ms(lambda: envelope.decode(envelope.encode(bench.envelope))),
        "ranking": median_ms(lambda: loop.run_until_complete(guard.answer(fresh(bench)))),
        "answer": median_ms(lambda: api.decode_answer(api.encode(answer))),
        "envelope_bytes": float(len(body)),
    }


def fresh(bench: Bench) -> envelope.Envelope:
    """The envelope with a deadline that lies ahead."""
    return msgspec.structs.replace(bench.envelope, deadline_ms=SystemClock().now_ms() + 60_000)


async def closed_loop(bench: Bench) -> float:
    """Answers a second with CLIENTS clients that each wait for their answer."""
    done = 0
    until = time.perf_counter() + CAPACITY_S
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

        async def ask(number: int) -> None:
            nonlocal done
            for user in itertools.cycle(bench.users[number::CLIENTS]):
                if time.perf_counter() > until:
                    return
                await ask_once(client, bench, user)
                done += 1

        await asyncio.gather(*(ask(number) for number in range(CLIENTS)))
    return done / CAPACITY_S


async def open_loop(bench: Bench, rate: float) -> tuple[list[float], dict[str, list[float]], int]:
    """Poisson arrivals at `rate` a second; latencies from when a request was due, stages, and degraded answers."""
    draw = random.Random(7)
    latencies: list[float] = []
    stages: dict[str, list[float]] = {}
    degraded = 0
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

        async def ask(user: str, due: float) -> None:
            nonlocal degraded
            answer = await ask_once(client, bench, user)
            latencies.append((time.perf_counter() - due) * 1000)
            degraded += bool(answer.degraded)
            for name, value in answer.stages_ms.items():
                stages.setdefault(name, []).append(value)

        tasks = []
        began = due = time.perf_counter()
        users = itertools.cycle(bench.users)
        while due < began + LOAD_S:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(next(users), due)))
            due += draw.expovariate(rate)
        await asyncio.gather(*tasks)
    return latencies, stages, degraded


async def ask_once(client: httpx.AsyncClient, bench: Bench, user: str) -> api.RecommendAnswer:
    response = await client.post(
        bench.settings.gateway.graph_url,
        content=api.encode(request_of(user)),
        headers={"content-type": "application/json"},
    )
    response.raise_for_status()
    return api.decode_answer(response.content)


def end_to_end(bench: Bench) -> tuple[Verdict, dict[str, object]]:
    parts = parts_ms(bench)
    whole = sum(value for name, value in parts.items() if not name.endswith("bytes"))
    capacity = asyncio.run(closed_loop(bench))
    latencies, stages, degraded = asyncio.run(open_loop(bench, SHARE * capacity))
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    raw = {"p50 ms": round(p50, 1), "p99 ms": round(p99, 1), "parts ms": round(whole, 1)}
    notes: dict[str, object] = {
        "parts p50 ms in process": {name: round(value, 2) for name, value in parts.items()},
        "stages p50/p99 ms under load": {
            name: [round(value, 2) for value in np.percentile(values, [50, 99]).tolist()]
            for name, values in stages.items()
        },
        "capacity answers/s": round(capacity, 1),
        "offered answers/s": round(SHARE * capacity, 1),
        "answers": len(latencies),
        "degraded answers": degraded,
    }
    return Verdict("end-to-end p99 at 30 % / parts", p99 / whole, "<= 4", raw), notes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    try:
        bench = Bench.open(load_settings())
        verdicts = [measure(bench, options.rounds) for measure in (feature_assembly, user_read, ranker_wire)]
        whole, notes = end_to_end(bench)
    except (WatchnextError, httpx.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return report([*verdicts, whole], notes, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
