"""The examples between the stages: what is in memory, and the files that hold it.

<folder>/towers.parquet    next watches of the training part
<folder>/ranker.parquet    impressions of the training part
<folder>/held_out.parquet  impressions after it
<folder>/queries.npz       held-out questions to the retrieval
<folder>/watched.npz       completed watches of the training part, for the baselines
<folder>/met.npz           all that was watched or shown in the training part, for the start of the towers' embeddings
<folder>/met_unlabelled.npz  those of them that no ranker example shows, for the start of the ranker's
<folder>/item_item.npz     which videos the same users met: the source beside the towers
<folder>/videos.npz  watches.npz  countries.npz  countries.json  vocabularies.json  probes.json  meta.json

The first three are as long as the log is: they are written and read a part at a time. Who trains needs no item-item
table, which is long where videos are many: it is read when asked.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from watchnext.features.batches import UserColumns
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.item_item import ItemItem
from watchnext.training.lines import LineFile, Lines, columns_of, end_to_end, names_of

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TowerExamples(Lines):
    """Next watches."""

    row: Ints  # the watched video
    age_days: Floats  # end of the training part − label time


@dataclass(frozen=True, kw_only=True)
class RankerExamples(Lines):
    """Labelled impressions."""

    row: Ints  # the shown video
    features: Floats  # [impressions, len(RANKER_FEATURES)], before the quantiles
    clicked: Bools
    seconds: Floats  # watched; 0 where unclicked
    completed: Bools
    at_ms: Longs
    person: Longs  # a code of the user


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Who and which video; columns of one length."""

    person: Longs
    row: Ints

    def save(self, path: Path) -> None:
        """As .npz."""
        _save(path, person=self.person, row=self.row)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(person=arrays["person"], row=arrays["row"])


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Held-out questions: what do these users watch next?"""

    users: UserColumns
    seen: list[Ints]  # rows of all that the user had watched, which no list may hold
    targets: list[Ints]  # rows of the next watches

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The questions of all parts, of which there is at least one."""
        users: dict[str, Any] = end_to_end([columns_of(part.users) for part in parts])
        return cls(
            users=UserColumns(**users),
            seen=[rows for part in parts for rows in part.seen],
            targets=[rows for part in parts for rows in part.targets],
        )

    def save(self, path: Path) -> None:
        """As .npz, lists end to end."""
        lists = {"seen": self.seen, "targets": self.targets}
        rows = {name: np.concatenate([np.zeros(0, np.int32), *several]) for name, several in lists.items()}
        ends = {
            f"{name}_ends": np.cumsum([len(one) for one in several], dtype=np.int64) for name, several in lists.items()
        }
        _save(path, **columns_of(self.users), **rows, **ends)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            users = UserColumns(**{name: arrays[name] for name in names_of(UserColumns)})
            seen, targets = (
                np.split(arrays[name], arrays[f"{name}_ends"])[: len(users)] for name in ("seen", "targets")
            )
            return cls(users=users, seen=seen, targets=targets)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What the examples were made of."""

    snapshot: str
    split_ms: int  # labels before are for training, the others are held out
    end_ms: int
    counts: dict[str, int]
    settings: dict[str, float] = field(default_factory=dict)  # that change the examples, beside those of the profile


@dataclass(frozen=True, kw_only=True)
class ExampleFiles:
    """The long files, which are read when asked."""

    folder: Path

    @cached_property
    def towers(self) -> LineFile[TowerExamples]:
        """Next watches of the training part."""
        return LineFile(self.folder / "towers.parquet", TowerExamples)

    @cached_property
    def ranker(self) -> LineFile[RankerExamples]:
        """Impressions of the training part."""
        return LineFile(self.folder / "ranker.parquet", RankerExamples)

    @cached_property
    def held_out(self) -> LineFile[RankerExamples]:
        """Impressions after it."""
        return LineFile(self.folder / "held_out.parquet", RankerExamples)

    @cached_property
    def item_item(self) -> ItemItem:
        """Which videos the same users met, in the training part."""
        with np.load(self.folder / "item_item.npz", allow_pickle=False) as columns:
            return ItemItem.from_columns(columns)

    def save_item_item(self, table: ItemItem) -> None:
        """Write what `item_item` reads."""
        _save(self.folder / "item_item.npz", **table.columns())


@dataclass(frozen=True, kw_only=True)
class ExampleSet(ExampleFiles):
    """All that later stages read of the data."""

    meta: Meta
    vocabularies: Vocabularies
    videos: VideoTable
    watches: Floats  # of each video, decayed as of the split, [videos]: those of the table know the holdout
    queries: Queries
    watched: Pairs
    met: Pairs
    met_unlabelled: Pairs
    country_watches: dict[str, Floats]  # country to watches of the training part, [videos]
    probes: list[dict[str, Any]]  # {"row": merged user rows, "context": a request's}

    def save(self) -> None:
        """Write all but the long files, which have writers of their own."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.queries.save(folder / "queries.npz")
        self.watched.save(folder / "watched.npz")
        self.met.save(folder / "met.npz")
        self.met_unlabelled.save(folder / "met_unlabelled.npz")
        _save(folder / "videos.npz", **self.videos.columns())
        _save(folder / "watches.npz", watches=self.watches)
        # By number: what a client calls a country may be no name of an array.
        counts = {str(at): watches for at, watches in enumerate(self.country_watches.values())}
        _save(folder / "countries.npz", **counts)
        for name, value in (
            ("vocabularies", self.vocabularies.to_json()),
            ("countries", list(self.country_watches)),
            ("probes", self.probes),
            ("meta", asdict(self.meta)),
        ):
            (folder / f"{name}.json").write_text(json.dumps(value))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        with (
            np.load(folder / "videos.npz", allow_pickle=False) as videos,
            np.load(folder / "watches.npz", allow_pickle=False) as watches,
            np.load(folder / "countries.npz", allow_pickle=False) as countries,
        ):
            table, decayed = VideoTable.from_columns(dict(videos)), watches["watches"]
            names = json.loads((folder / "countries.json").read_text())
            country_watches = {name: countries[str(at)] for at, name in enumerate(names)}
        return cls(
            folder=folder,
            meta=Meta(**json.loads((folder / "meta.json").read_text())),
            vocabularies=Vocabularies.from_json(json.loads((folder / "vocabularies.json").read_text())),
            videos=table,
            watches=decayed,
            queries=Queries.load(folder / "queries.npz"),
            watched=Pairs.load(folder / "watched.npz"),
            met=Pairs.load(folder / "met.npz"),
            met_unlabelled=Pairs.load(folder / "met_unlabelled.npz"),
            country_watches=country_watches,
            probes=json.loads((folder / "probes.json").read_text()),
        )
