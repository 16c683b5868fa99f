import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from watchnext import data
from watchnext.cli.replay import replay, send
from watchnext.cli.steps import replay_once
from watchnext.clock import DAY_MS, FixedClock
from watchnext.contracts.events import CatalogEvent, ProfileEvent, SearchEvent, WatchEvent, encode
from watchnext.contracts.names import Topic
from watchnext.data.replay import (
    Shift,
    fix_shift,
    paced,
    record_finished,
    recorded_shift,
    replay_events,
    replaying,
    shift_event,
)
from watchnext.data.simulator import END_MS, Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import DataError, ServerError, UsageError
from watchnext.settings import load_settings
from watchnext.stream import producer, topics

SMALL = WorldConfig(users=10, videos=20)
SMALL_SET = Simulator(SMALL, days=2)
NOW = END_MS + 40 * DAY_MS + 12_345


def test_the_first_replay_fixes_the_shift_for_good(tmp_path):
    first = fix_shift(tmp_path, Simulator(SMALL, days=2), FixedClock(NOW))
    later = fix_shift(tmp_path, Simulator(SMALL, days=5), FixedClock(NOW + 9 * DAY_MS))

    assert first == later == Shift(days=40, fixed_at_ms=NOW, last_ms=END_MS - 1)
    assert json.loads((tmp_path / "replay.json").read_text())["simulator"]["days"] == 40


def test_a_finished_replay_is_remembered(tmp_path):
    shift = fix_shift(tmp_path, Simulator(SMALL, days=2), FixedClock(NOW))
    record_finished(tmp_path, "simulator", shift, 99, FixedClock(NOW + 1))

    assert recorded_shift(tmp_path, "simulator") == replace(shift, events=99, finished_at_ms=NOW + 1)
    assert recorded_shift(tmp_path, "movielens") is None


class Broker:
    """Stands for Kafka: it takes messages while there is `room` for all of a flush."""

    def __init__(self) -> None:
        self.room = 50
        self.got: list[tuple[str, bytes]] = []


class Client:
    """Stands for kafka-python's: a message has arrived at the flush after it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.queued: list[tuple[str, bytes]] = []

    def send(self, topic, value, **_):
        self.queued.append((topic, value))
        return Future()

    def flush(self, timeout):
        if len(self.broker.got) + len(self.queued) > self.broker.room:
            raise KafkaTimeoutError("gone")
        self.broker.got += self.queued
        self.queued.clear()

    def close(self, timeout):
        self.flush(timeout)  # as kafka-python's does


@pytest.fixture
def broker(monkeypatch):
    one = Broker()
    monkeypatch.setattr(producer, "KafkaProducer", lambda **_: Client(one))
    monkeypatch.setattr(producer, "_FLUSH_EVERY", 20)
    monkeypatch.setattr(topics, "ensure_topics", lambda _: None)
    return one


def whole(dataset):
    return [(topic.value, encode(event)) for topic, event in replay_events(dataset, Shift(40, NOW))]


def test_a_replay_that_was_cut_off_goes_on_after_what_arrived(tmp_path, broker):
    """Sent again from the start, watches that are long past the last 256 ids would count twice."""
    settings, dataset, clock = load_settings(home=tmp_path), Simulator(SMALL, days=2), FixedClock(NOW)

    with pytest.raises(ServerError):
        send(settings, dataset, clock, quiet=True)
    noted = recorded_shift(tmp_path, "simulator")
    assert (noted.days, noted.fixed_at_ms, noted.events, noted.finished_at_ms) == (40, NOW, 40, 0)
    broker.room = 10**6
    count, shift = send(settings, dataset, clock, quiet=True)

    assert broker.got == whole(dataset)
    assert count == len(broker.got) - 40
    assert shift == replace(noted, events=len(broker.got), finished_at_ms=NOW, checksum=0, sample=dataset.sample)


def test_a_replay_that_is_cut_off_twice_goes_on_twice(tmp_path, broker):
    settings, dataset, clock = load_settings(home=tmp_path), Simulator(SMALL, days=2), FixedClock(NOW)

    for room, arrived in ((50, 40), (75, 60), (10**6, None)):
        broker.room = room
        if arrived is None:
            send(settings, dataset, clock, quiet=True)
        else:
            with pytest.raises(ServerError):
                send(settings, dataset, clock, quiet=True)
            assert recorded_shift(tmp_path, "simulator").events == len(broker.got) == arrived

    assert broker.got == whole(dataset)


def test_a_replay_of_other_users_is_sent_whole_after_one_that_was_cut_off(tmp_path, broker):
    """Skipping as many events as had arrived of the smaller sample lost those of the larger one."""
    settings, clock = load_settings(home=tmp_path), FixedClock(NOW)
    larger = Simulator(WorldConfig(users=15, videos=20), days=2)

    with pytest.raises(ServerError):
        send(settings, Simulator(SMALL, days=2), clock, quiet=True)
    broker.got.clear()
    broker.room = 10**6
    count, shift = send(settings, larger, clock, quiet=True)

    assert broker.got == whole(larger)
    assert count == shift.events == len(broker.got)


def test_a_second_sending_that_is_cut_off_leaves_the_first_on_record(tmp_path, broker):
    settings, dataset, clock = load_settings(home=tmp_path), Simulator(SMALL, days=2), FixedClock(NOW)
    broker.room = 10**6
    _, finished = send(settings, dataset, clock, quiet=True)
    broker.room = len(broker.got) + 50

    with pytest.raises(ServerError):
        send(settings, dataset, clock, quiet=True)

    assert recorded_shift(tmp_path, "simulator") == finished


def test_a_finished_sample_does_not_count_as_the_whole(tmp_path, broker):
    """`replay --users 10`, then a replay of all was "sent before", and a demo went on to train on the ten."""
    settings, clock = load_settings(home=tmp_path), FixedClock(NOW)
    whole_set = Simulator(days=1)
    broker.room = 10**6
    fix_shift(tmp_path, whole_set, clock)

    replay_once(settings, SMALL_SET)
    replay_once(settings, SMALL_SET)
    assert recorded_shift(tmp_path, "simulator").sample == "10 users, 2 days"
    assert broker.got == whole(SMALL_SET)
    broker.got.clear()

    broker.room = 60
    with pytest.raises(ServerError):
        send(settings, whole_set, clock, quiet=True)
    assert recorded_shift(tmp_path, "simulator").finished_at_ms == 0, "it goes on from where it was cut off"
    broker.room = 10**6
    replay_once(settings, whole_set)
    assert len(broker.got) == len(whole(whole_set))


def test_other_files_of_a_name_are_refused(tmp_path, broker):
    """The days were counted for the first: of a set that ends a week later, a week went to the dead letters."""
    settings, clock = load_settings(home=tmp_path), FixedClock(NOW)
    fix_shift(tmp_path, SMALL_SET, clock)
    later = SimpleNamespace(name="simulator", sample="", last_ms=END_MS - 1 + 7 * DAY_MS)

    with pytest.raises(
        UsageError, match=r"ends at 2026-01-07 23:59:59 UTC, .* ends at 2025-12-31 23:59:59: name its folder"
    ):
        send(settings, later, clock, quiet=True)

    assert broker.got == []


def test_a_folder_that_is_named_is_read_though_the_data_set_was_sent(tmp_path, monkeypatch):
    """Another folder's files were "sent before"."""
    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path))
    shift = fix_shift(tmp_path, SMALL_SET, FixedClock(NOW))
    record_finished(tmp_path, "simulator", shift, 99, FixedClock(NOW))
    later = SimpleNamespace(name="simulator", sample="", last_ms=END_MS)
    monkeypatch.setattr(data, "open_dataset", lambda *_, **__: later)

    with pytest.raises(UsageError, match="name its folder"):
        replay("simulator", path=tmp_path)


def test_a_record_of_an_older_release_is_read(tmp_path):
    (tmp_path / "replay.json").write_text(
        '{"simulator": {"days": 40, "fixed_at_ms": 5, "events": 9, "finished_at_ms": 7, "checksum": 0, "sample": "a"}}'
    )

    assert fix_shift(tmp_path, SMALL_SET, FixedClock(NOW)).sent == {"a"}


def test_each_finished_sample_is_remembered(tmp_path, broker):
    """Only the last was: ten users, then fifteen, and the ten were sent once more."""
    settings, clock = load_settings(home=tmp_path), FixedClock(NOW)
    others = Simulator(WorldConfig(users=15, videos=20), days=2)
    broker.room = 10**6
    fix_shift(tmp_path, SMALL_SET, clock)

    for dataset in (SMALL_SET, others):
        replay_once(settings, dataset)
    broker.room = len(broker.got) + 50
    with pytest.raises(ServerError):
        replay_once(settings, Simulator(days=1))
    broker.got.clear()
    for dataset in (SMALL_SET, others):
        replay_once(settings, dataset)
    assert broker.got == []

    broker.room = 10**6
    replay_once(settings, Simulator())
    assert recorded_shift(tmp_path, "simulator").sent == {""}


def test_a_sample_that_is_sent_again_leaves_the_whole_on_record(tmp_path, broker):
    settings, clock = load_settings(home=tmp_path), FixedClock(NOW)
    broker.room = 10**6
    record_finished(tmp_path, "simulator", Shift(40, NOW), 5, clock)

    _, shift = send(settings, SMALL_SET, clock, quiet=True)

    assert shift.covers("")


@pytest.mark.parametrize(("users", "days", "sample"), [(200, 30, ""), (10, 30, "10 users, 30 days")])
def test_the_simulated_world_that_nobody_asked_otherwise_is_the_whole(users, days, sample):
    assert Simulator(WorldConfig(users=users), days=days).sample == sample


@pytest.mark.parametrize(
    "text",
    ['{"simulator": ', "[]", "null", '{"simulator": 3}', '{"simulator": {}}', '{"simulator": {"days": "x"}}', "\xff"],
)
def test_a_torn_record_is_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "replay.json").write_text(text, encoding="latin-1")

    with pytest.raises(DataError, match=r"replay\.json: .*; wanted the shifts of earlier replays as JSON"):
        recorded_shift(tmp_path, "simulator")


def test_a_replay_ends_within_the_last_day_and_keeps_the_time_of_day():
    dataset = Simulator(SMALL, days=2)
    plain = list(dataset.events())
    moved = [event for topic, event in replay_events(dataset, Shift(40, NOW))][20 + 10 :]

    assert [event.at_ms - 40 * DAY_MS for event in moved] == [event.at_ms for _, event in plain]
    assert NOW - DAY_MS < dataset.last_ms + 40 * DAY_MS <= NOW


def test_catalogue_and_profiles_come_first_and_do_not_count_for_the_limit():
    topics = [topic for topic, _ in replay_events(Simulator(SMALL, days=2), Shift(0, 0), limit=5)]

    assert topics[:30] == [Topic.CATALOG] * 20 + [Topic.PROFILE] * 10
    assert len(topics) == 35


def test_all_times_move_and_an_unknown_time_stays():
    watch = WatchEvent(
        event_id="w", user_id="u", video_id="v", started_at=5, watch_seconds=1, video_seconds=2, completed=False
    )

    assert shift_event(watch, 100).started_at == 105
    assert shift_event(CatalogEvent(video_id="v", uploaded_at=7, video_seconds=1), 100).uploaded_at == 107
    assert shift_event(ProfileEvent(user_id="u"), 100).updated_at == 0


def test_a_paced_replay_sleeps_what_is_left_of_each_gap():
    events = [
        (Topic.SEARCH, SearchEvent(event_id="s", user_id="u", query="q", searched_at=at)) for at in (0, 4_000, 6_000)
    ]
    now = itertools.count(0.0, 0.5)  # each look at the clock takes half a second
    slept: list[float] = []

    assert len(list(paced(iter(events), 2.0, sleep=slept.append, monotonic=lambda: next(now)))) == 3
    assert slept == [1.0, 1.5]  # due at 2 s and 3 s; at 1.0 s and 1.5 s on the clock, which does not see the sleep


def test_a_limit_beyond_all_counts_is_none():
    """It ended in a ValueError once the catalogue was sent."""
    assert list(replay_events(SMALL_SET, Shift(0, 0), limit=10**20)) == list(replay_events(SMALL_SET, Shift(0, 0)))


def test_a_speed_near_nothing_waits_as_long_as_a_sleep_may_be():
    """It ended in an OverflowError."""
    events = [(Topic.SEARCH, SearchEvent(event_id="s", user_id="u", query="q", searched_at=at)) for at in (0, 4_000)]
    slept: list[float] = []

    assert len(list(paced(iter(events), 1e-320, sleep=slept.append))) == 2
    assert slept == [3_153_600_000]


def test_without_a_speed_nothing_waits():
    events = [(Topic.SEARCH, SearchEvent(event_id="s", user_id="u", query="q", searched_at=at)) for at in (1, 10**9)]

    def never(seconds: float) -> None:
        raise AssertionError(f"slept {seconds}")

    assert len(list(paced(iter(events), 0, sleep=never))) == 2


def test_two_replays_at_once_keep_each_others_records(tmp_path):
    names = [f"set-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: record_finished(tmp_path, name, Shift(1, NOW), 5, FixedClock(NOW)), names))

    assert all(recorded_shift(tmp_path, name) is not None for name in names)


def test_a_data_set_is_replayed_by_one_process_at_a_time(tmp_path, broker, monkeypatch):
    """Of two at once the one that ended last forgot what the other had sent, which the next replay sent again."""
    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path))
    broker.room = 10**6

    with replaying(tmp_path, "simulator"):  # as another process
        for send_it in (lambda: replay_once(load_settings(), SMALL_SET), lambda: replay("simulator", users=10, days=2)):
            with pytest.raises(UsageError, match="another process replays it just now"):
                send_it()
    assert broker.got == []

    replay_once(load_settings(), SMALL_SET)
    assert len(broker.got) == len(whole(SMALL_SET))
