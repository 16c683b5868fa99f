"""What the contenders of the ranking read: labelled impressions before a cut to learn from, and after it to score.

A split (`split_files`) of two tables: `videos` as ever, and `impressions`, whose `features` are the ranker's continuous
inputs and whose `context` are its categorical ones, structs by name. PyArrow and numpy only: the peers read this too.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.peers.choice import SEEDS
from benchmarks.peers.contest import Answer, Task
from benchmarks.quality.split_files import Split
from watchnext.evaluation.ranking import auc, weighted_per_user_loss

TABLE: Final = "impressions"
SURFACE: Final = "tab-1"  # of KuaiRand, the one with most rows, that is measured alone too

Bools = NDArray[np.bool_]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Impressions:
    """Columns, `[impressions]`: those before the cut, then those after it, each in the order of their moments."""

    held_out: Bools  # after the cut: to be scored
    features: Floats  # [impressions, features]
    context: Longs  # [impressions, categories]; 0 is what was not there before the cut
    surface: NDArray[np.str_]
    video: Longs
    person: Longs
    clicked: Bools
    seconds: Floats  # watched; 0 where unclicked
    long_view: Bools
    video_seconds: Floats

    @classmethod
    def of(cls, split: Split) -> "Impressions":
        table = split.tables[TABLE].combine_chunks()
        columns = {}
        for field in table.schema:
            column = table[field.name].combine_chunks()
            if pa.types.is_struct(field.type):
                columns[field.name] = np.column_stack([one.to_numpy() for one in column.flatten()])
            else:
                columns[field.name] = column.to_numpy(zero_copy_only=False)
        return cls(**columns | {"surface": columns["surface"].astype(str)})

    def take(self, rows: Bools) -> "Impressions":
        return Impressions(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def past(self) -> "Impressions":
        """Those to learn from."""
        return self.take(~self.held_out)

    @cached_property
    def asked(self) -> "Impressions":
        """Those to be scored."""
        return self.take(self.held_out)

    def table(self, features: tuple[str, ...], context: tuple[str, ...]) -> pa.Table:
        """What `of` reads."""
        structs = {"features": (self.features, features), "context": (self.context, context)}
        return pa.table(
            {
                name: pa.StructArray.from_arrays(list(map(pa.array, column.T)), structs[name][1])
                if name in structs
                else column
                for name, column in self.columns().items()
            }
        )


def long_view_auc(split: Split, scores: Answer) -> float:
    asked = Impressions.of(split).asked
    return auc(scores, asked.long_view)


def watch_time_in_order(split: Split, scores: Answer) -> float:
    """1 less the paper's weighted per-user loss."""
    asked = Impressions.of(split).asked
    return 1 - weighted_per_user_loss(scores, asked.seconds, asked.clicked, asked.person).value


LONG_VIEW: Final = Task("scores", "long view AUC", long_view_auc, SEEDS)
WATCH_TIME: Final = Task("scores", "1 - weighted per-user loss", watch_time_in_order, SEEDS)
