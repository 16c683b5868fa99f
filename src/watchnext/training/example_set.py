"""The examples between the stages: what is in memory, and the files that hold it.

<folder>/users.npz       encoded users, one a moment: a user at a time with a context
<folder>/towers.npz      next watches of the training part
<folder>/ranker.npz      impressions of both parts
<folder>/queries.npz     held-out questions to the retrieval
<folder>/watched.npz     completed watches of the training part, for the baselines
<folder>/met.npz         all that was watched or shown in the training part, for the start of the embeddings
<folder>/videos.npz  vocabularies.json  probes.json  meta.json
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.training.encoded import EncodedUsers

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Arrays of one length, in one file."""

    def save(self, path: Path) -> None:
        """As .npz."""
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def part(self, wanted: NDArray[Any]) -> Self:
        """The entries where a mask is true, or of an index array."""
        return type(self)(**{field.name: getattr(self, field.name)[wanted] for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class TowerExamples(Columns):
    """Next watches."""

    user: Longs  # moment
    row: Ints  # the watched video
    age_days: Floats  # end of the training part − label time


@dataclass(frozen=True, kw_only=True)
class RankerExamples(Columns):
    """Labelled impressions."""

    user: Longs  # moment
    row: Ints  # the shown video
    features: Floats  # [impressions, len(RANKER_FEATURES)], before the quantiles
    clicked: Bools
    seconds: Floats  # watched; 0 where unclicked
    completed: Bools
    at_ms: Longs
    person: Longs  # a code of the user


@dataclass(frozen=True, kw_only=True)
class Pairs(Columns):
    """Who and which video."""

    person: Longs
    row: Ints


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Held-out questions: what does the user of a moment watch next?"""

    user: Longs  # moment
    seen: list[Ints]  # rows of all that the user had watched, which no list may hold
    targets: list[Ints]  # rows of the next watches

    def save(self, path: Path) -> None:
        """As .npz, lists end to end."""
        with path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                user=self.user,
                seen=np.concatenate([np.zeros(0, np.int32), *self.seen]),
                seen_ends=np.cumsum([len(rows) for rows in self.seen], dtype=np.int64),
                targets=np.concatenate([np.zeros(0, np.int32), *self.targets]),
                targets_ends=np.cumsum([len(rows) for rows in self.targets], dtype=np.int64),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            seen, targets = (
                np.split(arrays[name], arrays[f"{name}_ends"])[: len(arrays["user"])] for name in ("seen", "targets")
            )
            return cls(user=arrays["user"], seen=seen, targets=targets)


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What the examples were made of."""

    snapshot: str
    split_ms: int  # labels before are for training, the others are held out
    end_ms: int
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ExampleSet:
    """All that later stages read of the data."""

    meta: Meta
    vocabularies: Vocabularies
    videos: VideoTable
    users: EncodedUsers
    towers: TowerExamples
    ranker: RankerExamples
    queries: Queries
    watched: Pairs
    met: Pairs
    country_watches: dict[str, Floats]  # country to watches of the training part, [videos]
    probes: list[dict[str, Any]]  # {"row": merged user rows, "context": a request's}

    def save(self, folder: Path) -> None:
        """Write all files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.users.save(folder / "users.npz")
        self.towers.save(folder / "towers.npz")
        self.ranker.save(folder / "ranker.npz")
        self.queries.save(folder / "queries.npz")
        self.watched.save(folder / "watched.npz")
        self.met.save(folder / "met.npz")
        for name, arrays in (("videos", self.videos.columns()), ("countries", self.country_watches)):
            with (folder / f"{name}.npz").open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        for name, value in (
            ("vocabularies", self.vocabularies.to_json()),
            ("probes", self.probes),
            ("meta", asdict(self.meta)),
        ):
            (folder / f"{name}.json").write_text(json.dumps(value))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        with (
            np.load(folder / "videos.npz", allow_pickle=False) as videos,
            np.load(folder / "countries.npz", allow_pickle=False) as countries,
        ):
            table, country_watches = VideoTable.from_columns(dict(videos)), dict(countries)
        return cls(
            meta=Meta(**json.loads((folder / "meta.json").read_text())),
            vocabularies=Vocabularies.from_json(json.loads((folder / "vocabularies.json").read_text())),
            videos=table,
            users=EncodedUsers.load(folder / "users.npz"),
            towers=TowerExamples.load(folder / "towers.npz"),
            ranker=RankerExamples.load(folder / "ranker.npz"),
            queries=Queries.load(folder / "queries.npz"),
            watched=Pairs.load(folder / "watched.npz"),
            met=Pairs.load(folder / "met.npz"),
            country_watches=country_watches,
            probes=json.loads((folder / "probes.json").read_text()),
        )
