"""Examples from a log written by hand: what is visible at a label, and that cutting the work changes nothing."""

import dataclasses

import numpy as np
import pytest

from tests.local.event_log import write_records
from watchnext.clock import HOUR_MS
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, SearchEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.features.spec import RANKER_FEATURES
from watchnext.settings import Settings, Training
from watchnext.training import moments
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import build_examples
from watchnext.training.snapshot import Snapshot, freeze

START = 480_000 * HOUR_MS
USERS = ("u1", "u2")


def shown(user: str, hour: int, video: str) -> ImpressionEvent:
    at = START + hour * HOUR_MS
    name = f"{user}-{hour}-{video}"
    return ImpressionEvent(event_id=name, request_id=name, user_id=user, video_id=video, position=0, shown_at=at)


def watched(impression: ImpressionEvent, seconds: float) -> WatchEvent:
    """Stamped like its impression; with 0 seconds it is even available in the same instant."""
    return WatchEvent(
        event_id=f"w-{impression.event_id}",
        user_id=impression.user_id,
        video_id=impression.video_id,
        started_at=impression.shown_at,
        watch_seconds=seconds,
        video_seconds=60,
        completed=True,
        request_id=impression.request_id,
        surface="home",
    )


def records():
    """Each hour both users see the hour's video and the last hour's again; they watch the hour's, u2 for no time."""
    yield from ((Topic.PROFILE, ProfileEvent(user_id=user, age=30, gender="F", country="US")) for user in USERS)
    for hour in range(20):
        video = CatalogEvent(video_id=f"v{hour}", channel_id="c", topics=["t"], uploaded_at=START, video_seconds=60)
        yield Topic.CATALOG, video
    yield Topic.SEARCH, SearchEvent(event_id="s", user_id="u1", query="cats", searched_at=START)
    for hour in range(20):
        for user in USERS:
            new = shown(user, hour, f"v{hour}")
            yield Topic.IMPRESSION, new
            yield Topic.WATCH, watched(new, 0.0 if user == "u2" else 30.0)
            if hour:
                yield Topic.IMPRESSION, shown(user, hour, f"v{hour - 1}")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> tuple[Settings, Snapshot]:
    home = tmp_path_factory.mktemp("log")
    settings = Settings(home=home, profile="tiny", training=Training(threads=1, cap_per_user=7))
    write_records(settings, records())
    return settings, freeze(settings, home / "snapshot")


@pytest.fixture(scope="module")
def examples(frozen, tmp_path_factory) -> ExampleSet:
    settings, snapshot = frozen
    folder = tmp_path_factory.mktemp("examples")
    build_examples(settings, snapshot, folder)
    return ExampleSet.load(folder)


def feature(examples: ExampleSet, name: str) -> np.ndarray:
    return examples.ranker.features[:, RANKER_FEATURES.index(name)]


def test_the_planted_same_instant_label_is_invisible(examples):
    first = examples.ranker.clicked
    assert first.any()
    assert not feature(examples, "watches_of_video")[first].any()
    assert not feature(examples, "impressions_of_video")[first].any()


def test_an_hour_later_both_impression_and_watch_are_seen(examples):
    again = ~examples.ranker.clicked
    assert again.any()
    assert (feature(examples, "watches_of_video")[again] == 1).all()
    assert (feature(examples, "impressions_of_video")[again] == 1).all()
    assert feature(examples, "days_since_impression")[again] == pytest.approx(1 / 24)


def test_counters_of_the_interval_that_begins_with_the_label_do_not_hold_the_label(examples):
    """Every label here falls on a whole hour, where flooring its own time would make its own click visible."""
    clicked = examples.ranker.clicked
    assert not feature(examples, "video_impressions")[clicked].any()
    assert not feature(examples, "video_clicks")[clicked].any()
    assert (feature(examples, "video_impressions")[~clicked] >= 1).all(), "shown an hour before"


def test_impressions_whose_click_window_is_open_are_left_out(examples):
    last = START + 19 * HOUR_MS
    assert examples.ranker.at_ms.max() < last
    assert examples.ranker.seconds.max() == 30.0


def test_no_user_has_more_than_k_tower_examples_and_ages_count_to_the_split(examples):
    people = [examples.users[at].now_ms for at in examples.towers.user.tolist()]
    assert len(people) == 2 * 7
    assert max(people) < examples.meta.split_ms
    ages = (examples.meta.split_ms - np.array(people)) / 86_400_000
    assert examples.towers.age_days == pytest.approx(ages, abs=1e-6)


def test_queries_are_held_out_and_their_targets_new(examples):
    assert all(examples.users[at].now_ms >= examples.meta.split_ms for at in examples.queries.user.tolist())
    for seen, targets in zip(examples.queries.seen, examples.queries.targets, strict=True):
        assert len(targets)
        assert not set(seen) & set(targets)


def test_cutting_the_moments_into_processes_changes_nothing(frozen, examples, tmp_path, monkeypatch):
    settings, snapshot = frozen
    monkeypatch.setattr(moments, "PART", 20)
    parallel = settings.model_copy(update={"training": settings.training.model_copy(update={"threads": 2})})
    build_examples(parallel, snapshot, tmp_path)
    cut = ExampleSet.load(tmp_path)
    for field in dataclasses.fields(cut.ranker):
        assert np.array_equal(getattr(cut.ranker, field.name), getattr(examples.ranker, field.name)), field.name
    assert all(np.array_equal(cut.users[at].history, examples.users[at].history) for at in range(len(examples.users)))
