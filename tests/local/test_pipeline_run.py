"""The real pipeline under KFP's local runner, from a simulated world's archive and offline log to a live pointer."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kfp.dsl import Dataset
from rich.console import Console

from benchmarks.quality.event_log import records_of, write_records
from pipelines.components.data import snapshot
from tests.local.milvus_server import MilvusServer
from watchnext.cli.pipeline import Pipeline, run_pipeline
from watchnext.contracts.events import CatalogEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.records import Record
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import GateError, WatchnextError
from watchnext.evaluation.result import Evaluation
from watchnext.generation.manifest import Target
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Milvus, Settings, Training
from watchnext.store.apply import apply
from watchnext.training.snapshot import Snapshot

WORLD = Simulator(WorldConfig(users=120, videos=200, uploads_per_day=4), days=10)
TRAINING = Training(threads=1, gate_recall_factor=0.3, gate_min_auc=0.55)


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("log"), training=TRAINING)
    write_records(settings, records_of(WORLD))
    return settings


def run(pipeline: Pipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command line does: settings reach the tasks by the environment."""
    for name, value in {
        "WATCHNEXT_PROFILE": settings.profile,
        "WATCHNEXT_MILVUS__URI": settings.milvus.uri,
        "WATCHNEXT_FEATURES__ARCHIVE": settings.archive_path,
        "WATCHNEXT_FEATURES__OFFLINE": settings.offline_path,
        "WATCHNEXT_TRAINING": settings.training.model_dump_json(),
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    run_pipeline(pipeline, settings, Console(quiet=True))


@pytest.fixture
def settings(log: Settings, milvus: MilvusServer, tmp_path: Path) -> Settings:
    """A fresh home beside the shared log."""
    features = log.features.model_copy(update={"archive": log.archive_path, "offline": log.offline_path})
    return Settings(home=tmp_path, profile="tiny", features=features, milvus=Milvus(uri=milvus.uri), training=TRAINING)


def test_from_events_to_a_live_generation_and_an_overlay(settings, monkeypatch):
    run(Pipeline.TRAIN, settings, monkeypatch)
    store = GenerationStore.open(settings)
    live = store.live()
    manifest = store.manifest(live.generation)
    assert live.overlay == 0
    assert manifest.metrics["ranker auc"] > 0.55
    assert {"towers recall@50", "popular recall@50", "item cosine recall@50", "video mean xauc"} <= set(
        manifest.metrics
    )
    assert VideoIndex.open(settings).count(manifest.collection) == manifest.videos
    artifacts = next((settings.home / "pipelines").iterdir()) / "evaluate"
    assert "data:image/png;base64," in (artifacts / "report").read_text()
    assert "towers" in (artifacts / "card").read_text()

    fresh = CatalogEvent(video_id="fresh-1", topics=["music"], uploaded_at=1, video_seconds=60)
    grown = with_log(settings, settings.home / "grown")
    write_records(grown, [*records_of(WORLD), (Topic.CATALOG, fresh)])
    apply(grown)
    run(Pipeline.REFRESH_INDEX, grown, monkeypatch)
    assert store.live() == Target(live.generation, 1)
    assert "fresh-1" in store.load(live.generation, 1).videos.video_ids


def test_shuffled_labels_are_refused_and_nothing_is_published(settings, monkeypatch, tmp_path):
    shuffled = with_log(settings, tmp_path / "shuffled")
    write_records(shuffled, shuffle_labels(records_of(WORLD)))
    with pytest.raises(GateError, match=r"held-out AUC of the ranker is 0\.[45]\d+; wanted at least 0\.5500"):
        run(Pipeline.TRAIN, shuffled, monkeypatch)
    store = GenerationStore.open(shuffled)
    assert store.list() == []
    assert store.pointer().live is None
    assert "Not published" in next((shuffled.home / "pipelines").glob("*/evaluate/report")).read_text()


def test_the_snapshot_tells_the_settings_that_the_config_map_holds(log, monkeypatch, tmp_path):
    """A run that is started with an empty form: profile and training come from the YAML."""
    config = tmp_path / "config.yaml"
    config.write_text("profile: tiny\ntraining: {epochs: 9}\ngenerations: {refresh_minutes: 30}\n")
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(config))
    monkeypatch.setenv("WATCHNEXT_FEATURES__ARCHIVE", log.archive_path)
    monkeypatch.setenv("WATCHNEXT_FEATURES__OFFLINE", log.offline_path)

    taken = snapshot.python_func("", '{"seed": 3}', Dataset(uri=str(tmp_path / "frozen")))

    settings = json.loads(taken.settings)
    assert settings["profile"] == "tiny"
    assert (settings["training"]["epochs"], settings["training"]["seed"]) == (9, 3)
    assert settings["generations"] == {"refresh_minutes": 30.0}
    assert taken.snapshot_id == Snapshot.load(tmp_path / "frozen").id


def test_a_folder_named_docker_on_the_path_does_no_harm(settings, monkeypatch, tmp_path):
    """KFP's local runner imports Docker's SDK where it finds one; a folder without code looks like one."""
    (tmp_path / "path" / "docker").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    with pytest.raises(WatchnextError, match="has no watch events; run `watchnext replay` first"):
        run(Pipeline.TRAIN, with_log(settings, tmp_path / "nothing"), monkeypatch)


def test_towers_that_find_less_than_item_cosine_are_refused_and_nothing_is_published(settings, monkeypatch):
    """One step of training, so long that it loses what the ids start at, and no gate but the one of recall."""
    lost = {
        "epochs": 1,
        "tower_epochs": 1,
        "batch": 100_000,
        "tower_learning_rate": 10.0,
        "tower_id_rate": 100.0,
        "gate_recall_factor": 1.0,
        "gate_min_auc": 0.0,
    }
    settings = settings.model_copy(update={"training": TRAINING.model_copy(update=lost)})
    with pytest.raises(GateError) as refused:
        run(Pipeline.TRAIN, settings, monkeypatch)
    [artifacts] = (settings.home / "pipelines").glob("*/evaluate")
    measured = Evaluation.load(artifacts / "evaluation")
    found, wanted = (measured.retrieval[name]["recall@50"] for name in ("towers", "item cosine"))
    assert f"recall@50 of the towers is {found:.4f}; wanted at least {wanted:.4f}" in str(refused.value)
    assert found < wanted
    assert "Not published" in (artifacts / "report").read_text()
    assert GenerationStore.open(settings).list() == []
    assert GenerationStore.open(settings).pointer().live is None


def with_log(settings: Settings, folder: Path) -> Settings:
    """The same settings on another archive and offline log."""
    features = settings.features.model_copy(update={"archive": f"{folder}/archive", "offline": f"{folder}/offline"})
    return settings.model_copy(update={"features": features})


def shuffle_labels(records: list[Record]) -> list[Record]:
    """Every watch moved to an impression drawn at random: clicks that nothing can predict."""
    shown = [event for topic, event in records if topic is Topic.IMPRESSION]
    random = np.random.default_rng(0)

    def moved(watch: WatchEvent) -> WatchEvent:
        to = shown[random.integers(len(shown))]
        return msgspec.structs.replace(
            watch, user_id=to.user_id, video_id=to.video_id, request_id=to.request_id, started_at=to.shown_at + 1_000
        )

    changed = [(topic, moved(event) if topic is Topic.WATCH else event) for topic, event in records]
    still = [record for record in changed if record[0] in (Topic.CATALOG, Topic.PROFILE)]
    moving = [record for record in changed if record[0] not in (Topic.CATALOG, Topic.PROFILE)]
    return [*still, *sorted(moving, key=lambda record: record[1].at_ms)]
