"""Workers killed and frozen in the middle of their writes lose nothing and double nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
import redis

from tests.services import stream_world
from tests.services.conftest import private_settings
from tests.services.stream_rig import Fault, Step, is_stopped, start_worker
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import ROW_OF_TOPIC, ROW_OF_VIEW, FeatureRow
from watchnext.local import supervisor
from watchnext.parts import parts_of
from watchnext.settings import Settings
from watchnext.store.apply import apply
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.archive import LOG_OFFSET, LOG_PARTITION, read_archive
from watchnext.stream.batch import batch_fold
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import INPUT_TOPICS, ensure_topics

EVENTS = 50_000
SESSION_MS = 2_000
STEPS: tuple[Step, ...] = ("archive", "offline", "deltas", "online", "commit", "merge")
START = 1_700_000_000_000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker and a Valkey of our own: what the workers do to them is nobody else's business."""
    settings = private_settings(
        tmp_path_factory.mktemp("stream"), kafka={"session_timeout_ms": SESSION_MS, "batch_events": 500}
    )
    with supervisor.running(settings, only=("kafka", "valkey")):
        yield settings


@pytest.fixture(scope="module")
def log(settings: Settings) -> stream_world.Log:
    """The producer's log, after two workers, six SIGKILLs and a SIGSTOP have folded it."""
    ensure_topics(settings)
    log: stream_world.Log = [*stream_world.catalog(), *stream_world.happenings(3, EVENTS, START)]
    with EventProducer(settings) as producer:
        producer.send_many(log)
    _work_through_faults(settings, random.Random(11))
    return log


@pytest.fixture(scope="module")
def online(settings: Settings, log: stream_world.Log) -> dict[View, dict[str, FeatureRow]]:
    """Every row in the online store, of every key that the log names."""
    return _rows(settings, log)


def _rows(settings: Settings, log: stream_world.Log) -> dict[View, dict[str, FeatureRow]]:
    store = FeatureStoreRows.open(settings)
    users = {event.key for topic, event in log if topic is not Topic.CATALOG}
    videos = {video for _, event in log if (video := getattr(event, "video_id", None))}
    return {
        view: store.read_rows(view, sorted(users if view.value.startswith("user") else videos)) for view in ROW_OF_VIEW
    }


def _work_through_faults(settings: Settings, draw: random.Random) -> None:
    """Two workers at a time; six die at a random write, one freezes until its partitions have long been moved."""
    faults = [Fault(step, draw.randrange(2, 5), draw.random() < 0.5) for step in STEPS]
    faults.insert(3, Fault("online", 3, after=False, signal=signal.SIGSTOP))
    workers = [start_worker(settings, f"w{number}", fault) for number, fault in enumerate(faults[:2])]
    waiting = list(enumerate(faults))[2:]
    frozen, killed, thawed = None, 0, 0
    deadline = time.monotonic() + 400
    while killed < len(STEPS) or thawed < 1:
        assert time.monotonic() < deadline, f"{killed} kills and {thawed} freezes so far; the others never came"
        for worker in list(workers):
            if worker.exitcode is not None:
                assert worker.exitcode == -signal.SIGKILL, f"{worker.name} ended with {worker.exitcode}; see its log"
                killed += 1
            elif worker is not frozen and is_stopped(worker):
                frozen, thaw_at = worker, time.monotonic() + 3 * SESSION_MS / 1000
            else:
                continue
            workers.remove(worker)
            number, fault = waiting.pop(0) if waiting else (len(faults) + killed, None)
            workers.append(start_worker(settings, f"w{number}", fault))
        if frozen is not None and not thawed and time.monotonic() > thaw_at:
            assert frozen.pid is not None
            os.kill(frozen.pid, signal.SIGCONT)
            thawed = 1
            workers.append(frozen)
        time.sleep(0.05)
    wait_until_caught_up(settings, 120)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0


def test_rows_equal_an_independent_fold_of_the_producers_log(
    log: stream_world.Log, online: dict[View, dict[str, FeatureRow]]
) -> None:
    expected = stream_world.expected_rows(log)
    assert {(view, key) for view, rows in online.items() for key in rows} == set(expected)
    wrong = []
    for (view, key), features in expected.items():
        row = online[view][key]
        wrong += [
            f"{view.value} {key} {name}: {getattr(row, name)!r:.200}, wanted {value!r:.200}"
            for name, value in features.items()
            if getattr(row, name) != value
        ]
    assert not wrong, f"{len(wrong)} features differ: " + "\n".join(wrong[:5])


def test_archive_holds_every_message_once(settings: Settings, log: stream_world.Log) -> None:
    sent = Counter(topic for topic, _ in log)
    folders = Path(settings.archive_path).iterdir()
    assert max(part.level for folder in folders for part in parts_of(folder)) > 0, "some were merged"
    for topic in INPUT_TOPICS:
        table = read_archive(settings.archive_path, topic)
        positions = list(zip(table[LOG_PARTITION].to_pylist(), table[LOG_OFFSET].to_pylist(), strict=True))
        assert len(set(positions)) == len(positions)
        if topic is not Topic.VIDEO_DELTAS:
            assert len(positions) == sent[topic]


def test_offline_log_has_one_row_an_event_and_ends_in_the_online_rows(
    settings: Settings, log: stream_world.Log, online: dict[View, dict[str, FeatureRow]]
) -> None:
    counted = stream_world.counted(log)
    for topic, kind in ROW_OF_TOPIC.items():
        folder = Path(settings.offline_path) / kind.VIEW.value
        table = ds.dataset([str(path) for path in folder.glob("*-*.parquet")], format="parquet").to_table()
        keys = table[kind.ENTITY.value].to_pylist()
        if topic in (Topic.WATCH, Topic.SEARCH, Topic.IMPRESSION, Topic.SERVED, Topic.PROFILE):
            assert Counter(keys) == {user: len(history) for (of, user), history in counted.items() if of is topic}
        newest: dict[str, int] = {}
        for key, stamp in zip(keys, table["event_timestamp"].cast("int64").to_pylist(), strict=True):
            newest[key] = max(stamp, newest.get(key, 0))
        assert newest == {key: row.event_timestamp for key, row in online[kind.VIEW].items()}


def test_batch_fold_of_the_archive_equals_the_stream(
    settings: Settings, online: dict[View, dict[str, FeatureRow]]
) -> None:
    assert batch_fold(settings) == online


def test_feast_materialize_of_the_offline_log_equals_the_stream(
    settings: Settings, log: stream_world.Log, online: dict[View, dict[str, FeatureRow]], tmp_path: Path
) -> None:
    """The drill after the loss of the online store, by Feast's own command, into an empty database beside the first."""
    features = settings.features.model_copy(
        update={"online": f"{settings.features.online},db=1", "offline": settings.offline_path}
    )
    drill = settings.model_copy(update={"home": tmp_path, "features": features})
    feast = str(Path(sys.executable).with_name("feast"))
    times = ("1970-01-01T00:00:00", "2024-01-01T00:00:00")
    subprocess.run([feast, "--chdir", str(apply(drill).parent), "materialize", *times], check=True)

    materialized = _rows(drill, log)
    for view, rows in online.items():
        assert materialized[view] == rows, view
    host, port = settings.features.online.split(":")
    first, second = (redis.Redis(host=host, port=int(port), db=number) for number in (0, 1))
    assert set(second.keys()) == set(first.keys()), "no key but these"
