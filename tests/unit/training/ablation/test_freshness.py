"""Popularity by age, on a log that is counted by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.features.world import DAY, NOW, video_table
from tests.unit.models.model_world import encoded, towers
from tests.unit.training.example_lines import example_set, tower_examples, written
from watchnext.features.batches import UserColumns, tower_batch, video_batch
from watchnext.models.layers import as_tensors
from watchnext.training.ablation import freshness
from watchnext.training.ablation.freshness import AFTER, BEFORE, popularity_by_age
from watchnext.training.ablation.variations import VARIATIONS
from watchnext.training.example_set import ExampleSet, Meta

FILM, SONG, NEWS = 1, 2, 3
SONG_AGES = tuple(day + 0.25 for day in range(20))


def examples(
    folder: Path, *, uploaded_days: float, song: Sequence[float] = SONG_AGES, known: Sequence[str] = ("song",)
) -> ExampleSet:
    """Watches of the song, one a day, and two of the film, `uploaded_days` old, on the days after its upload.

    All are of users who know the song, or what is `known`.
    """
    videos = video_table()
    uploaded = np.full(len(videos), NOW - 100 * DAY)
    uploaded[FILM] = NOW - uploaded_days * DAY
    data = example_set(
        folder,
        meta=Meta(snapshot="", split_ms=NOW, end_ms=NOW, counts={}),
        videos=replace(videos, uploaded_at=uploaded),
    )
    folder.mkdir()
    rows = [SONG] * len(song) + [FILM, FILM]
    ages = np.array([*song, 11.75, 10.75], np.float32)
    users = UserColumns.of([encoded(known)] * len(rows))
    written(data.towers.path, replace(tower_examples(rows), users=users, age_days=ages))
    return data


def test_the_observed_share_is_that_of_the_day(tmp_path):
    curve = popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0))
    assert curve.days == list(range(-BEFORE, AFTER))
    wanted = [0.0] * (BEFORE + AFTER)
    wanted[BEFORE + 1] = wanted[BEFORE + 2] = 0.5  # one of two watches each, on the first two days of its life
    assert curve.observed == wanted


def test_the_towers_are_asked_what_the_users_of_the_day_watch_next_of_what_they_do_not_know(tmp_path):
    data = examples(tmp_path / "e", uploaded_days=12.0)
    tower = towers(until_ms=NOW)
    with torch.no_grad():
        tower.upload_curve.sines += 0.01
    curve = popularity_by_age(tower, data)
    assert len(set(curve.predicted)) > 1
    videos, lines = as_tensors(video_batch(data.videos)), data.towers.read()
    for day, predicted in zip(curve.days, curve.predicted, strict=True):
        shares = []
        for at in np.flatnonzero(lines.age_days.astype(int) == 12 - day):
            one = lines.take([at])
            with torch.inference_mode():
                user = tower.user(as_tensors(tower_batch(one.users, data.videos, one.age_days)))
                logits = (user @ tower.videos(videos).T)[0]
            shares.append(logits[[FILM, NEWS]].softmax(dim=0)[0].item())  # all know the song
        assert predicted == pytest.approx(np.mean(shares), rel=1e-4)


def test_of_a_day_with_many_watches_some_are_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(freshness, "USERS", 1)
    asked = []
    monkeypatch.setattr(freshness, "tower_batch", lambda *given: asked.append(given) or tower_batch(*given))
    popularity_by_age(towers(), examples(tmp_path / "e", uploaded_days=12.0))
    assert [len(users) for users, _, _ in asked] == [1] * (BEFORE + AFTER)


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


def test_who_knows_all_videos_watches_none_that_they_do_not_know(tmp_path):
    """In a small catalogue: their probabilities, of nothing that was left, made the curve and its error NaN."""
    data = examples(tmp_path / "e", uploaded_days=12.0, known=("film", "song", "news"))
    curve = popularity_by_age(towers(), data)
    assert curve.predicted == [0.0] * (BEFORE + AFTER)
    assert curve.error > 0
