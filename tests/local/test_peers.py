"""The peers in their own environment, on small splits whose answers are known by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers.environment import make_environment, run_peers
from benchmarks.quality.impressions import TABLE, Impressions
from benchmarks.quality.split_files import SCHEMAS, Split, read_split, write_split
from watchnext.errors import PrerequisiteError
from watchnext.evaluation.ranking import auc
from watchnext.settings import load_settings

USERS = 2_400
TASTES = 40
CLUSTER = 6  # videos of a taste: 1 to 6, 7 to 12, ...; the last video is watched by nobody
VIDEOS = TASTES * CLUSTER + 1
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def home() -> Path:
    home = load_settings().home
    make_environment(home)
    return home


def tastes(folder: Path) -> Path:
    """Each user has watched five of the six videos of a taste; the sixth is asked for. Two strangers ask too."""
    watches, asked, draw = [], [], np.random.default_rng(3)
    for user in range(USERS):
        missing = missing_of(user)
        taste = draw.permutation(np.arange(1, CLUSTER + 1) + CLUSTER * (user % TASTES)).tolist()
        own = [video for video in taste if video != missing]
        watches += [{"user": user, "video": video, "at_ms": user, "derived": False} for video in own]
        asked.append({"user": user, "history": own, "seen": own, "targets": [missing]})
    watches += [{"user": 1, "video": 12, "at_ms": 20 * DAY_MS, "derived": False}]  # all that there was on the last day
    asked += [
        {"user": user, "history": [], "seen": seen, "targets": [6]} for user, seen in ((USERS, []), (USERS + 1, [12]))
    ]
    videos = [
        {"row": row, "video_id": f"v{row}", "channel_id": "c", "topics": [], "seconds": 60.0, "uploaded_ms": 0}
        for row in range(1, VIDEOS + 1)
    ]
    rows = {"videos": videos, "interactions": watches, "queries": asked}
    tables = {name: pa.Table.from_pylist(of, schema=SCHEMAS[name]) for name, of in rows.items()}
    write_split(Split(folder.name, "kuairand", "tastes", 21 * DAY_MS, None, tables), folder)
    return folder


def missing_of(user: int) -> int:
    return user // TASTES % CLUSTER + 1 + CLUSTER * (user % TASTES)


@pytest.mark.slow
def test_retrieval_peers_rank_what_a_query_has_not_seen(tmp_path: Path, home: Path) -> None:
    valid, test, out = tastes(tmp_path / "valid"), tastes(tmp_path / "test"), tmp_path / "lists"
    peers = ["popular-last-day", "item-knn", "youtube-dnn"]
    run_peers("benchmarks.peers.retrieval", ["--valid", valid, "--test", test, "--out", out, "--peers", *peers], home)
    ranked = {name: np.load(out / f"{name}-seed1.npz")["ranked"] for name in peers}

    assert {(lists.shape, lists.dtype.name) for lists in ranked.values()} == {((USERS + 2, 200), "int32")}
    popular = ranked["popular-last-day"]
    assert popular[[0, 1, USERS, USERS + 1], 0].tolist() == [12, 0, 12, 0]  # 1 and the last have seen 12
    for name in ("item-knn", "youtube-dnn"):
        tops = ranked[name][:USERS, 0].tolist()
        assert np.mean([top == missing_of(user) for user, top in enumerate(tops)]) > 0.95, name
        assert not np.isin(ranked[name], [VIDEOS]).any()  # nobody watched it
    assert ranked["item-knn"][USERS:, :2].tolist() == [[12, 0], [0, 0]]  # strangers get the popular of the last day
    assert (out / "youtube-dnn-seed3.npz").is_file()

    said = json.loads((out / "item-knn.json").read_text())
    assert set(said["packages"]) == {"rectools", "pm-implicit"}
    assert said["chosen"]["value"] == pytest.approx(USERS / (USERS + 2))


def test_ease_answers_from_the_last_watches_where_a_video_is_in_none_of_them(tmp_path: Path, home: Path) -> None:
    """The newest video is the first of 22 watches of its only user: of the last 20 there is none of it."""
    watches = [{"user": user, "video": video, "at_ms": video} for user in range(20) for video in range(1, 23)]
    watches += [{"user": 20, "video": video, "at_ms": at} for at, video in enumerate([23, *range(1, 22)])]
    queries = [{"user": 20, "history": [*range(1, 22)], "seen": [23, *range(1, 22)], "targets": [22]}]
    folder = small_split(tmp_path, videos=23, watches=watches, queries=queries)
    arguments = ["--valid", folder, "--test", folder, "--out", tmp_path, "--peers", "ease"]
    assert run_peers("benchmarks.peers.retrieval", arguments, home) == ["ease"]

    assert np.load(tmp_path / "ease-seed1.npz")["ranked"][0, :2].tolist() == [22, 0]


def test_of_whom_sasrec_learns_nothing_they_get_the_popular(tmp_path: Path, home: Path) -> None:
    """It learns from users of two watches or more: user 20 has one, of a video that nobody else watched."""
    watches = [{"user": user, "video": video, "at_ms": video} for user in range(20) for video in (1, 2)]
    watches.append({"user": 20, "video": 3, "at_ms": 3})
    queries = [
        {"user": 0, "history": [1, 2], "seen": [1], "targets": [2]},
        {"user": 20, "history": [3], "seen": [3], "targets": [1]},
    ]
    folder = small_split(tmp_path, videos=3, watches=watches, queries=queries)
    arguments = ["--valid", folder, "--test", folder, "--out", tmp_path, "--peers", "sasrec"]
    run_peers("benchmarks.peers.retrieval", arguments, home)

    ranked = np.load(tmp_path / "sasrec-seed1.npz")["ranked"]
    assert ranked[0, :2].tolist() == [2, 0]  # it knows two videos
    assert sorted(ranked[1, :3].tolist()) == [0, 1, 2]


def small_split(home: Path, *, videos: int, watches: list[dict[str, int]], queries: list[dict[str, Any]]) -> Path:
    """A folder with a split of these rows."""
    rows = {
        "videos": [
            {"row": row, "video_id": f"v{row}", "channel_id": "c", "topics": [], "seconds": 60.0, "uploaded_ms": 0}
            for row in range(1, videos + 1)
        ],
        "interactions": [{**watch, "derived": False} for watch in watches],
        "queries": queries,
    }
    tables = {name: pa.Table.from_pylist(of, schema=SCHEMAS[name]) for name, of in rows.items()}
    write_split(Split("split", "kuairand", "hand", DAY_MS, None, tables), home / "split")
    return home / "split"


def impressions(folder: Path, *, past: int, scrambled: bool = False) -> Path:
    """Long views follow the first feature and the video; the labels of what is held out can be scrambled."""
    draw = np.random.default_rng(5)
    count = past + 800
    features = draw.normal(size=(count, 3)).astype(np.float32)
    video = draw.integers(1, 9, count)
    held_out = np.arange(count) >= past
    long_view = features[:, 0] + 0.5 * (video > 4) + draw.normal(size=count) > 0.25
    if scrambled:
        long_view = np.where(held_out, ~long_view, long_view)
    table = Impressions(
        held_out=held_out,
        features=features,
        context=draw.integers(0, 3, (count, 2)),
        surface=np.full(count, "tab-1"),
        video=video,
        person=draw.integers(0, 40, count),
        clicked=long_view,
        seconds=np.where(long_view, 30, 0).astype(np.float32),
        long_view=long_view,
        video_seconds=np.full(count, 60, np.float32),
    ).table(("a", "b", "c"), ("surface", "hour"))
    videos = pa.table({"row": range(1, 9)})
    write_split(Split(folder.name, "handmade", "drawn", None, None, {"videos": videos, TABLE: table}), folder)
    return folder


def test_ranking_peers_learn_before_the_cut_and_nothing_after_it(tmp_path: Path, home: Path) -> None:
    valid = impressions(tmp_path / "valid", past=2_400)
    peers = ["--peers", "video-mean", "logistic-long-view", "logistic-weighted", "lightgbm-long-view"]
    for name in ("plain", "scrambled"):
        test = impressions(tmp_path / f"test-{name}", past=3_200, scrambled=name == "scrambled")
        run_peers(
            "benchmarks.peers.ranking", ["--valid", valid, "--test", test, "--out", tmp_path / name, *peers], home
        )

    asked = Impressions.of(read_split(tmp_path / "test-plain")).asked
    reached = {}
    for name in peers[1:]:
        scores, other = (np.load(tmp_path / out / f"{name}-seed1.npz")["scores"] for out in ("plain", "scrambled"))
        assert scores.shape == (800,)
        np.testing.assert_array_equal(scores, other)
        reached[name] = auc(scores, asked.long_view)
    assert reached["video-mean"] == pytest.approx(0.6, abs=0.05)
    assert reached["logistic-long-view"] > 0.75
    assert reached["lightgbm-long-view"] > 0.7
    assert (np.load(tmp_path / "plain/logistic-weighted-seed1.npz")["scores"] > 0).all()  # odds


def test_a_program_that_fails_says_why(home: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"(?s)failed \(exit 1\): .*No module named benchmarks.peers.nothing"):
        run_peers("benchmarks.peers.nothing", [], home)
