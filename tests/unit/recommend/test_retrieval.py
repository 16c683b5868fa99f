import threading
from typing import Any

import numpy as np
import pytest
import structlog
from prometheus_client import REGISTRY

from tests.unit.recommend.world import NOW, ROW, ExactIndex, Rows, prepared, watched
from watchnext.clock import FixedClock
from watchnext.contracts.api import RecommendRequest
from watchnext.contracts.envelope import Envelope
from watchnext.contracts.names import source_labels
from watchnext.errors import StoreError, VectorIndexError
from watchnext.features.codec import unpack
from watchnext.features.state import EncodedUser
from watchnext.recommend import merge
from watchnext.recommend import retrieval as retrieval_module
from watchnext.recommend import sources as sources_module
from watchnext.recommend.retrieval import Retriever
from watchnext.recommend.sources import SourceTables
from watchnext.settings import Serving, Settings

LIVE = prepared()
USERS = {
    "ann": watched("v2", "v1", country="us", channel_ids=["cats"], channel_watches=[2], channel_last=[NOW]),
    "bea": watched("v4", country="de"),
    "served": {"serving_video_ids": ["v1"], "serving_counts": [1], "serving_last": [NOW]},
    "searched": {"search_tokens": ["cats"]},
    "torn": {**watched("v1"), "watch_times": []},
}


def retriever(**parts: Any) -> Retriever:
    serving = parts.pop("serving", Serving(features_budget_ms=5_000, index_budget_ms=5_000))
    given = {"features": Rows(USERS), "index": ExactIndex(LIVE.bundle.vectors), "live": lambda: LIVE} | parts
    return Retriever(Settings(serving=serving), clock=FixedClock(NOW), **given)


def ask(user: str, retrieve: Retriever | None = None, **fields: Any) -> Envelope:
    return (retrieve or retriever()).retrieve(RecommendRequest(user_id=user, request_id="r", **fields))


def sources(envelope: Envelope) -> dict[str, list[str]]:
    bits = envelope.candidates.columns()["sources"].tolist()
    return {name: list(source_labels(bit)) for name, bit in zip(envelope.candidates.video_ids, bits, strict=True)}


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MET", 4.0)
    monkeypatch.setattr(merge, "POPULARITY", 0.15)


def test_a_known_user_gets_unseen_candidates_by_score_to_be_ranked():
    envelope = ask("ann")
    assert envelope.rankable
    assert envelope.degraded == []
    # the user's vector is v1's, (1, 0): the first numbers of the vectors, and 0.15 log (1 + watches); v1, v2 are seen
    assert envelope.candidates.video_ids == ["v9", "v3", "v7", "v8", "v10", "v4", "v5", "v11", "v6", "v12"]
    np.testing.assert_allclose(envelope.candidates.columns()["score"][:3], [1.2151, 1.1597, 1.0898], atol=1e-4)
    found = sources(envelope)
    assert found["v3"] == ["tower", "similar", "channels", "trending", "fresh"]
    assert found["v11"] == ["tower", "similar", "trending"]


def test_the_envelope_names_its_generation_and_carries_the_encoded_user():
    envelope = ask("ann")
    assert (envelope.generation, envelope.overlay) == ("0123456789abcdef", 0)
    _, columns = unpack(envelope.state_bytes())
    user = EncodedUser.from_columns(columns)
    assert [LIVE.bundle.videos.video_ids[row] for row in user.history] == ["v2", "v1"]


def test_the_collection_is_addressed_by_its_own_name():
    index = ExactIndex(LIVE.bundle.vectors)
    ask("ann", retriever(index=index))
    assert index.collections == ["videos_0123456789abcdef_0"]


def test_videos_restricted_in_the_users_country_are_left_out():
    assert {"v6", "v9"}.isdisjoint(ask("bea").candidates.video_ids)
    assert {"v6", "v9"} <= set(ask("bea", country="us").candidates.video_ids)


def test_an_unknown_user_gets_popular_videos_and_nothing_is_degraded():
    envelope = ask("nobody", country="fr")
    assert envelope.candidates.video_ids[:3] == ["v5", "v1", "v2"]  # v9 is restricted in fr
    assert envelope.degraded == []
    assert not envelope.rankable
    assert set(map(tuple, sources(envelope).values())) == {("popular",)}


def test_lists_that_we_served_ourselves_do_not_make_a_user_known():
    assert ask("served").candidates.video_ids[:2] == ["v1", "v2"]
    assert not ask("served").rankable
    assert ask("searched").rankable


def test_an_unknown_user_who_watches_something_gets_what_is_like_it():
    envelope = ask("nobody", seed_video_id="v5")
    assert envelope.rankable
    assert "v5" not in envelope.candidates.video_ids
    assert "similar" in sources(envelope)["v4"]


class Down:
    def read_user(self, user_id: str) -> dict[str, Any]:
        raise StoreError("connection refused")

    def search(self, collection: str, vectors: np.ndarray, k: int) -> Any:
        raise VectorIndexError("connection refused")


@pytest.mark.parametrize(
    ("user", "parts"),
    [("bea", {"features": Down()}), ("nobody", {}), ("torn", {})],
)
def test_where_nobody_tells_the_country_what_is_restricted_in_any_is_left_out(user: str, parts: dict[str, Any]):
    envelope = ask(user, retriever(**parts), why_not=["v6"])
    assert {"v6", "v9"}.isdisjoint(envelope.candidates.video_ids)
    assert envelope.candidates.video_ids[:2] == ["v1", "v2"]
    assert envelope.why_not["v6"] == "restricted in a country, and which one the user is in is not known"


def similar_of(envelope: Envelope) -> list[str]:
    return [name for name, labels in sources(envelope).items() if "similar" in labels]


@pytest.fixture
def one_of_each(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One candidate a source, and the rows whose nearest vectors are looked for."""
    anchors: list[int] = []
    nearest = SourceTables.neighbours
    for module in (retrieval_module, sources_module):
        monkeypatch.setattr(module, "OTHERS", 1)
    monkeypatch.setattr(
        SourceTables, "neighbours", lambda tables, anchor: [anchors.append(anchor), nearest(tables, anchor)][1]
    )
    return anchors


def test_similar_is_what_others_met_with_what_was_watched_and_shown(one_of_each: list[int]):
    met = prepared({"v4": {"v12": 0.25}, "v9": {"v10": 0.5}})
    assert similar_of(ask("bea", retriever(live=lambda: met))) == ["v12"]
    users = Rows({"cat": watched("v4", impression_video_ids=["v9"], impression_counts=[1], impression_last=[NOW])})
    assert similar_of(ask("cat", retriever(live=lambda: met, features=users))) == ["v10"]
    assert one_of_each == []


def test_what_others_met_with_the_video_that_is_being_watched_comes_before_the_rest(one_of_each: list[int]):
    met = prepared({"v4": {"v12": 0.5}, "v1": {"v10": 0.25}})
    assert similar_of(ask("bea", retriever(live=lambda: met), seed_video_id="v1")) == ["v10"]
    assert one_of_each == []


def test_a_video_that_nobody_met_has_the_nearest_vectors(one_of_each: list[int]):
    met = prepared({"v4": {"v12": 0.5}})
    assert similar_of(ask("bea", retriever(live=lambda: met), seed_video_id="v1")) == ["v2"]
    assert one_of_each == [ROW["v1"]]


@pytest.mark.parametrize("index", [ExactIndex(LIVE.bundle.vectors), Down()])
def test_the_order_is_the_towers_and_what_others_met_with_or_without_milvus(index: Any):
    live = prepared({"v4": {"v12": 0.5}})
    users = Rows({"cat": watched("v9", "v4")})
    envelope = ask("cat", retriever(live=lambda: live, features=users, index=index))
    found = dict(zip(envelope.candidates.video_ids, envelope.candidates.columns()["score"].tolist(), strict=True))
    assert found["v12"] == pytest.approx(4 * 0.5)  # the root of a half a video of two; its vector is zero
    # v4's vector is (0.1, 0.9): v5 has 0.9, and 61 watches with that
    assert found["v5"] == pytest.approx(0.9 + 0.15 * np.log(61))
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_without_a_generation_there_are_no_candidates_and_the_answer_says_so():
    envelope = ask("ann", retriever(live=lambda: None), why_not=["v1"])
    assert envelope.degraded == ["generation"]
    assert envelope.candidates.video_ids == []
    assert envelope.why_not == {"v1": "no generation is published"}


def test_features_down_is_popular_of_the_requests_country():
    envelope = ask("ann", retriever(features=Down()), country="fr")
    assert envelope.degraded == ["features"]
    assert envelope.candidates.video_ids[:2] == ["v5", "v1"]
    assert not envelope.rankable


def test_a_row_that_does_not_fit_together_is_the_features_rung():
    assert ask("torn").degraded == ["features"]


def test_milvus_down_is_all_sources_but_the_tower_still_to_be_ranked():
    envelope = ask("ann", retriever(index=Down()), k=3)
    assert envelope.degraded == ["index"]
    assert envelope.rankable
    assert len(envelope.candidates.video_ids) >= 3
    assert not any("tower" in labels for labels in sources(envelope).values())


class Hung:
    def __init__(self) -> None:
        self.release = threading.Event()

    def read_user(self, user_id: str) -> dict[str, Any]:
        self.release.wait()
        return {}

    def search(self, collection: str, vectors: np.ndarray, k: int) -> Any:
        self.release.wait()
        return np.zeros((1, k), np.int32), np.zeros((1, k), np.float32)


def test_hung_backends_cost_their_budget_and_not_the_answer():
    hung = Hung()
    serving = Serving(features_budget_ms=20, index_budget_ms=20, breaker_failures=2, breaker_seconds=60)
    retrieve = retriever(features=hung, serving=serving)
    threads = threading.active_count()
    answers = [ask("ann", retrieve) for _ in range(20)]
    assert {tuple(answer.degraded) for answer in answers} == {("features",)}
    assert threading.active_count() - threads <= 2  # only calls that the breaker let through hold a thread
    late = ask("ann", retriever(index=hung, serving=serving))
    assert late.degraded == ["index"]
    hung.release.set()


def test_similar_videos_that_come_late_cost_their_source_and_no_rung(monkeypatch: pytest.MonkeyPatch):
    release = threading.Event()
    monkeypatch.setattr(SourceTables, "neighbours", lambda *_: release.wait())
    serving = Serving(features_budget_ms=5_000, index_budget_ms=500)
    with structlog.testing.capture_logs() as logged:
        envelope = ask("ann", retriever(serving=serving), traceparent="00-ab")
    release.set()
    assert envelope.degraded == []
    assert {label for labels in sources(envelope).values() for label in labels} == {
        "tower",
        "channels",
        "trending",
        "fresh",
    }
    assert [(entry["event"], entry["source"], entry["request_id"], entry["traceparent"]) for entry in logged] == [
        ("source_lost", "similar", "r", "00-ab")
    ]


def test_two_requests_at_one_time_are_identical():
    def same(envelope: Envelope) -> Any:
        return envelope.candidates, envelope.state, envelope.degraded, envelope.now_ms

    assert same(ask("ann")) == same(ask("ann"))


def test_the_requests_time_counts_only_where_it_is_allowed():
    allowed = Serving(allow_client_time=True, features_budget_ms=5_000, index_budget_ms=5_000)
    assert ask("ann", now_ms=NOW + 5).now_ms == NOW
    assert ask("ann", retriever(serving=allowed), now_ms=NOW + 5).now_ms == NOW + 5


def test_at_least_k_candidates_whatever_the_setting():
    few = Serving(candidates=2, features_budget_ms=5_000, index_budget_ms=5_000)
    assert len(ask("ann", retriever(serving=few), k=7).candidates.video_ids) == 7


@pytest.mark.parametrize(
    ("video", "stage"),
    [
        (
            "zebra",
            "unknown: generation 0123456789abcdef.0 has no such video; "
            "`watchnext pipeline run refresh_index` adds new ones",
        ),
        ("v4", "seen: the user has watched it"),
        ("v9", "restricted in de"),
        ("v1", "it is the video that is being watched"),
        ("v5", "not retrieved: no source proposed it among the 4 candidates"),
        ("v2", ""),
    ],
)
def test_why_not_tells_the_stage(video: str, stage: str):
    few = Serving(candidates=4, features_budget_ms=5_000, index_budget_ms=5_000)
    envelope = ask("bea", retriever(serving=few), seed_video_id="v1", why_not=[video], k=1)
    assert envelope.why_not[video].startswith(stage)
    assert bool(envelope.why_not[video]) == bool(stage)


def test_explaining_names_the_nearest_watched_video():
    envelope = ask("ann", explain=True)
    nearest = dict(zip(envelope.candidates.video_ids, envelope.nearest_watched, strict=True))
    assert nearest["v5"] == "v2"  # (0, 1) is nearer to (0.9, 0.1) than to (1, 0)
    assert ask("ann").nearest_watched == []


def test_a_rung_is_logged_with_the_request_and_its_trace():
    with structlog.testing.capture_logs() as logged:
        ask("torn", traceparent="00-ab")
    assert [(entry["event"], entry["part"], entry["request_id"], entry["traceparent"]) for entry in logged] == [
        ("part_lost", "features", "r", "00-ab")
    ]


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize(
    ("user", "parts", "stages", "lost"),
    [
        ("ann", {}, {"features", "tower", "sources", "index"}, None),
        ("nobody", {}, {"features", "sources"}, None),
        ("torn", {}, {"features", "sources"}, "features"),
        ("ann", {"live": lambda: None}, set(), "generation"),
    ],
)
def test_stages_candidates_and_lost_parts_are_counted(
    user: str, parts: dict[str, Any], stages: set[str], lost: str | None
):
    names = ("features", "tower", "sources", "index")
    before = {stage: sample("watchnext_retrieval_stage_seconds_count", stage=stage) for stage in names}
    envelopes, found = (sample(f"watchnext_retrieval_candidates_{part}") for part in ("count", "sum"))
    losses = sample("watchnext_retrieval_lost_total", part=lost) if lost else 0
    envelope = ask(user, retriever(**parts))
    for stage in names:
        wanted = before[stage] + (stage in stages)
        assert sample("watchnext_retrieval_stage_seconds_count", stage=stage) == wanted
    assert sample("watchnext_retrieval_candidates_count") == envelopes + 1
    assert sample("watchnext_retrieval_candidates_sum") == found + len(envelope.candidates.video_ids)
    if lost:
        assert sample("watchnext_retrieval_lost_total", part=lost) == losses + 1
