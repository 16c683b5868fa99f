"""Cold start: what the towers find of videos that nobody met in training, and for users of whom little is known.

A new video has no id embedding: its vector is the content part of the video tower alone. It is looked for among all
videos, as serving does, and among the new ones alone, which asks whether content tells them apart. A new user is a
query whose searches, impressions and all but the last few watches are taken away, so that demographics and context
are what is left; the targets stay. Popular, which needs to know nothing of a user, stands beside each.

Popular has no count of a new video: among the new ones its list is that of the table, an order that means nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.evaluation.baselines import Popular, ranked_rows
from watchnext.evaluation.retrieval import hits_of
from watchnext.evaluation.tower_lists import Floats, nearest, user_vectors, video_vectors
from watchnext.features.batches import UserColumns
from watchnext.features.videos import VideoTable
from watchnext.models.towers import TwoTower

DEPTH: Final = 50
DEPTH_OF_NEW: Final = 10  # among the new ones alone, which are few
WATCHES: Final = (0, 1, 5)  # that are left of a history

Rows = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Held-out questions: users, the rows that no list may hold, the rows of the next watches."""

    users: UserColumns
    seen: Sequence[Rows]
    targets: Sequence[Rows]

    def about(self, wanted: NDArray[np.bool_]) -> "Asked":
        """The questions with a target among the `wanted` rows `[videos]`, and those targets."""
        targets = [rows[wanted[rows]] for rows in self.targets]
        kept = [at for at, rows in enumerate(targets) if len(rows)]
        return Asked(
            users=self.users.take(np.array(kept, np.int64)),
            seen=[self.seen[at] for at in kept],
            targets=[targets[at] for at in kept],
        )


def cold_start(
    tower: TwoTower, videos: VideoTable, asked: Asked, *, watched: Rows, met: Rows
) -> dict[str, dict[str, float]]:
    """Recall of towers and Popular, with the number of questions, by case; a case without a question is left out.

    Args:
        tower: the towers.
        videos: the generation's table.
        asked: the held-out questions.
        watched: rows of the training watches, which Popular counts.
        met: rows of all that somebody watched or was shown in training; the rest is new.
    """
    popular = Popular.fit(watched, videos=len(videos) - 1)
    new = np.bincount(met, minlength=len(videos)) == 0
    new[0] = False
    of_new = asked.about(new)
    by_content = replace(videos, embedding=np.where(new, 0, videos.embedding))
    known, content = ((table, video_vectors(tower, table)) for table in (videos, by_content))
    among_new = Popular(hidden(popular.counts, ~new)), (content[0], hidden(content[1], ~new))
    cases = {
        "new videos, among all": (popular, content, of_new, DEPTH),
        "new videos, among the new": (*among_new, of_new, DEPTH_OF_NEW),
    }
    for watches in WATCHES:
        users = known_by(asked.users, watches)
        cases[f"users with {watches} watches"] = (popular, known, replace(asked, users=users), DEPTH)
    return {
        name: _recalls(tower, *table, of, contender, depth)
        for name, (contender, table, of, depth) in cases.items()
        if len(of.users)
    }


def known_by(users: UserColumns, watches: int) -> UserColumns:
    """The users with their last `watches` watches; nothing of what they searched or were shown."""
    filled = users.history != 0
    newer = np.cumsum(filled[:, ::-1], axis=1)[:, ::-1]  # watches from this one on
    left = np.where(filled & (newer <= watches), users.history, 0)
    at = np.argsort(left == 0, axis=1, kind="stable")
    nothing = {name: np.zeros_like(getattr(users, name)) for name in ("shown", "search_tokens", "query_tokens")}
    return replace(users, history=np.take_along_axis(left, at, axis=1), **nothing)


def hidden(values: Floats, rows: NDArray[np.bool_]) -> Floats:
    """Vectors or counts of the videos, NaN for `rows` `[videos]`: no list holds a video whose score is not finite."""
    return np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), np.float32(np.nan), values)


def _recalls(
    tower: TwoTower, videos: VideoTable, vectors: Floats, asked: Asked, popular: Popular, depth: int
) -> dict[str, float]:
    lists = {
        "towers": nearest(user_vectors(tower, asked.users, videos), vectors, asked.seen, depth),
        "popular": ranked_rows(lambda part: popular.scores(asked.seen[part]), asked.seen, depth),
    }
    recalls = {
        f"{name} recall@{depth}": float(hits_of(ranked, asked.targets).recall(depth).mean())
        for name, ranked in lists.items()
    }
    return {"questions": float(len(asked.users)), **recalls}
