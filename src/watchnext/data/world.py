"""A closed world: users with hidden tastes who search, get lists, look, click, watch and tire, while videos come in.

`World.respond` answers any list, ours or that of the world's own simple policy. Users look less at lower positions,
tire of what they saw and did not watch, hardly watch a thing twice, and like for a day what they searched for.
The policy's lists leave out what is restricted in the user's country; results of searches do not.
`World.true_expected_seconds` is what a perfect ranker would say, so that tests can ask whether a model found it.

>>> world = World(WorldConfig(users=20, videos=50))
>>> past = list(world.history(days=1))
>>> answer = world.respond("user-3", ["video-1", "video-2"], world.now_ms, request_id="r1")
>>> [topic.value for topic, _ in answer[:2]]
['impression-events', 'impression-events']
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, SearchEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.records import Record, number_of
from watchnext.data.truth import CLICK_BIAS, TOPIC_WORDS, TOPICS, Truth, WorldConfig, sigmoid
from watchnext.errors import DataError

FATIGUE: Final = 0.7  # appeal lost with each impression since the last watch
WATCHED: Final = 3.0  # appeal lost once a video was watched
SEARCHED: Final = 1.5  # appeal that a topic gains for SEARCH_MS after a search for it
SEARCH_MS: Final = DAY_MS
EXAMINATION: Final = 0.2  # an item at position p is looked at with probability 1 / (1 + EXAMINATION * p)
COMPLETED_SHARE: Final = 0.8
SEARCH_CHANCE: Final = 0.25  # of a session
EXPLORE_CHANCE: Final = 0.2  # of a home list: random videos, so that the log covers everything
EVENING: Final = 0.8  # how far sessions at 20:00 UTC are above the day's mean, and at 8:00 below it
_SPREAD: Final = 6.0  # concentration of the Beta distribution of the watched share
_GAP_MS: Final = 2_000  # before a watch starts
_SESSIONS, _ANSWERS = 3, 4  # streams of random numbers; `truth` has 0 to 2


class World:
    """The truth and what has happened so far. Equal calls in equal order give equal events."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.truth = Truth(config)
        self.now_ms = config.start_ms
        self._random = np.random.default_rng([config.seed, _SESSIONS])
        self._shown: list[Counter[int]] = [
            Counter() for _ in range(config.users)
        ]  # video to times since its last watch
        self._watched: list[set[int]] = [set() for _ in range(config.users)]
        self._searched: list[dict[int, int]] = [{} for _ in range(config.users)]  # topic to last search, ms
        self._busy_until = np.zeros(config.users, dtype=np.int64)
        self._plays = np.zeros(0)  # of each video
        self._announced = config.videos
        self._sessions = 0
        self._pending: list[tuple[int, int, Record]] = []  # heap by at_ms
        self._order = itertools.count()
        self._next_ms = self._arrival(config.start_ms)

    def catalog(self) -> Iterator[CatalogEvent]:
        """Videos at the start; later uploads are among the events."""
        return iter(self.truth.catalog[: self.config.videos])

    def profiles(self) -> Iterator[ProfileEvent]:
        """All users."""
        return iter(self.truth.profiles)

    def history(self, days: float) -> Iterator[Record]:
        """The next `days` under the world's own policy, sorted by `at_ms`; later ends come with the next call."""
        end_ms = self.now_ms + round(days * DAY_MS)
        while self.now_ms < end_ms:
            self.now_ms = min(self._next_ms, end_ms)
            self._announce(self.now_ms)
            while self._pending and self._pending[0][0] < self.now_ms:
                yield heapq.heappop(self._pending)[2]
            if self.now_ms == self._next_ms:
                self._session(self.now_ms)
                self._next_ms = self._arrival(self.now_ms)

    def live(self) -> Iterator[Record]:
        """Endless load: the history goes on."""
        while True:
            yield from self.history(days=1)

    def respond(
        self, user_id: str, video_ids: Sequence[str], now_ms: int, *, request_id: str, surface: str = "home"
    ) -> list[Record]:
        """What `user_id` does with a list shown at `now_ms`: impressions, then watches, sorted by `at_ms`.

        The answer depends on the seed, the request id and the user's own past alone.

        Raises:
            DataError: the user or a video is not of this world, or a video is not uploaded yet.
        """
        user, videos = self._user(user_id), self._videos(video_ids, now_ms)
        random = np.random.default_rng([self.config.seed, _ANSWERS, number_of(request_id)])
        clicked = random.random(len(videos)) < self._click(user, videos, now_ms, np.arange(len(videos)))
        records: list[Record] = [
            (
                Topic.IMPRESSION,
                ImpressionEvent(
                    event_id=f"{request_id}-i{position}",
                    request_id=request_id,
                    user_id=user_id,
                    video_id=video_id,
                    position=position,
                    shown_at=now_ms,
                    surface=surface,
                ),
            )
            for position, video_id in enumerate(video_ids)
        ]
        self._shown[user].update(videos.tolist())
        start_ms = now_ms + _GAP_MS
        for position in np.flatnonzero(clicked):
            watch = self._watch(
                random, user, int(videos[position]), start_ms, f"{request_id}-w{position}", surface, request_id
            )
            records.append((Topic.WATCH, watch))
            start_ms = watch.at_ms + _GAP_MS
        return records

    def true_expected_seconds(
        self, user_id: str, video_ids: Sequence[str], now_ms: int, *, position: int = 0
    ) -> NDArray[np.float64]:
        """Mean watch seconds of showing each video `[n]` to `user_id` at `now_ms` at `position`, clicked or not.

        Raises:
            DataError: as `respond`.
        """
        user, videos = self._user(user_id), self._videos(video_ids, now_ms)
        click = self._click(user, videos, now_ms, np.full(len(videos), position))
        return click * self.truth.share(user, videos) * self.truth.seconds[videos]

    def _click(
        self, user: int, videos: NDArray[np.int64], now_ms: int, positions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Chance of a click `[n]`."""
        shown = np.array([self._shown[user][video] for video in videos.tolist()])
        watched = np.array([video in self._watched[user] for video in videos.tolist()])
        wanted = np.zeros(len(TOPICS))
        for topic, searched_ms in self._searched[user].items():
            wanted[topic] = SEARCHED * (0 <= now_ms - searched_ms < SEARCH_MS)
        appeal = (
            self.truth.taste(user, videos) + self.truth.freshness(videos, now_ms) + self.truth.topics[videos] @ wanted
        )
        return sigmoid(CLICK_BIAS + appeal - FATIGUE * shown - WATCHED * watched) / (1 + EXAMINATION * positions)

    def _watch(
        self,
        random: np.random.Generator,
        user: int,
        video: int,
        started_ms: int,
        event_id: str,
        surface: str,
        request_id: str | None,
    ) -> WatchEvent:
        """The user watches: the event, and what it does to the state."""
        share = float(self.truth.share(user, np.array([video]))[0])
        fraction = random.beta(share * _SPREAD, (1 - share) * _SPREAD)
        seconds = round(fraction * float(self.truth.seconds[video]), 3)
        profile = self.truth.profiles[user]
        watch = WatchEvent(
            event_id=event_id,
            user_id=profile.user_id,
            video_id=self.truth.catalog[video].video_id,
            started_at=started_ms,
            watch_seconds=seconds,
            video_seconds=float(self.truth.seconds[video]),
            completed=bool(fraction >= COMPLETED_SHARE),
            device=profile.device,
            country=profile.country,
            surface=surface,
            request_id=request_id,
        )
        self._shown[user].pop(video, None)
        self._watched[user].add(video)
        self._plays[video] += 1
        self._busy_until[user] = max(int(self._busy_until[user]), watch.at_ms)
        return watch

    def _session(self, now_ms: int) -> None:
        """One user comes, perhaps searches, and looks at the policy's home list."""
        user = int(self._random.choice(self.config.users, p=self.truth.activity))
        if self._busy_until[user] >= now_ms:
            return
        self._sessions += 1
        name = f"sim-{self.config.seed}-{self._sessions}"
        if self._random.random() < SEARCH_CHANCE:
            self._search(user, now_ms, name)
        shown_ms = max(now_ms, int(self._busy_until[user])) + _GAP_MS
        user_id = self.truth.profiles[user].user_id
        listed = [self.truth.catalog[video].video_id for video in self._policy(user, now_ms)]
        self._schedule(self.respond(user_id, listed, shown_ms, request_id=name))

    def _search(self, user: int, now_ms: int, name: str) -> None:
        """A query about a topic that the user likes, and a watch from its results, which no list of ours led to."""
        appetite = np.exp(self.truth.tastes[user])
        topic = int(self._random.choice(len(TOPICS), p=appetite / appetite.sum()))
        words = self._random.choice(TOPIC_WORDS[TOPICS[topic]], self._random.integers(1, 3), replace=False)
        user_id = self.truth.profiles[user].user_id
        query = SearchEvent(event_id=f"{name}-q", user_id=user_id, query=" ".join(words), searched_at=now_ms)
        self._schedule([(Topic.SEARCH, query)])
        self._searched[user][topic] = now_ms
        results = np.flatnonzero(self.truth.topics[: self._present(now_ms), topic] > 0)
        if len(results):
            liking = np.exp(self.truth.taste(user, results))
            video = int(self._random.choice(results, p=liking / liking.sum()))
            watch = self._watch(self._random, user, video, now_ms + _GAP_MS, f"{name}-s", "search", None)
            self._schedule([(Topic.WATCH, watch)])

    def _policy(self, user: int, now_ms: int) -> list[int]:
        """The home list before there is a recommender: plays, some taste, new uploads, and chance."""
        videos = np.arange(self._present(now_ms))
        score = self._random.gumbel(size=len(videos))
        if self._random.random() >= EXPLORE_CHANCE:
            score += (
                0.3 * np.log1p(self._plays[videos])
                + self.truth.taste(user, videos)
                + self.truth.freshness(videos, now_ms)
            )
            score[list(self._watched[user])] -= WATCHED
        country = self.truth.profiles[user].country
        score[self.truth.restricted[country][videos]] = -np.inf
        best: list[int] = np.argsort(-score, kind="stable")[: self.config.list_size].tolist()
        return [video for video in best if np.isfinite(score[video])]  # a small world may have fewer than a list

    def _arrival(self, after_ms: int) -> int:
        """When the next session starts: a Poisson process that follows the hour of the day (by thinning)."""
        mean_gap_ms = DAY_MS / (self.config.users * self.config.sessions_per_day)
        at_ms = float(after_ms)
        while True:
            at_ms += self._random.exponential(mean_gap_ms / (1 + EVENING))
            hour = at_ms / HOUR_MS % 24
            if self._random.random() * (1 + EVENING) < 1 + EVENING * math.cos((hour - 20) / 24 * 2 * math.pi):
                return math.ceil(at_ms)

    def _present(self, now_ms: int) -> int:
        """How many videos there are."""
        present = self.truth.uploads_until(now_ms)
        if missing := len(self.truth.catalog) - len(self._plays):
            self._plays = np.pad(self._plays, (0, missing))
        return present

    def _announce(self, now_ms: int) -> None:
        """Puts the uploads since the last call among the events."""
        present = self._present(now_ms)
        self._schedule([(Topic.CATALOG, video) for video in self.truth.catalog[self._announced : present]])
        self._announced = max(self._announced, present)

    def _schedule(self, records: list[Record]) -> None:
        for record in records:
            heapq.heappush(self._pending, (record[1].at_ms, next(self._order), record))

    def _user(self, user_id: str) -> int:
        number = _number(user_id, "user-")
        if number is None or number >= self.config.users:
            raise DataError(f"{user_id!r} is no user of this world; wanted user-0 to user-{self.config.users - 1}")
        return number

    def _videos(self, video_ids: Sequence[str], now_ms: int) -> NDArray[np.int64]:
        present = self._present(now_ms)
        numbers = [_number(video_id, "video-") for video_id in video_ids]
        for number, video_id in zip(numbers, video_ids, strict=True):
            if number is None or number >= present:
                raise DataError(f"{video_id!r} is not in this world at {now_ms}; wanted video-0 to video-{present - 1}")
        return np.array(numbers, dtype=np.int64)


def _number(name: str, prefix: str) -> int | None:
    digits = name.removeprefix(prefix)
    return int(digits) if digits != name and digits.isdecimal() else None
