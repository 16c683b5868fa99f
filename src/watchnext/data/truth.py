"""The simulator's truth: who likes what, and how much of it they watch. Nothing here changes while the world runs.

The chance that a user clicks a video at the top of a list is sigmoid(CLICK_BIAS + appeal), and the share of it that
they watch has the mean sigmoid(APPEAL_ON_SHARE * taste - LENGTH_ON_SHARE * log(seconds / 120)); `world.World` adds
what the past does to the appeal (fatigue, earlier watches, searches).

>>> truth = Truth(WorldConfig(seed=7, users=3, channels=4, videos=5))
>>> truth.taste(0, np.arange(5)).shape
(5,)
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.contracts.events import CatalogEvent, ProfileEvent

TOPIC_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "cooking": ("recipe", "bread", "kitchen", "soup", "dessert", "grill"),
    "music": ("song", "concert", "guitar", "cover", "piano", "album"),
    "football": ("goal", "league", "match", "striker", "derby", "penalty"),
    "games": ("speedrun", "boss", "console", "quest", "multiplayer", "arcade"),
    "science": ("experiment", "planet", "physics", "lab", "theory", "telescope"),
    "travel": ("island", "train", "city", "mountain", "hotel", "beach"),
    "cars": ("engine", "rally", "garage", "electric", "turbo", "roadtrip"),
    "fashion": ("outfit", "runway", "vintage", "shoes", "tailor", "denim"),
    "animals": ("cat", "puppy", "parrot", "rescue", "aquarium", "safari"),
    "history": ("empire", "castle", "archive", "ancient", "war", "museum"),
    "fitness": ("workout", "yoga", "running", "stretch", "marathon", "core"),
    "comedy": ("sketch", "standup", "prank", "parody", "improv", "bloopers"),
}
TOPICS: Final = tuple(TOPIC_WORDS)
LANGUAGE_OF_COUNTRY: Final = {"US": "en", "GB": "en", "MX": "es"}
DEVICES: Final = ("mobile", "desktop", "tv")

CLICK_BIAS: Final = -1.2
APPEAL_ON_SHARE: Final = 0.8
LENGTH_ON_SHARE: Final = 0.5
FAVOURITE_CHANNEL: Final = 1.0
FOREIGN_LANGUAGE: Final = -1.5
FRESH: Final = 1.0  # appeal of a new upload, fading with FRESH_DAYS
FRESH_DAYS: Final = 3.0
_CATALOGUE_DAYS: Final = 60  # the first videos were uploaded over so many days before the start

_USERS, _CHANNELS, _VIDEOS = range(3)  # streams of random numbers


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """Size and seed of a world; equal configurations give equal worlds."""

    seed: int = 7
    users: int = 200
    channels: int = 60
    videos: int = 600  # at the start
    uploads_per_day: float = 8.0
    sessions_per_day: float = 0.8  # a user, on average
    list_size: int = 10
    start_ms: int = 1_764_547_200_000  # 2025-12-01 UTC


class Truth:
    """Tastes, channels and videos. Users and videos are numbered from 0, videos by upload time."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self._people()
        self._channels()
        self.topics = np.zeros((0, len(TOPICS)))  # [videos, topics], rows sum to 1
        self.channel = np.zeros(0, dtype=np.int64)
        self.quality = np.zeros(0)
        self.seconds = np.zeros(0)
        self.uploaded_ms = np.zeros(0, dtype=np.int64)
        self.restricted = {country: np.zeros(0, dtype=bool) for country in LANGUAGE_OF_COUNTRY}
        self.catalog: list[CatalogEvent] = []
        for _ in range(config.videos):
            self._upload()

    def uploads_until(self, now_ms: int) -> int:
        """How many videos there are at `now_ms`: they are the first so many. Makes those that are missing."""
        while self._uploaded_at(len(self.catalog)) <= now_ms:
            self._upload()
        return int(np.searchsorted(self.uploaded_ms, now_ms, side="right"))

    def taste(self, user: int, videos: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much `user` likes `videos` `[n]`, whatever happened so far."""
        liked = self.topics[videos] @ self.tastes[user]
        return np.asarray(liked + self.quality[videos] + self.channel_appeal[user, self.channel[videos]])

    def freshness(self, videos: NDArray[np.int64], now_ms: int) -> NDArray[np.float64]:
        """What being new adds to the appeal of `videos` `[n]`."""
        days = (now_ms - self.uploaded_ms[videos]) / DAY_MS
        return FRESH * np.exp(-np.maximum(days, 0) / FRESH_DAYS)

    def share(self, user: int, videos: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean share that `user` watches of `videos` `[n]` after a click."""
        length = LENGTH_ON_SHARE * np.log(self.seconds[videos] / 120)
        return sigmoid(APPEAL_ON_SHARE * self.taste(user, videos) - length)

    def _people(self) -> None:
        random = np.random.default_rng([self.config.seed, _USERS])
        users = self.config.users
        ages = random.integers(14, 70, users)
        women = random.random(users) < 0.5
        groups = (ages < 30) * 2 + women  # four groups, each with three topics that it likes more
        lean = np.arange(len(TOPICS)) // 3 == groups[:, None]
        self.tastes = random.normal(-1.0, 0.3, (users, len(TOPICS))) + 1.0 * lean
        for user in range(users):
            self.tastes[user, random.choice(len(TOPICS), 2, replace=False)] += 2.5
        favourites = random.integers(0, self.config.channels, (users, 3))
        self.channel_appeal = np.zeros((users, self.config.channels))  # by liking and by language
        self.channel_appeal[np.arange(users)[:, None], favourites] += FAVOURITE_CHANNEL
        activity = random.lognormal(0, 1, users)
        self.activity = activity / activity.sum()  # share of all sessions
        countries = random.choice(list(LANGUAGE_OF_COUNTRY), users, p=[0.5, 0.2, 0.3])
        devices = random.choice(DEVICES, users, p=[0.6, 0.25, 0.15])
        self.profiles = [
            ProfileEvent(
                user_id=f"user-{user}",
                age=float(ages[user]),
                gender="F" if women[user] else "M",
                country=str(countries[user]),
                device=str(devices[user]),
            )
            for user in range(users)
        ]

    def _channels(self) -> None:
        random = np.random.default_rng([self.config.seed, _CHANNELS])
        channels = self.config.channels
        self.channel_topic = random.integers(0, len(TOPICS), channels)
        self.channel_quality = random.normal(0, 0.3, channels)
        self.channel_language = random.choice(["en", "es"], channels, p=[0.7, 0.3])
        spoken = np.array([LANGUAGE_OF_COUNTRY[profile.country] for profile in self.profiles])
        self.channel_appeal += FOREIGN_LANGUAGE * (spoken[:, None] != self.channel_language)

    def _uploaded_at(self, video: int) -> int:
        """Uploads come at an even pace; those of the first catalogue end at the start."""
        first = video + 1 - self.config.videos
        pace = DAY_MS / self.config.uploads_per_day if first > 0 else _CATALOGUE_DAYS * DAY_MS / self.config.videos
        return self.config.start_ms + round(first * pace)

    def _upload(self) -> None:
        video = len(self.catalog)
        random = np.random.default_rng([self.config.seed, _VIDEOS, video])
        channel = int(random.integers(self.config.channels))
        main, second = int(self.channel_topic[channel]), int(random.integers(len(TOPICS)))
        topics = np.zeros(len(TOPICS))
        topics[main] += 0.7
        topics[second] += 0.3
        seconds = float(np.clip(round(random.lognormal(np.log(150), 0.6)), 20, 1_200))
        countries = list(LANGUAGE_OF_COUNTRY)
        restricted = [countries[random.integers(len(countries))]] if random.random() < 0.03 else []
        words = [*random.permutation(TOPIC_WORDS[TOPICS[main]])[:2], random.choice(TOPIC_WORDS[TOPICS[second]])]
        self.topics = np.vstack([self.topics, topics])
        self.channel = np.append(self.channel, channel)
        self.quality = np.append(self.quality, self.channel_quality[channel] + random.normal(0, 0.4))
        self.seconds = np.append(self.seconds, seconds)
        for country, blocked in self.restricted.items():
            self.restricted[country] = np.append(blocked, country in restricted)
        self.uploaded_ms = np.append(self.uploaded_ms, self._uploaded_at(video))
        self.catalog.append(
            CatalogEvent(
                video_id=f"video-{video}",
                channel_id=f"channel-{channel}",
                topics=list(dict.fromkeys([TOPICS[main], TOPICS[second]])),
                language=str(self.channel_language[channel]),
                uploaded_at=self._uploaded_at(video),
                video_seconds=seconds,
                title=" ".join(words).capitalize(),
                restricted_countries=restricted,
            )
        )


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)
