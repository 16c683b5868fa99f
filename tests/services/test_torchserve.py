"""The real TorchServe with the real follower: versions come, answer, survive a restart, and go."""

import os
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_handlers import archive
from model_handlers.archive import archive_name
from model_handlers.management import Management
from model_handlers.versions import RankerVersions
from tests.services.conftest import private_settings
from tests.services.trained import eventually
from tests.unit.generation.world import NOW_MS, parts
from watchnext.contracts.names import ranker_version
from watchnext.features.codec import pack, unpack
from watchnext.features.state import UserState, encode_user
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import Bundle
from watchnext.generation.manifest import Pointer
from watchnext.generation.publish import publish
from watchnext.generation.store import GenerationStore
from watchnext.local import supervisor
from watchnext.local.instance import Instance
from watchnext.local.ports import port_is_free
from watchnext.local.stack import local_servers
from watchnext.models.scorer import Scorer
from watchnext.settings import Settings

SERVERS = ["milvus", "torchserve", "follower"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = private_settings(tmp_path_factory.mktemp("torchserve"))
    with supervisor.running(settings, SERVERS):
        yield settings


@pytest.fixture(scope="module")
def bundle(settings: Settings) -> Bundle:
    store = GenerationStore.open(settings)
    manifest = build_generation(store, parts())
    publish(store, manifest.generation, 0, settings)
    return store.load(manifest.generation)


def a_request(bundle: Bundle, **changes: object) -> bytes:
    probe = bundle.probes[0]
    user = encode_user(UserState.from_rows(probe.row), probe.context, bundle.vocabularies)
    meta = {"generation": bundle.id, "overlay": bundle.overlay, "now_ms": NOW_MS, "k": 10, "explain": True, **changes}
    columns = {
        "row": np.arange(1, 41, dtype=np.int32),
        "score": np.zeros(40, np.float32),
        "sources": np.ones(40, "<i4"),
    }
    return pack(meta, columns | {f"user.{name}": column for name, column in user.to_columns().items()})


def ask(settings: Settings, bundle: Bundle, body: bytes) -> httpx.Response:
    url = f"{settings.serving.ranker_url}/predictions/ranker/{ranker_version(bundle.id, bundle.overlay)}"
    return httpx.post(url, content=body, headers={"content-type": "application/octet-stream"}, timeout=10)


def test_a_published_generation_scores_over_the_wire_as_in_process(settings: Settings, bundle: Bundle):
    body = a_request(bundle)

    response = ask(settings, bundle, body)

    assert response.status_code == 200, response.text
    _, answer = unpack(response.content)
    scorer = Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)
    _, wanted = unpack(scorer.answer(body))
    assert answer.keys() == wanted.keys()
    np.testing.assert_array_equal(answer["features"], wanted["features"])
    np.testing.assert_allclose(answer["expected_seconds"], wanted["expected_seconds"], rtol=1e-5)


def test_the_archive_carries_only_pure_code_and_no_pickle(settings: Settings, bundle: Bundle):
    archive = settings.home / "torchserve" / "model-store" / archive_name(bundle.id, bundle.overlay)

    names = zipfile.ZipFile(archive).namelist()

    assert "watchnext/features/cross.py" in names
    assert {name.split("/")[1] for name in names if name.startswith("watchnext/")} <= {
        "__init__.py",
        "features",
        "models",
    }
    assert not [name for name in names if name.endswith((".pt", ".pkl", ".pyc"))]


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"instances": []}'])
def test_nonsense_gives_a_400_and_the_worker_lives(settings: Settings, bundle: Bundle, body: bytes):
    assert ask(settings, bundle, body).status_code == 400
    assert ask(settings, bundle, a_request(bundle)).status_code == 200


def test_another_generation_is_refused_not_scored(settings: Settings, bundle: Bundle):
    response = ask(settings, bundle, a_request(bundle, generation="f" * 16))

    assert response.status_code == 400
    assert "this ranker serves" in response.text


def test_a_torchserve_that_was_killed_gets_its_versions_back(settings: Settings, bundle: Bundle):
    [torchserve] = local_servers(settings, ["torchserve"])
    before = Instance(torchserve, settings.home).status()
    assert before.pid
    os.killpg(before.pid, signal.SIGKILL)
    assert eventually(lambda: port_is_free(settings.torchserve.inference_port), seconds=10)

    with supervisor.running(settings, SERVERS):
        assert eventually(lambda: _status_code(settings, bundle) == 200, seconds=90)


def test_a_restarted_follower_leaves_nothing_that_went_out_of_use_while_it_was_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = private_settings(tmp_path)
    store = GenerationStore.open(settings)
    model_store = Path(settings.model_store_path)
    gone, previous, live = (build_generation(store, parts(seed=seed)).target for seed in (1, 2, 3))
    with supervisor.running(settings, ["torchserve"]):
        management = Management(
            f"http://127.0.0.1:{settings.torchserve.management_port}", workers=settings.torchserve.workers
        )
        killed = RankerVersions(store, management, model_store)
        store.write_pointer(Pointer(generation=previous.generation, previous=gone))
        killed.load(gone.generation, gone.overlay)
        with monkeypatch.context() as older:
            older.setattr(archive, "HANDLER", _commented(archive.HANDLER, tmp_path))
            killed.load(previous.generation, previous.overlay)
        store.write_pointer(Pointer(generation=live.generation, previous=previous))

        restarted = RankerVersions(store, management, model_store)
        for target in (live, previous):
            restarted.load(target.generation, target.overlay)

        wanted = {str(target): archive_name(target.generation, target.overlay) for target in (live, previous)}
        assert management.archives() == wanted
        assert management.ready_versions() == wanted.keys()
        assert {path.name for path in model_store.iterdir()} == set(wanted.values())

        for target in (live, previous):  # one of them is TorchServe's default version
            restarted.unload(str(target))
        assert management.archives() == {}
        management.close()


def _commented(handler: Path, folder: Path) -> Path:
    other = folder / handler.name
    other.write_text(handler.read_text() + "\n# an older release\n")
    return other


def _status_code(settings: Settings, bundle: Bundle) -> int:
    try:
        return ask(settings, bundle, a_request(bundle)).status_code
    except httpx.HTTPError:
        return 0
