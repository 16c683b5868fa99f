"""The same user and impressions, encoded and scored three times: by training, by serving, by the archive's own code.

Training joins the offline log; serving reads what the stream had folded by then; the archive is unpacked and run where
nothing else of ours can be imported. Features are equal to the last bit.
"""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

from model_handlers.archive import build_archive
from tests.parity.serving import Served, serve
from tests.parity.world import Trained
from watchnext.features.codec import unpack
from watchnext.features.spec import NEVER_DAYS, RANKER_FEATURES

SCORES = 1e-6  # relative: a score's last bits depend on the batch that it was computed in
HANDLER = Path(__file__).with_name("run_handler.py")


@pytest.fixture(scope="module")
def served(world: Trained) -> dict[str, Served]:
    return serve(world, world.bundle)


def column(features: np.ndarray, name: str) -> np.ndarray:
    return features[:, RANKER_FEATURES.index(name)]


def test_the_impressions_say_something_of_every_kind_of_feature(world: Trained):
    """Else equal features would prove little."""
    features = world.features
    for name in (
        "from_tower",
        "watches_of_video",
        "impressions_of_video",
        "servings_of_video",
        "watches_of_channel",
        "watches_of_topics",
        "video_impressions",
        "video_clicks",
        "video_watches",
        "user_watches",
        "user_impressions",
    ):
        assert len(set(column(features, name).tolist())) > 1, name
    assert (column(features, "days_since_last_query") < NEVER_DAYS).any()
    assert (world.shown["seed_video_id"] != "").any()


def test_training_and_serving_have_the_same_features_to_the_last_bit(world: Trained, served: dict[str, Served]):
    logged = np.stack([served[request].features()[video] for request, video in impressions(world)])
    np.testing.assert_array_equal(logged.view("<i4"), world.features.view("<i4"))


def test_training_and_serving_score_alike(world: Trained, served: dict[str, Served]):
    scores = [served[request].expected_seconds()[video] for request, video in impressions(world)]
    np.testing.assert_allclose(scores, world.expected, rtol=SCORES)


def test_the_archive_alone_answers_as_serving_does(world: Trained, served: dict[str, Served], tmp_path: Path):
    archive, asked, answered = (tmp_path / name for name in ("archive", "asked", "answered"))
    zipfile.ZipFile(build_archive(world.bundle, tmp_path / "store")).extractall(archive)
    asked.mkdir()
    answered.mkdir()
    for request, one in served.items():
        (asked / request).write_bytes(one.payload)

    done = subprocess.run(
        [sys.executable, "-I", "-S", HANDLER, archive, sysconfig.get_path("platlib"), asked, answered],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    loaded = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    ours = {name: file for name, file in loaded.items() if name.split(".")[0] == "watchnext"}
    assert {".".join(name.split(".")[:2]) for name in ours} == {"watchnext", "watchnext.features", "watchnext.models"}
    assert [file for file in ours.values() if not file.startswith(str(archive))] == []
    assert {"msgspec", "pandas", "pydantic", "safetensors", "structlog", "model_handlers"}.isdisjoint(loaded)
    for request, one in served.items():
        _, answer = unpack((answered / request).read_bytes())
        expected = [item.expected_seconds for item in one.answer.items]
        features = np.stack([one.features()[item.video_id] for item in one.answer.items])
        np.testing.assert_array_equal(answer["features"].view("<i4"), features.view("<i4"))
        np.testing.assert_allclose(answer["expected_seconds"][answer["top"]], expected, rtol=SCORES)


def impressions(world: Trained) -> list[tuple[str, str]]:
    """Request and video of each, in the order of training's examples."""
    return list(zip(world.shown["request_id"], world.shown["video_id"], strict=True))
