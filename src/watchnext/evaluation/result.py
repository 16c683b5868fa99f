"""What one evaluation found: figures of each contender, and the curves that the report draws.

>>> result = Evaluation(snapshot="s", split_ms=0, end_ms=1, counts={}, retrieval={"towers": {"recall@50": 0.5}},
...                     ranking={}, curves={})
>>> result.flat()
{'towers recall@50': 0.5}
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

TOWERS = "towers"
MERGED = "merged"
RANKER = "ranker"
POPULAR = "popular"
ITEM_COSINE = "item cosine"
VIDEO_MEAN = "video mean"

DEPTHS = (10, 50, 200)
GATE_METRIC = "recall@50"


@dataclass(frozen=True)
class Evaluation:
    """Held-out figures of the models and of the contenders beside them."""

    snapshot: str
    split_ms: int  # epoch ms: labels before are for training, the others are held out
    end_ms: int
    counts: dict[str, int]  # examples, queries, impressions
    retrieval: dict[str, dict[str, float]]  # contender to metric to value
    ranking: dict[str, dict[str, float]]
    curves: dict[str, list[list[float]]]  # name to columns
    cold_start: dict[str, dict[str, float]] = field(default_factory=dict)  # case to figure to value

    def flat(self) -> dict[str, float]:
        """All finite figures by `contender metric`."""
        return {
            f"{contender} {metric}": value
            for group in (self.retrieval, self.ranking)
            for contender, metrics in group.items()
            for metric, value in metrics.items()
            if math.isfinite(value)
        }

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """What `save` wrote."""
        return cls(**json.loads(path.read_text()))
