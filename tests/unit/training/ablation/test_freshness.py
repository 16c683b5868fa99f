"""Popularity by age, on a log that is counted by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.features.world import DAY, NOW, video_table
from tests.unit.models.model_world import encoded, towers, user_inputs, video_inputs
from tests.unit.training.example_lines import example_set, tower_examples, written
from watchnext.features.batches import UserColumns, tower_batch
from watchnext.training.ablation import freshness
from watchnext.training.ablation.freshness import AFTER, BEFORE, popularity_by_age
from watchnext.training.ablation.variations import VARIATIONS
from watchnext.training.example_set import ExampleSet, Meta, Queries

FILM, SONG = 1, 2
SONG_AGES = tuple(day + 0.25 for day in range(20))


def examples(folder: Path, *, uploaded_days: float, song: Sequence[float] = SONG_AGES) -> ExampleSet:
    """Watches of the song, one a day, and two of the film, `uploaded_days` old, on the days after its upload."""
    videos = video_table()
    uploaded = np.full(len(videos), NOW - 100 * DAY)
    uploaded[FILM] = NOW - uploaded_days * DAY
    data = example_set(
        folder,
        meta=Meta(snapshot="", split_ms=NOW, end_ms=NOW, counts={}),
        videos=replace(videos, uploaded_at=uploaded),
        queries=Queries(users=UserColumns.of([encoded(["song"])]), seen=[], targets=[]),
    )
    folder.mkdir()
    rows = [SONG] * len(song) + [FILM, FILM]
    ages = np.array([*song, 11.75, 10.75], np.float32)
    written(data.towers.path, replace(tower_examples(rows), age_days=ages))
    return data


def test_the_observed_share_is_that_of_the_day(tmp_path):
    curve = popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0))
    assert curve.days == list(range(-BEFORE, AFTER))
    wanted = [0.0] * (BEFORE + AFTER)
    wanted[BEFORE + 1] = wanted[BEFORE + 2] = 0.5  # one of two watches each, on the first two days of its life
    assert curve.observed == wanted


def test_the_towers_are_asked_with_the_age_that_a_watch_of_the_day_has(tmp_path):
    tower = towers()
    curve = popularity_by_age(tower, examples(tmp_path / "e", uploaded_days=12.0))
    for day, predicted in zip(curve.days, curve.predicted, strict=True):
        with torch.inference_mode():
            user = tower.user(user_inputs(encoded(["song"]), example_age_days=12 - day + 0.5))
            by_hand = (user @ tower.videos(video_inputs())[1:].T).softmax(dim=1)[0, FILM - 1].item()
        assert predicted == pytest.approx(by_hand, rel=1e-5)


def test_without_example_age_the_curve_is_flat(tmp_path):
    amend = VARIATIONS["no-example-age"].amend
    curve = popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0), amend)
    assert curve.predicted == pytest.approx([curve.predicted[0]] * len(curve.days))


def test_without_uploads_there_is_no_curve(tmp_path):
    assert popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=50.0)) is None


def test_a_watch_of_a_broken_clock_makes_no_training_part_of_fifty_years(tmp_path, monkeypatch):
    """A row of all videos for each of its days took more memory than there is, and an hour."""
    asked = []
    monkeypatch.setattr(freshness, "tower_batch", lambda *given: asked.append(given) or tower_batch(*given))
    plain = popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0))
    days_asked = len(asked)
    curve = popularity_by_age(towers(), examples(tmp_path / "f", uploaded_days=12.0, song=(*SONG_AGES, 20_000.5)))
    assert curve == plain
    assert days_asked == len(asked) - days_asked == BEFORE + AFTER


def test_a_day_without_a_watch_is_no_day_on_which_new_videos_were_unpopular(tmp_path):
    gap = [age for age in SONG_AGES if int(age) != 9]
    assert popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0, song=gap)) is None


def test_new_videos_that_nobody_watched_while_new_have_no_curve(tmp_path):
    """Its error, in means of what was observed, was infinite, and the card's difference no number."""
    longer = [day + 0.25 for day in range(40)]
    assert popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=30.0, song=longer)) is None
