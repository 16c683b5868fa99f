"""The generation store in a bucket of a real S3-compatible server; another client looks at it and writes to it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from s3fs import S3FileSystem
from structlog.testing import capture_logs

from tests.local.bucket_server import ACCESS, BUCKET, REGION, SECRET, BucketServer
from tests.local.generations.changes import eventually, serving
from tests.local.milvus_server import MilvusServer
from tests.unit.generation.world import VIDEOS, parts
from watchnext.errors import GenerationError, GenerationStoreError
from watchnext.generation.build import build_generation
from watchnext.generation.files import Files
from watchnext.generation.follow import Follower
from watchnext.generation.lock import publishing
from watchnext.generation.manifest import Pointer, Target
from watchnext.generation.publish import publish, rollback
from watchnext.generation.static import StaticList
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import verify_probes
from watchnext.settings import Generations, Milvus, Settings

POINTERS = [Pointer(generation="a" * 16), Pointer(generation="b" * 16, previous=Target("c" * 16, 7), moved_at=10**12)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    server = BucketServer(tmp_path_factory.mktemp("bucket"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """The owner's, as environment; called, other ones."""

    def use(access: str, secret: str) -> None:
        S3FileSystem.clear_instance_cache()  # a process has one identity, these tests have some
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)

    use(ACCESS, SECRET)
    yield use
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """A part of the bucket that is this test's own."""
    return tmp_path.name


@pytest.fixture
def settings(server: BucketServer, milvus_server: MilvusServer, tmp_path: Path, prefix: str) -> Settings:
    return Settings(
        home=tmp_path,
        milvus=Milvus(uri=milvus_server.uri),
        generations=Generations(
            url=f"s3://{BUCKET}/{prefix}", endpoint=server.endpoint, region=REGION, ack_timeout_s=20, poll_s=0.05
        ),
    )


@pytest.fixture
def store(settings: Settings) -> GenerationStore:
    return GenerationStore.open(settings)


@pytest.fixture
def files(server: BucketServer, prefix: str) -> Files:
    return Files(f"s3://{BUCKET}/{prefix}", endpoint=server.endpoint, region=REGION)


def put(server: BucketServer, key: str, data: bytes) -> None:
    server.client.put_object(Bucket=BUCKET, Key=key, Body=data)


def got(server: BucketServer, key: str) -> bytes:
    return server.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_what_is_written_is_an_object_of_the_bucket(server: BucketServer, files: Files, prefix: str):
    files.write("a/one.json", b"1")
    files.write("a/one.json", b"2")
    files.write("b/c/deep", b"")
    assert got(server, f"{prefix}/a/one.json") == files.read("a/one.json") == b"2"
    assert (files.folders(""), files.names("a"), files.names("nowhere")) == (["a", "b"], ["one.json"], [])
    assert (files.exists("b/c/deep"), files.exists("b/c/deeper")) == (True, False)
    files.delete("a/one.json")
    files.delete("a/one.json")
    assert files.folders("") == ["b"]
    with pytest.raises(FileNotFoundError):
        files.read("a/one.json")


def test_a_file_that_goes_in_parts_is_whole(files: Files):
    data = os.urandom(2**20) * 101  # over 100 MiB
    files.write("vectors.safetensors", data)
    assert files.read("vectors.safetensors") == data
    files.delete("vectors.safetensors")


def test_each_look_sees_what_another_process_did_before(server: BucketServer, files: Files, prefix: str):
    files.write("replicas/ours.json", b"old")
    assert files.names("replicas") == ["ours.json"]
    put(server, f"{prefix}/replicas/theirs.json", b"")
    put(server, f"{prefix}/replicas/ours.json", b"newer")
    assert (files.names("replicas"), files.read("replicas/ours.json")) == (["ours.json", "theirs.json"], b"newer")
    server.client.delete_object(Bucket=BUCKET, Key=f"{prefix}/replicas/ours.json")
    assert (files.names("replicas"), files.exists("replicas/ours.json")) == (["theirs.json"], False)


def test_of_many_who_create_at_once_one_does(files: Files):
    started = threading.Barrier(16)

    def create(number: int) -> bool:
        started.wait()
        return files.create("publish.lock", str(number).encode())

    with ThreadPoolExecutor(16) as threads:
        created = list(threads.map(create, range(16)))
    assert created.count(True) == 1
    assert files.read("publish.lock") == str(created.index(True)).encode()


def test_whoever_reads_the_pointer_while_it_is_replaced_reads_one_of_both(store: GenerationStore):
    store.write_pointer(POINTERS[0])
    done = threading.Event()

    def read() -> list[Pointer]:
        seen = []
        while not done.is_set():
            seen.append(store.pointer())
        return seen

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        for number in range(100):
            store.write_pointer(POINTERS[number % 2])
        done.set()
        seen = [pointer for reader in readers for pointer in reader.result()]
    assert len(seen) > 10
    assert {str(pointer) for pointer in seen} <= {str(pointer) for pointer in POINTERS}


def test_a_generation_is_built_listed_loaded_and_refused_once_it_is_damaged(
    server: BucketServer, store: GenerationStore, prefix: str
):
    built = build_generation(store, parts())
    assert json.loads(got(server, f"{prefix}/{built.generation}/manifest.json"))["videos"] == VIDEOS
    assert store.list() == [built]
    verify_probes(store.load(built.generation))

    ranker = f"{prefix}/{built.generation}/ranker.safetensors"
    whole = got(server, ranker)
    put(server, ranker, whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(GenerationError, match=rf"ranker\.safetensors has {len(whole)} bytes with sha256 .* is damaged"):
        store.load(built.generation)
    server.client.delete_object(Bucket=BUCKET, Key=ranker)
    with pytest.raises(GenerationError, match=r"ranker\.safetensors is missing: the store is damaged"):
        store.load(built.generation)

    assert build_generation(store, parts()).generation == built.generation
    assert got(server, ranker) == whole


def watchnext(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a process of its own: it has no cache of ours."""
    of = settings.generations
    environment = os.environ | {
        "WATCHNEXT_MILVUS__URI": settings.milvus.uri,
        "WATCHNEXT_GENERATIONS__URL": of.url,
        "WATCHNEXT_GENERATIONS__ENDPOINT": of.endpoint,
        "WATCHNEXT_GENERATIONS__REGION": of.region,
        "WATCHNEXT_GENERATIONS__POLL_S": str(of.poll_s),
    }
    command = [str(Path(sys.executable).parent / "watchnext"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_another_process_publishes_to_two_followers_and_rolls_back(
    server: BucketServer, store: GenerationStore, settings: Settings, prefix: str
):
    first, second = (
        build_generation(store, parts(seed=seed, snapshot=f"{prefix}-{seed}")).generation for seed in (1, 2)
    )
    publish(store, first, 0, settings)
    with ExitStack() as stack:
        followers = [
            stack.enter_context(Follower(store, name, store.load, poll_s=settings.generations.poll_s))
            for name in ("r1", "r2")
        ]
        assert [following.wait(20).id for following in followers] == [first, first]

        run = watchnext(settings, "generation", "publish", second)

        assert run.returncode == 0, run.stderr
        assert all(one.get(second, 0) is not None for one in followers)  # the pointer waited for both
        assert json.loads(got(server, f"{prefix}/live.json"))["generation"] == second
        eventually(lambda: [serving(one.current()) for one in followers] == [Target(second)] * 2)
        assert all(one.get(first, 0) is not None for one in followers)
        rollback(store)
        eventually(lambda: [serving(one.current()) for one in followers] == [Target(first)] * 2)
        assert store.files.names("replicas") == ["r1.json", "r2.json"]
    assert store.files.names("replicas") == []


def test_a_second_publisher_is_refused_and_of_two_at_once_one_at_least_is_live(
    store: GenerationStore, settings: Settings, prefix: str
):
    first, second = (
        build_generation(store, parts(seed=seed, snapshot=f"{prefix}-{seed}")).generation for seed in (1, 2)
    )
    with (
        publishing(store.files, store.clock, hold_s=60),
        pytest.raises(GenerationError, match=f"is publishing to s3://{BUCKET}/{prefix}: wait for it"),
    ):
        publish(store, first, 0, settings)
    assert store.pointer() == Pointer()

    started = threading.Barrier(2)

    def go_live(generation: str) -> str:
        started.wait()
        try:
            return str(publish(GenerationStore.open(settings), generation, 0, settings).live)
        except GenerationError as error:
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(go_live, (first, second)))
    assert str(store.live()) in said
    others = [one for one in said if one not in (f"{first}.0", f"{second}.0")]
    assert [one for one in others if "is publishing to" not in one and "begun to publish to" not in one] == []
    assert not store.files.exists("publish.lock")


def test_a_bucket_that_is_away_stops_nobody_and_is_followed_again(tmp_path: Path, prefix: str):
    server = BucketServer(tmp_path)
    server.start()
    store = GenerationStore(f"s3://{BUCKET}/{prefix}", endpoint=server.endpoint, region=REGION)
    first, second = (build_generation(store, parts(seed=seed, probes=2)).generation for seed in (1, 2))
    store.write_pointer(Pointer(generation=first))
    following = Follower(store, "r1", lambda generation, overlay: generation, poll_s=0.05)
    static = StaticList(store, poll_s=0.05)
    with capture_logs() as logs:

        def told(event: str, **fields: str) -> bool:
            return any({"event": event, **fields}.items() <= entry.items() for entry in logs)

        with following:
            static.start()
            assert following.wait(20) == first
            eventually(lambda: told("static_list.read", target=f"{first}.0"))
            server.kill()
            eventually(lambda: told("generation.follower_failed") and told("static_list.not_read"))
            assert (following.current(), len(static.ids())) == (first, VIDEOS - VIDEOS // 10)
            with pytest.raises(GenerationStoreError, match=r"no answer of a bucket came .* is the server up"):
                store.pointer()
            server.start()
            store.write_pointer(Pointer(generation=second))
            eventually(lambda: following.current() == second)
            eventually(lambda: told("static_list.read", target=f"{second}.0"))
            static.stop()
            server.kill()
        assert told("generation.replica_not_forgotten", replica="r1")


def test_a_bucket_that_is_missing_is_no_empty_store(server: BucketServer):
    store = GenerationStore(f"s3://no-such-bucket/{BUCKET}", endpoint=server.endpoint, region=REGION)
    for ask in (store.pointer, store.list, store.replicas.alive, lambda: store.write_pointer(Pointer())):
        with pytest.raises(GenerationStoreError, match=r"there is no such bucket: make it, or set generations\.url"):
            ask()
    with pytest.raises(GenerationStoreError, match="there is no such bucket"):
        build_generation(store, parts(probes=2))


def test_a_user_who_may_not_write_is_told_what_he_needs(
    server: BucketServer, files: Files, prefix: str, credentials: Callable[[str, str], None]
):
    files.write("live.json", b"{}")
    server.add_user("reader", "reader-secret", "s3:GetObject")
    credentials("reader", "reader-secret")
    reader = Files(f"s3://{BUCKET}/{prefix}", endpoint=server.endpoint, region=REGION)
    assert (reader.read("live.json"), reader.names("")) == (b"{}", ["live.json"])
    for refused in (lambda: reader.write("live.json", b""), lambda: reader.create("lock", b"")):
        with pytest.raises(GenerationStoreError, match=r"may not do that \(Access Denied.*\): AWS_ACCESS_KEY_ID"):
            refused()
    with pytest.raises(GenerationStoreError, match="get, put and delete its objects"):
        reader.delete("live.json")
    assert files.read("live.json") == b"{}"


def test_the_rights_that_the_message_names_are_enough(
    server: BucketServer, prefix: str, credentials: Callable[[str, str], None]
):
    server.add_user("writer", "writer-secret", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    credentials("writer", "writer-secret")
    store = GenerationStore(f"s3://{BUCKET}/{prefix}", endpoint=server.endpoint, region=REGION)
    built = build_generation(store, parts(probes=2))
    with publishing(store.files, store.clock, hold_s=60):
        store.write_pointer(Pointer(generation=built.generation))
    assert (store.list(), store.live(), store.files.names("")) == ([built], Target(built.generation), ["live.json"])


@pytest.mark.parametrize(("access", "secret"), [("nobody", SECRET), (ACCESS, "guessed")])
def test_wrong_credentials_are_named(
    server: BucketServer, credentials: Callable[[str, str], None], access: str, secret: str
):
    credentials(access, secret)
    store = GenerationStore(f"s3://{BUCKET}/x", endpoint=server.endpoint, region=REGION)
    for ask in (store.pointer, store.list):
        with pytest.raises(GenerationStoreError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are wanted"):
            ask()


def test_missing_credentials_are_named(
    server: BucketServer, credentials: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no cloud that could know who this machine is
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(GenerationStoreError, match=r"no credentials came .* set AWS_ACCESS_KEY_ID"):
        GenerationStore(f"s3://{BUCKET}/x", endpoint=server.endpoint, region=REGION).pointer()


def test_another_region_is_named(server: BucketServer):
    store = GenerationStore(f"s3://{BUCKET}/x", endpoint=server.endpoint, region="us-east-1")
    with pytest.raises(GenerationStoreError, match=r"as of another region: set generations\.region"):
        store.pointer()


def test_the_command_line_says_what_a_bucket_is_short_of_in_one_line(settings: Settings):
    missing = settings.model_copy(
        update={"generations": settings.generations.model_copy(update={"url": "s3://no-such-bucket/x"})}
    )
    run = watchnext(missing, "generation", "list")
    assert run.returncode == 1
    assert (
        run.stderr.strip()
        .splitlines()[-1]
        .endswith(
            "s3://no-such-bucket/x: there is no such bucket: make it, or set generations.url to one that is there"
        )
    )
    assert "Traceback" not in run.stderr
