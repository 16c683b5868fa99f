"""No leak: what happens after the split changes nothing that is fitted. The split is named, so that it stays in place.

The planted world has, from the split on, a user of a country, device, gender and surface that were not there before,
who is shown one video every hour, watches it to the end, and searches for it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.quality.event_log import write_records
from watchnext.clock import HOUR_MS
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, SearchEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.records import Record
from watchnext.errors import DataError
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import build_examples
from watchnext.training.ranker import train_ranker
from watchnext.training.snapshot import freeze
from watchnext.training.split import split_log
from watchnext.training.towers import train_towers

START = 480_000 * HOUR_MS
SPLIT_HOUR, HOURS = 14, 20
SPLIT_MS = START + SPLIT_HOUR * HOUR_MS
PLANTED = "future"
FITTED_ON = (
    "towers.parquet",
    "ranker.parquet",
    "watched.npz",
    "met.npz",
    "countries.npz",
    "countries.json",
    "vocabularies.json",
)


def shown(user: str, hour: int, video: str, surface: str = "home") -> ImpressionEvent:
    at = START + hour * HOUR_MS
    name = f"{user}-{hour}-{video}"
    return ImpressionEvent(
        event_id=name, request_id=name, user_id=user, video_id=video, position=0, shown_at=at, surface=surface
    )


def watched(impression: ImpressionEvent, completed: bool, country: str = "", device: str = "") -> WatchEvent:
    return WatchEvent(
        event_id=f"w-{impression.event_id}",
        user_id=impression.user_id,
        video_id=impression.video_id,
        started_at=impression.shown_at,
        watch_seconds=60.0 if completed else 20.0,
        video_seconds=60,
        completed=completed,
        request_id=impression.request_id,
        surface=impression.surface,
        country=country,
        device=device,
    )


def records(planted: bool) -> Iterator[Record]:
    """Each hour three users see the hour's video and the last one's, and watch the new; each fifth not to its end."""
    for user in ("u1", "u2", "u3"):
        yield Topic.PROFILE, ProfileEvent(user_id=user, age=30, gender="F", country="US")
    for hour in range(HOURS):
        yield (
            Topic.CATALOG,
            CatalogEvent(video_id=f"v{hour}", channel_id="c", topics=["t"], uploaded_at=START, video_seconds=60),
        )
    yield Topic.SEARCH, SearchEvent(event_id="s", user_id="u1", query="cats", searched_at=START)
    for hour in range(HOURS):
        for number, user in enumerate(("u1", "u2", "u3")):
            new = shown(user, hour, f"v{hour}")
            yield Topic.IMPRESSION, new
            yield Topic.WATCH, watched(new, completed=(hour + number) % 5 > 0)
            if hour:
                yield Topic.IMPRESSION, shown(user, hour, f"v{hour - 1}")
        if planted and hour >= SPLIT_HOUR:
            yield from plant(hour)


def plant(hour: int) -> Iterator[Record]:
    at = START + hour * HOUR_MS
    yield (
        Topic.PROFILE,
        ProfileEvent(user_id=PLANTED, gender=PLANTED, country=PLANTED, device=PLANTED, updated_at=at),
    )
    yield Topic.SEARCH, SearchEvent(event_id=f"s-{hour}", user_id=PLANTED, query=PLANTED, searched_at=at)
    for copy in range(3):
        seen = shown(f"{PLANTED}-{copy}" if copy else PLANTED, hour, "v1", surface=PLANTED)
        yield Topic.IMPRESSION, seen
        yield Topic.WATCH, watched(seen, completed=True, country=PLANTED, device=PLANTED)


def learnt(home: Path, planted: bool) -> ExampleSet:
    """Examples and both models of a world."""
    settings = Settings(
        home=home,
        profile="tiny",
        training=Training(threads=1, epochs=1, tower_epochs=1, split_at_ms=SPLIT_MS),
    )
    write_records(settings, records(planted))
    build_examples(settings, freeze(settings, home / "snapshot"), home / "examples")
    train_towers(settings, home / "examples", home / "towers")
    train_ranker(settings, home / "examples", home / "ranker")
    return ExampleSet.load(home / "examples")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExampleSet, ExampleSet]:
    """Without the planted signal, and with it."""
    return tuple(learnt(tmp_path_factory.mktemp(str(planted)), planted) for planted in (False, True))


def test_the_planted_signal_is_there_after_the_split(worlds: tuple[ExampleSet, ExampleSet]) -> None:
    plain, planted = worlds
    assert plain.meta.split_ms == planted.meta.split_ms == SPLIT_MS
    assert len(planted.held_out) == len(plain.held_out) + 3 * (HOURS - SPLIT_HOUR - 1)  # of the last hour: still open
    assert plain.ranker.column("at_ms").max() < SPLIT_MS <= plain.held_out.column("at_ms").min()


@pytest.mark.parametrize("name", FITTED_ON)
def test_what_models_and_baselines_are_fitted_on_does_not_know_of_it(
    worlds: tuple[ExampleSet, ExampleSet], name: str
) -> None:
    plain, planted = ((one.folder / name).read_bytes() for one in worlds)
    assert plain == planted


@pytest.mark.parametrize("name", ["towers/weights", "ranker/weights", "ranker/quantiles"])
def test_no_model_knows_of_it(worlds: tuple[ExampleSet, ExampleSet], name: str) -> None:
    plain, planted = ((one.folder.parent / f"{name}.safetensors").read_bytes() for one in worlds)
    assert plain == planted


def test_a_split_with_nothing_on_one_side_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, training=Training(split_at_ms=START))
    write_records(settings, records(planted=False))
    with pytest.raises(DataError, match=f"split_at_ms is {START}, and the next watches lie between {START} and"):
        split_log(settings, freeze(settings, tmp_path / "snapshot"), per_user=1)
