"""Made-up watches that both contenders train on, and what both are told of the task.

A video lies in a cluster of CLUSTER neighbours. A user has a few clusters and watches mostly there, the first videos of
a cluster more often than its last. Only NumPy: the peer's environment reads this too.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 64
HIDDEN: Final = (256, 128)
HISTORY: Final = 50
BATCH: Final = 1_024
NEGATIVES: Final = 100  # an example
USERS: Final = 20_000
WATCHES: Final = 60  # of a user; the last is held out
FIRST: Final = 10  # watches before the first example
EXAMPLES: Final = WATCHES - FIRST - 1  # of a user
CLUSTER: Final = 100
INTERESTS: Final = 3
ASKED: Final = 2_000  # users
DEPTH: Final = 50  # of a list

Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Watches:
    """The watches of all users among videos 1 to `videos`."""

    rows: Rows  # [users, WATCHES], old to new
    videos: int

    @classmethod
    def of(cls, videos: int, seed: int = 0) -> "Watches":
        """The same for the same arguments."""
        draw = np.random.default_rng((seed, videos))
        interests = draw.integers(videos // CLUSTER, size=(USERS, INTERESTS))
        chosen = np.take_along_axis(interests, draw.integers(INTERESTS, size=(USERS, WATCHES)), axis=1)
        strayed = draw.random((USERS, WATCHES)) < 0.2
        cluster = np.where(strayed, draw.integers(videos // CLUSTER, size=(USERS, WATCHES)), chosen)
        place = (CLUSTER * draw.random((USERS, WATCHES)) ** 2).astype(np.int64)
        return cls((1 + cluster * CLUSTER + place).astype(np.int32), videos)

    @property
    def trained(self) -> Rows:
        """Every watch that is an example."""
        return self.rows[:, FIRST:-1].ravel()

    def examples(self, step: int, seed: int = 0) -> tuple[Rows, Rows]:
        """Histories `[BATCH, HISTORY]`, zeros at the end, and the next watches `[BATCH]` of a step."""
        chosen = np.random.default_rng((seed, step, 1)).integers(USERS * EXAMPLES, size=BATCH)
        return self._at(chosen // EXAMPLES, FIRST + chosen % EXAMPLES)

    def questions(self) -> tuple[Rows, Rows]:
        """Histories and held-out watches of the first users."""
        return self._at(np.arange(ASKED), np.full(ASKED, WATCHES - 1))

    def _at(self, user: NDArray[Any], watch: NDArray[Any]) -> tuple[Rows, Rows]:
        places = np.maximum(watch - HISTORY, 0)[:, None] + np.arange(HISTORY)
        history = np.where(places < watch[:, None], self.rows[user[:, None], places], np.int32(0))
        return history, self.rows[user, watch]


def recall(scores: NDArray[Any], held_out: Rows) -> float:
    """Share of held-out watches among the DEPTH best of `[questions, videos]`; column 0 is video 1."""
    best = np.argpartition(-scores, DEPTH, axis=1)[:, :DEPTH] + 1
    return float((best == held_out[:, None]).any(axis=1).mean())
