import hashlib
import json

import msgspec
import pytest

from watchnext.errors import GenerationError
from watchnext.generation.manifest import FileEntry, Manifest, Pointer, Replica, Target, decode, encode

CONTENTS = {"b.json": b"{}", "a.bin": b"abc"}
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of "abc", FIPS 180-2
EMPTY_OBJECT = hashlib.sha256(b"{}").hexdigest()


def manifest(**changes: object) -> Manifest:
    draft = Manifest(
        generation="",
        hash="",
        collection="",
        files={name: FileEntry.of(data) for name, data in CONTENTS.items()},
        spec_hash="spec",
        snapshot="snap",
        videos=2,
        dim=4,
        counters_at=1_000,
        configs={"tower": {"dim": 4}},
        metrics={"recall@100": 0.25},
        created_at=7,
    )
    sealed = msgspec.structs.replace(draft, generation=draft.content_hash(), hash=draft.content_hash())
    return msgspec.structs.replace(sealed, **changes)


def test_the_id_is_the_hash_of_the_content():
    canonical = json.dumps(
        {
            "base": "",
            "configs": {"tower": {"dim": 4}},
            "counters_at": 1_000,
            "dim": 4,
            "files": [["a.bin", ABC], ["b.json", EMPTY_OBJECT]],
            "metrics": {"recall@100": 0.25},
            "snapshot": "snap",
            "spec_hash": "spec",
            "videos": 2,
        },
        separators=(",", ":"),
    )
    assert manifest().generation == hashlib.sha256(canonical.encode()).hexdigest()[:16]


def test_the_time_of_building_is_not_content():
    assert manifest(created_at=8).content_hash() == manifest().generation


@pytest.mark.parametrize(
    "change",
    [
        {"spec_hash": "other"},
        {"snapshot": "other"},
        {"metrics": {"recall@100": 0.5}},
        {"configs": {}},
        {"videos": 3},
        {"counters_at": 2},
        {"overlay": 1},
    ],
)
def test_all_else_is(change: dict[str, object]):
    assert manifest(**change).content_hash() != manifest().generation


def test_files_as_written_pass():
    manifest().check_files(CONTENTS)


@pytest.mark.parametrize("damaged", [b"ab", b"abd", b""])
def test_a_damaged_file_is_named(damaged: bytes):
    with pytest.raises(GenerationError, match=r"a\.bin has . bytes"):
        manifest().check_files({**CONTENTS, "a.bin": damaged})


def test_a_changed_manifest_is_refused():
    with pytest.raises(GenerationError, match="the manifest was changed"):
        manifest(metrics={"recall@100": 0.99}).check_files(CONTENTS)
    with pytest.raises(GenerationError, match="the manifest was changed"):
        manifest(generation="0" * 16).check_files(CONTENTS)


def test_messages_read_back():
    pointer = Pointer(generation="g", overlay=1, previous=Target("f"), moved_at=5)
    assert decode(encode(pointer), Pointer, "live.json", mend="") == pointer
    assert decode(encode(manifest()), Manifest, "manifest.json", mend="") == manifest()
    assert json.loads(encode(manifest()))["files"]["a.bin"] == {"bytes": 3, "sha256": ABC}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"generation": 3}', b"\xff"])
def test_a_torn_pointer_is_one_error(data: bytes):
    with pytest.raises(GenerationError, match=r"live\.json cannot be read as a pointer \(.*\): restore it$"):
        decode(data, Pointer, "live.json", mend="restore it")


def test_the_pointer_moves_and_moves_back():
    first = Pointer().moved(Target("a"), 10)
    assert (first.live, first.previous, first.moved_at) == (Target("a"), None, 10)
    second = first.moved(Target("b", 1), 20)
    assert (second.live, second.previous) == (Target("b", 1), Target("a"))
    back = second.moved(Target("a"), 30)
    assert (back.live, back.previous) == (Target("a"), Target("b", 1))


def test_publishing_the_live_one_again_keeps_what_can_be_rolled_back_to():
    pointer = Pointer(generation="b", previous=Target("a"))
    assert pointer.moved(Target("b"), 1).previous == Target("a")


def test_what_a_replica_said_of_an_earlier_staging_does_not_count():
    target = Target("b")
    replica = Replica(name="r", at=0, attempt="one", loaded=[target], refused={"c.0": "torn"})
    assert replica.acknowledges(target, "one")
    assert not replica.acknowledges(target, "two")
    assert not replica.acknowledges(Target("b", 1), "one")
    assert replica.refusal(Target("c"), "one") == "torn"
    assert replica.refusal(Target("c"), "two") == ""
