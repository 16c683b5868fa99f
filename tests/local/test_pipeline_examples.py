"""Examples from a log written by hand: what is visible at a label, and that cutting the work changes nothing."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks.quality.event_log import write_records
from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, SearchEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.errors import DataError
from watchnext.settings import Settings, Training
from watchnext.training import moments
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import build_examples
from watchnext.training.snapshot import Snapshot, freeze
from watchnext.training.split import split_log

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


def test_watches_as_of_the_split_are_decayed_and_know_no_holdout(examples):
    """Retrieval orders by such; those of the table are of the end."""
    assert examples.meta.split_ms == START + 18 * HOUR_MS
    by_video = dict(zip(examples.videos.video_ids, examples.watches.tolist(), strict=True))
    for hour in range(17):  # the last interval before the split is that of hour 17
        assert by_video[f"v{hour}"] == pytest.approx(2 * 2 ** ((hour - 17) / 72))
    assert [by_video[f"v{hour}"] for hour in (17, 18, 19)] == [1, 0, 0]  # u1 watches to half a minute past the hour


@pytest.fixture(scope="module")
def impressions(examples) -> pd.DataFrame:
    """Of both parts."""
    return pd.concat([pd.read_parquet(file.path) for file in (examples.ranker, examples.held_out)], ignore_index=True)


def hours(examples: ExampleSet, rows: np.ndarray) -> np.ndarray:
    """The hour in which each video was new and watched."""
    return np.array([int(examples.videos.video_ids[row].removeprefix("v")) for row in rows])


def test_the_planted_same_instant_label_is_invisible(impressions):
    first = impressions[impressions["clicked"]]
    assert len(first)
    assert not first["watches_of_video"].any()
    assert not first["impressions_of_video"].any()


def test_an_hour_later_both_impression_and_watch_are_seen(impressions):
    again = impressions[~impressions["clicked"]]
    assert len(again)
    assert (again["watches_of_video"] == 1).all()
    assert (again["impressions_of_video"] == 1).all()
    assert again["days_since_impression"].to_numpy() == pytest.approx(1 / 24)


def test_counters_of_the_interval_that_begins_with_the_label_do_not_hold_the_label(impressions):
    """Every label here falls on a whole hour, where flooring its own time would make its own click visible."""
    clicked = impressions["clicked"]
    assert not impressions["video_impressions"][clicked].any()
    assert not impressions["video_clicks"][clicked].any()
    assert (impressions["video_impressions"][~clicked] >= 1).all(), "shown an hour before"


def test_impressions_whose_click_window_is_open_are_left_out(impressions):
    last = START + 19 * HOUR_MS
    assert impressions["at_ms"].max() < last
    assert impressions["seconds"].max() == 30.0


def test_impressions_from_the_split_on_are_in_a_file_of_their_own(examples):
    past, held_out = (file.column("at_ms") for file in (examples.ranker, examples.held_out))
    assert len(past) > 0 < len(held_out)
    assert past.max() < examples.meta.split_ms <= held_out.min()


def test_no_user_has_more_than_k_tower_examples_and_ages_count_to_the_split(examples):
    learnt = examples.towers.read()
    assert len(learnt) == 2 * 7
    assert (learnt.age_days > 0).all()
    watched_at = START + hours(examples, learnt.row) * HOUR_MS
    assert learnt.age_days == pytest.approx((examples.meta.split_ms - watched_at) / DAY_MS, abs=1e-6)


def test_every_example_has_the_user_of_its_moment(examples):
    """Whose last watch is the video of the hour before, and whose hour of the day is that of the watch."""
    learnt = examples.towers.read()
    hour = hours(examples, learnt.row)
    assert learnt.users.hour.tolist() == ((START // HOUR_MS + hour) % 24).tolist()
    for history, now in zip(learnt.users.history, hour, strict=True):
        assert hours(examples, history[history > 0]).tolist() == list(range(now))


def test_videos_are_alike_by_who_met_them_before_the_split(examples):
    """Both users met each video in its hour, so that all of the training part are neighbours and no other is."""
    starts, rows = examples.item_item.starts, examples.item_item.rows
    past = {f"v{hour}" for hour in range((examples.meta.split_ms - START) // HOUR_MS)}
    known = {examples.videos.video_ids[row] for row in np.flatnonzero(np.diff(starts))}
    assert 1 < len(past) < 20
    assert known == past
    assert {examples.videos.video_ids[row] for row in rows} == past


def test_queries_are_held_out_and_their_targets_new(examples):
    first = hours(examples, np.array([rows[0] for rows in examples.queries.targets]))
    assert (START + first * HOUR_MS >= examples.meta.split_ms).all()
    for history, hour in zip(examples.queries.users.history, first, strict=True):
        assert hours(examples, history[history > 0]).tolist() == list(range(hour))
    for seen, targets in zip(examples.queries.seen, examples.queries.targets, strict=True):
        assert len(targets)
        assert not set(seen) & set(targets)


def test_cutting_the_moments_into_processes_changes_nothing(frozen, examples, tmp_path, monkeypatch):
    settings, snapshot = frozen
    monkeypatch.setattr(moments, "PART", 20)
    parallel = settings.model_copy(update={"training": settings.training.model_copy(update={"threads": 2})})
    build_examples(parallel, snapshot, tmp_path)
    cut = ExampleSet.load(tmp_path)
    for name in ("towers", "ranker", "held_out"):
        assert pq.read_table(getattr(cut, name).path).equals(pq.read_table(getattr(examples, name).path)), name
    assert np.array_equal(cut.queries.users.history, examples.queries.users.history)
    for ours, theirs in zip(cut.queries.seen, examples.queries.seen, strict=True):
        assert ours.tolist() == theirs.tolist()


def test_an_age_that_leaves_nothing_to_learn_from_is_refused_before_examples_are_made(frozen):
    """The towers' step asked whether the log was long enough, once everything had been encoded."""
    settings, snapshot = frozen
    young = settings.model_copy(update={"training": settings.training.model_copy(update={"max_age_days": 0.01})})
    with pytest.raises(
        DataError, match=r"max_age_days is 0\.01, and the newest .* is 0\.042 days older than the split"
    ):
        split_log(young, snapshot, per_user=1)
