"""`python -m benchmarks.serving`: the request path of a running stack, whole and in parts.

Wanted: `watchnext up` with a live generation of at least 500 videos and users with histories (`watchnext demo`).
"""

import argparse
import asyncio
import sys
from typing import Any

import torch
from feast.infra.online_stores.helpers import _redis_key
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from benchmarks.end_to_end import end_to_end
from benchmarks.report import report
from benchmarks.request_path import CANDIDATES, Bench, seconds_of
from benchmarks.rounds import Verdict, interleave
from serving.lifecycle import settle
from watchnext.cli.main import log_to_standard_error
from watchnext.cli.output import note
from watchnext.contracts.names import FeatureService, ranker_version
from watchnext.errors import WatchnextError
from watchnext.features.batches import UserColumns, ranker_batch
from watchnext.features.cross import cross_features
from watchnext.recommend.ranking import TorchServe
from watchnext.settings import Settings, load_settings
from watchnext.store.apply import open_store
from watchnext.store.config import repo_config


def redis_of(settings: Settings) -> Any:
    """Feast's own client: password, TLS and a cluster's nodes as the product has them."""
    return RedisOnlineStore()._get_client(repo_config(settings).online_store)


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
        title="500-candidate features",
    )
    raw = {f"{name} ms": round(measured.median(name) * 1000, 3) for name in ("ours", "feast")}
    return Verdict("500-candidate features / Feast", measured.ratio("feast"), "<= 0.02", raw, measured.control)


def user_read(bench: Bench, rounds: int) -> Verdict:
    """The user row as a dict, against a raw HMGET of the same bytes."""
    client = redis_of(bench.settings)
    entity = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=bench.user)])
    key = _redis_key(repo_config(bench.settings).project, entity, entity_key_serialization_version=3)
    fields = list(bench.rows.user_fields)
    if not any(client.hmget(key, fields)):
        raise WatchnextError(f"nothing is stored of user {bench.user} under the key that Feast's own function gives")
    measured = interleave(
        {
            "ours": seconds_of(lambda: bench.rows.read_user(bench.user)),
            "hmget": seconds_of(lambda: client.hmget(key, fields)),
        },
        rounds=rounds,
        title="user row",
    )
    raw = {f"{name} ms": round(measured.median(name) * 1000, 3) for name in ("ours", "hmget")}
    return Verdict("user row / HMGET", measured.ratio("hmget"), "<= 8", raw, measured.control)


def ranker_wire(bench: Bench, rounds: int) -> Verdict:
    """Candidates a second over TorchServe's REST, by the guard's client, against the forward pass of the same batch."""
    user, columns = bench.candidates()
    table, bundle = bench.prepared.bundle.videos, bench.prepared.bundle
    taken = table.take(columns["row"])
    features = cross_features(user, taken, columns["score"], columns["sources"])
    inputs = ranker_batch(UserColumns.of([user]), table, taken, bundle.quantiles.expand(features))
    batch = {name: torch.from_numpy(column) for name, column in inputs.items()}
    version, torchserve = ranker_version(bundle.id, bundle.overlay), TorchServe(bench.settings.serving.ranker_url)
    loop = asyncio.new_event_loop()

    def post() -> None:
        loop.run_until_complete(torchserve.score(version, bench.payload))

    def forward() -> None:
        with torch.inference_mode():
            bundle.ranker(batch)

    measured = interleave({"wire": seconds_of(post), "torch": seconds_of(forward)}, rounds=rounds, title="ranker wire")
    loop.run_until_complete(torchserve.close())
    loop.close()
    count = len(columns["row"])
    raw = {f"{name} candidates/s": round(count / measured.median(name)) for name in ("wire", "torch")}
    return Verdict("ranker wire / raw torch", 1 / measured.ratio("torch"), ">= 0.3", raw, measured.control)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    log_to_standard_error()
    torch.set_num_threads(1)
    try:
        note("opening the live generation")
        bench = Bench.open(load_settings())
        settle()  # as the servers do: a full collection here would be measured as theirs
        verdicts = [measure(bench, options.rounds) for measure in (feature_assembly, user_read, ranker_wire)]
        whole, notes = end_to_end(bench, options.rounds)
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return report([*verdicts, whole], notes, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
