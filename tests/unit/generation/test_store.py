"""Bundles in a store in memory: written, read back, damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from tests.unit.generation.world import NOW_MS, VIDEOS, parts
from watchnext.clock import FixedClock
from watchnext.errors import GenerationError, GenerationStoreError, NoGenerationError
from watchnext.features import cross
from watchnext.features.codec import pack
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.state import UserState, encode_user
from watchnext.generation import store as store_module
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import Bundle
from watchnext.generation.files import Files
from watchnext.generation.lock import publishing
from watchnext.generation.manifest import Manifest, Target, encode
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import verify_probes
from watchnext.settings import Generations, Settings


@pytest.fixture
def store(tmp_path: Path) -> GenerationStore:
    return GenerationStore(f"memory://{tmp_path}", clock=FixedClock(NOW_MS))


@pytest.fixture
def built(store: GenerationStore) -> Manifest:
    return build_generation(store, parts())


def test_what_was_built_is_read_back(store: GenerationStore, built: Manifest):
    wanted, bundle = parts(), store.load(built.generation)
    assert (bundle.id, bundle.overlay, bundle.manifest) == (built.generation, 0, built)
    assert bundle.collection == f"videos_{built.generation}_0"
    assert bundle.vocabularies == wanted.vocabularies
    assert bundle.videos.titles[7] == "Film 7 – größer"
    for name, column in wanted.videos.columns().items():
        np.testing.assert_array_equal(bundle.videos.columns()[name], column)
    for name, weight in wanted.tower.state_dict().items():
        assert torch.equal(bundle.tower.state_dict()[name], weight)
    for name, weight in wanted.ranker.state_dict().items():
        assert torch.equal(bundle.ranker.state_dict()[name], weight)
    values = np.random.default_rng(0).random((3, bundle.quantiles.features))
    np.testing.assert_array_equal(bundle.quantiles(values), wanted.quantiles(values))
    for name, column in wanted.item_item.columns().items():
        np.testing.assert_array_equal(bundle.item_item.columns()[name], column)
    assert not bundle.tower.training
    assert not bundle.ranker.training
    first = bundle.probes[0]
    assert (first.row, first.context) == (wanted.probes[0].row, wanted.probes[0].context)
    encoded = encode_user(UserState.from_rows(first.row), first.context, bundle.vocabularies)
    again = encode_user(UserState.from_rows(wanted.probes[0].row), first.context, wanted.vocabularies)
    assert pack({}, encoded.to_columns()) == pack({}, again.to_columns())


def test_equal_content_is_one_generation_and_other_content_another(store: GenerationStore, built: Manifest):
    assert build_generation(store, parts()).generation == built.generation
    others = {
        build_generation(store, parts(seed=2)).generation,
        build_generation(store, parts(snapshot="s2")).generation,
    }
    assert len({built.generation, *others}) == 3
    assert len(store.list()) == 3


def test_a_generation_is_written_once(store: GenerationStore, built: Manifest):
    later = GenerationStore(store.files.url, clock=FixedClock(NOW_MS + 1))
    build_generation(later, parts())
    assert store.manifest(built.generation).created_at == NOW_MS


def test_vectors_and_popular_lists(store: GenerationStore, built: Manifest):
    bundle = store.load(built.generation)
    assert bundle.vectors.shape == (VIDEOS + 1, built.dim)
    assert not bundle.vectors[0].any()
    assert len(np.unique(bundle.vectors, axis=0)) == VIDEOS + 1
    assert bundle.popular[""].tolist() == list(range(VIDEOS, 0, -1))  # row n has n watches
    assert bundle.popular["fr"].tolist() == [3, 2, 1]


def test_probe_users_get_different_lists_of_videos_that_exist(store: GenerationStore, built: Manifest):
    probes = store.load(built.generation).probes
    assert len({probe.expected for probe in probes}) > len(probes) / 2
    assert all(len(set(probe.expected)) == 10 and "" not in probe.expected for probe in probes)


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
@pytest.mark.parametrize(
    "name", ["tower.safetensors", "item_item.safetensors", "vectors.safetensors", "vocabularies.json", "probes.json"]
)
def test_a_damaged_file_is_found_before_it_is_used(store: GenerationStore, built: Manifest, name: str, damage: str):
    path = f"{built.generation}/{name}"
    data = store.files.read(path)
    if damage == "missing":
        store.files.delete(path)
    else:
        store.files.write(path, data[:-1] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(GenerationError, match=name.replace(".", r"\.")):
        store.load(built.generation)


def test_a_changed_manifest_is_found(store: GenerationStore, built: Manifest):
    changed = msgspec.structs.replace(built, metrics={"recall@100": 0.99})
    store.files.write(f"{built.generation}/manifest.json", encode(changed))
    with pytest.raises(GenerationError, match="the manifest was changed"):
        store.load(built.generation)


@pytest.mark.parametrize("name", ["tower.safetensors", "probes.json", "manifest.json"])
@pytest.mark.parametrize("left", [None, b"", b"{}"])
def test_building_a_damaged_generation_again_mends_it(
    store: GenerationStore, built: Manifest, name: str, left: bytes | None
):
    if left is None:
        store.files.delete(f"{built.generation}/{name}")
    else:
        store.files.write(f"{built.generation}/{name}", left)
    assert build_generation(store, parts()) == built
    assert store.load(built.generation).manifest == built


def test_a_manifest_in_another_place_is_found(store: GenerationStore, built: Manifest):
    for name in ("manifest.json", *built.files):
        store.files.write(f"{'0' * 16}/{name}", store.files.read(f"{built.generation}/{name}"))
    with pytest.raises(GenerationError, match=f"is the manifest of {built.generation}"):
        store.load("0" * 16)


def test_other_feature_code_is_refused_and_told_to_retrain(
    store: GenerationStore, built: Manifest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_module, "spec_hash", lambda: "0123456789abcdef")
    with pytest.raises(GenerationError, match="this code has 0123456789abcdef: retrain"):
        store.load(built.generation)


def test_an_unknown_generation_or_overlay_is_one_error(store: GenerationStore, built: Manifest):
    with pytest.raises(GenerationError, match="there is no generation 'nope'"):
        store.load("nope")
    with pytest.raises(GenerationError, match="no such overlay"):
        store.load(built.generation, 3)
    with pytest.raises(GenerationError, match="there is no generation"):
        store.manifest("../elsewhere")


def test_nothing_published_is_its_own_error(store: GenerationStore):
    assert store.pointer().live is None
    with pytest.raises(NoGenerationError, match="watchnext pipeline run"):
        store.live()


def test_models_that_changed_meaning_fail_the_probes(store: GenerationStore, built: Manifest):
    bundle = store.load(built.generation)
    verify_probes(bundle)
    with torch.no_grad():
        bundle.tower.user_vector.weight.mul_(-1)
        bundle.tower.history_gain.mul_(-1)
    with pytest.raises(GenerationError, match=r"probe user \d+ of .* no longer gets video v\d+ at place 1"):
        verify_probes(bundle)


def test_a_tower_without_numbers_is_not_built(store: GenerationStore):
    """Nothing differs from NaN by more than a tie: it verified, with the videos in the order of their rows."""
    diverged = parts()
    with torch.no_grad():
        diverged.tower.user_vector.weight.fill_(float("nan"))
    with pytest.raises(GenerationError, match=r"probe user 0 of .* no longer gets video v001 at place 1"):
        build_generation(store, diverged)


def _other_ranker(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    with torch.no_grad():
        bundle.ranker.watch_time.bias.add_(0.001)  # a thousandth more seconds
    return bundle


def _other_quantiles(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    features = bundle.quantiles.features
    return _with(bundle, quantiles=QuantileNormalizer.fit(np.random.default_rng(9).random((50, features)), bins=8))


def _other_cross_features(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(cross, "PRIOR", 50.0)
    return bundle


@pytest.mark.parametrize("change", [_other_ranker, _other_quantiles, _other_cross_features])
def test_a_ranker_quantiles_or_features_that_changed_fail_the_probes(
    store: GenerationStore,
    built: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Bundle, pytest.MonkeyPatch], Bundle],
):
    changed = change(store.load(built.generation), monkeypatch)
    with pytest.raises(GenerationError, match=r"probe user \d+ of .* is expected to watch video v\d+ for .* retrain"):
        verify_probes(changed)


def test_seconds_may_differ_in_their_last_digits(store: GenerationStore, built: Manifest):
    bundle = store.load(built.generation)
    with torch.no_grad():
        bundle.ranker.watch_time.bias.add_(0.00001)
    verify_probes(bundle)


def test_ties_may_change_places(store: GenerationStore, built: Manifest):
    bundle = store.load(built.generation)
    rows = bundle.vocabularies.videos.indices(bundle.probes[0].expected)
    bundle.vectors[rows[4]] = bundle.vectors[rows[3]]  # places 4 and 5 now score alike
    verify_probes(_only(bundle, 0))
    bundle.vectors[rows[4]] *= 3
    with pytest.raises(GenerationError, match="no longer gets"):
        verify_probes(_only(bundle, 0))


def test_a_bundle_whose_parts_do_not_fit_is_refused(store: GenerationStore, built: Manifest):
    contents = {name: store.files.read(f"{built.generation}/{name}") for name in built.files}
    wrong = store.write(
        contents,
        snapshot="s",
        videos=built.videos + 1,
        dim=built.dim,
        counters_at=0,
        configs=built.configs,
        metrics={},
    )
    with pytest.raises(GenerationError, match="61 vectors, 61 video rows and 61 vocabulary rows; wanted 62"):
        store.load(wrong.generation)


def test_targets_are_words(built: Manifest):
    assert str(Target(built.generation, 2)) == f"{built.generation}.2"


def _only(bundle: Bundle, number: int) -> Bundle:
    return _with(bundle, probes=[bundle.probes[number]])


def _with(bundle: Bundle, **changes: Any) -> Bundle:
    return Bundle(**{name: getattr(bundle, name) for name in Bundle.__dataclass_fields__} | changes)


def test_a_store_that_refuses_is_no_damaged_generation(store: GenerationStore, built: Manifest):
    class Refusing(Files):
        def read(self, path: str) -> bytes:
            raise GenerationStoreError(f"{self.url}: no answer of a bucket came")

    there = store.files
    store.files = Refusing(there.url)
    with pytest.raises(GenerationStoreError, match="no answer"):
        build_generation(store, parts())
    assert GenerationStore(there.url).list() == [built]


def test_the_settings_say_where_the_bucket_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    at = Generations(url="s3://bucket/prefix", endpoint="http://127.0.0.1:1", region="eu-test-1")
    with pytest.raises(GenerationStoreError, match=r"^s3://bucket/prefix: .*http://127\.0\.0\.1:1/bucket/prefix/live"):
        GenerationStore.open(Settings(generations=at)).pointer()


def test_a_torn_file_names_what_mends_it(store: GenerationStore, built: Manifest):
    """A torn `live.json` ended each publish and each list, and no message said what to do."""
    torn = {
        "live.json": r"restore it, or delete it and publish again \(`watchnext generation publish ID`\)",
        f"{built.generation}/manifest.json": r"remove the folder of .* and build it again \(`watchnext pipe",
        "replicas/r1.json": "delete it, its process writes it anew while it lives",
        "publish.lock": "delete it, unless somebody publishes now",
    }
    for path in torn:
        store.files.write(path, b'{"name": ')

    with pytest.raises(GenerationError, match=torn["live.json"]):
        store.pointer()
    with pytest.raises(GenerationError, match=torn[f"{built.generation}/manifest.json"]):
        store.manifest(built.generation)
    with pytest.raises(GenerationError, match=torn["replicas/r1.json"]):
        store.replicas.alive()
    with pytest.raises(GenerationError, match=torn["publish.lock"]), publishing(store.files, store.clock, hold_s=1):
        pass
