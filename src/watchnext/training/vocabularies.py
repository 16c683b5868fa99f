"""Vocabularies and averages, fitted on the training part of the log and nothing after it.

Every catalogue video has a row, the most watched first. An embedding id is for the most frequent ones: in completed
watches for the towers, in clicked impressions for the ranker (paper, section 4.1); the rest is the zero vector. In the
ranker a video that was shown and never clicked has one too, where there is room: the lack of it would tell the label.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from watchnext.features.averages import Averages
from watchnext.features.tokens import tokenize
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.models.config import ProfileConfig

COUNTRIES: Final = 300  # more than there are; each costs a bit of every video, and in the build a count of its watches


@dataclass(frozen=True)
class Words:
    """All vocabularies of a run."""

    vocabularies: Vocabularies
    embedded: Vocabulary  # videos with an embedding in the towers
    ranked: Vocabulary  # videos with an embedding in the ranker


def fit_words(
    config: ProfileConfig,
    *,
    catalog: pd.DataFrame,
    profiles: pd.DataFrame,
    watches: pd.DataFrame,
    clicked: pd.DataFrame,
    impressions: pd.DataFrame,
    searches: pd.DataFrame,
) -> Words:
    """Fit on the whole catalogue and on events of the training part.

    Args:
        config: how many videos and search tokens are kept.
        catalog: one line a video.
        profiles: one line a user.
        watches: completed watches.
        clicked: clicked impressions.
        impressions: all impressions.
        searches: search events.
    """
    watched, clicks = Counter(watches["video_id"]), Counter(clicked["video_id"])
    known, met = set(catalog["video_id"]), {*impressions["video_id"], *watches["video_id"]}
    everything = 1 << 31
    vocabularies = Vocabularies(
        videos=Vocabulary.fit({video: watched[video] for video in known}, everything),
        channels=_words(catalog["channel_id"]),
        topics=_words(topic for topics in catalog["topics"] for topic in topics),
        languages=_words(catalog["language"]),
        countries=_countries(catalog, profiles, watches),
        devices=_words([*profiles["device"], *watches["device"]]),
        genders=_words(profiles["gender"]),
        surfaces=_words([*watches["surface"], *impressions["surface"]]),
        search_tokens=Vocabulary.fit(
            Counter(token for query in searches["query"] for token in tokenize(query)), config.top_tokens
        ),
    )
    return Words(
        vocabularies,
        embedded=Vocabulary.fit({video: n for video, n in watched.items() if video in known}, config.top_videos),
        ranked=Vocabulary.fit({video: clicks[video] for video in met & known}, config.top_videos),
    )


def fit_averages(shown: pd.DataFrame, catalog: pd.DataFrame) -> Averages:
    """Of labelled impressions of the training part; zeros where there are none.

    Args:
        shown: with `video_id`, `clicked`, `seconds` and `completed`.
        catalog: with the `video_seconds` of each `video_id`.
    """
    clicked = shown[shown["clicked"]]
    length = clicked["video_id"].map(catalog.set_index("video_id")["video_seconds"])
    impressions, clicks = max(len(shown), 1), max(len(clicked), 1)
    return Averages(
        click_rate=len(clicked) / impressions,
        completion_rate=float((shown["clicked"] & shown["completed"]).sum()) / impressions,
        watch_fraction=float((clicked["seconds"] / length).clip(upper=1.0).sum()) / clicks,
        watch_seconds=float(clicked["seconds"].sum()) / clicks,
    )


def _countries(catalog: pd.DataFrame, profiles: pd.DataFrame, watches: pd.DataFrame) -> Vocabulary:
    """The `COUNTRIES` that are met most, and those of the others that a video is restricted in.

    A client may send any word. The rest is the unknown country: it may see what is restricted in none of those that
    are unknown, such as one that a video is restricted in and nobody was met from.
    """
    met = _words([*profiles["country"], *watches["country"]])
    restricted = {country for countries in catalog["restricted_countries"] for country in countries}
    return Vocabulary(country for place, country in enumerate(met.tokens) if place < COUNTRIES or country in restricted)


def _words(values: Iterable[str]) -> Vocabulary:
    """All words but the empty one, which is the unknown."""
    counts = Counter(value for value in values if value)
    return Vocabulary.fit(counts, len(counts))
