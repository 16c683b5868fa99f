"""The peers in their own environment, on small splits whose answers are known by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers.environment import make_environment, run_peers
from benchmarks.quality.split_files import SCHEMAS, Split, write_split
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
    write_split(Split(folder.name, "handmade", "tastes", 21 * DAY_MS, None, tables), folder)
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


def examples(path: Path, *, scrambled: bool = False) -> Path:
    """Long views follow the first feature and the video; the labels of the test part can be scrambled."""
    draw = np.random.default_rng(5)
    count = 4_000
    features = draw.normal(size=(count, 3)).astype(np.float32)
    video = draw.integers(1, 9, count)
    long_view = features[:, 0] + 0.5 * (video > 4) + draw.normal(size=count) > 0.25
    part = np.repeat([0, 1, 2], [2_400, 800, 800])
    if scrambled:
        long_view = np.where(part == 2, ~long_view, long_view)
    np.savez(
        path,
        features=features,
        feature_names=np.array(["a", "b", "c"]),
        surface=draw.integers(0, 3, count).astype(np.int32),
        video=video.astype(np.int32),
        person=draw.integers(0, 40, count).astype(np.int32),
        clicked=long_view,
        seconds=np.where(long_view, 30, 0).astype(np.float32),
        long_view=long_view,
        video_seconds=np.full(count, 60, np.float32),
        part=part.astype(np.int8),
    )
    return path


def test_ranking_peers_learn_before_the_cut_and_nothing_after_it(tmp_path: Path, home: Path) -> None:
    plain, scrambled = examples(tmp_path / "a.npz"), examples(tmp_path / "b.npz", scrambled=True)
    peers = ["--peers", "video-mean", "logistic-long-view", "logistic-weighted", "lightgbm-long-view"]
    for name, path in (("plain", plain), ("scrambled", scrambled)):
        run_peers("benchmarks.peers.ranking", ["--examples", path, "--out", tmp_path / name, *peers], home)

    labels = np.load(plain)["long_view"][-800:]
    reached = {}
    for name in peers[1:]:
        scores, other = (np.load(tmp_path / out / f"{name}-seed1.npz") for out in ("plain", "scrambled"))
        assert (scores["valid"].shape, scores["test"].shape) == ((800,), (800,))
        np.testing.assert_array_equal(scores["test"], other["test"])
        reached[name] = auc(scores["test"], labels)
    assert reached["video-mean"] == pytest.approx(0.6, abs=0.05)
    assert reached["logistic-long-view"] > 0.75
    assert reached["lightgbm-long-view"] > 0.7
    assert (np.load(tmp_path / "plain/logistic-weighted-seed1.npz")["test"] > 0).all()  # odds


def test_a_program_that_fails_says_why(home: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"(?s)failed \(exit 1\): .*No module named benchmarks.peers.nothing"):
        run_peers("benchmarks.peers.nothing", [], home)
