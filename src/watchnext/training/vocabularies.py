"""Vocabularies and the video table, fitted on the training part of the log and nothing after it.

Every catalogue video has a row, the most watched first. An embedding id is for the most frequent ones: in completed
watches for the towers, in clicked impressions for the ranker (paper, section 4.1); the rest is the zero vector. In the
ranker a video that was shown and never clicked has one too, where there is room: the lack of it would tell the label.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from watchnext.features.tokens import tokenize
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.models.config import ProfileConfig


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
        countries=_words([*profiles["country"], *watches["country"]]),
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


def _words(values: Iterable[str]) -> Vocabulary:
    """All words but the empty one, which is the unknown."""
    counts = Counter(value for value in values if value)
    return Vocabulary.fit(counts, len(counts))
