"""Shapes and numbers of the models: JSON-able dataclasses, and the one dial `profile` that sets them.

`tiny` is for tests, `small` for a demo on two cores, `full` for a GPU and the paper's sizes.

>>> embedding_width(2), embedding_width(1_000), embedding_width(1_000_000)
(4, 20, 40)
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

Pooling = Literal["average", "sum", "max", "attention"]
Weighting = Literal["expected", "paper"]


def embedding_width(size: int) -> int:
    """Width of an embedding of `size` rows: twice the binary logarithm, at least 4 (paper, section 4.1)."""
    return max(4, 2 * math.ceil(math.log2(max(size, 2))))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Rows of each embedding, the unknown included: `Vocabulary.size`. Videos are those with an embedding id."""

    videos: int
    ranking_videos: int
    channels: int
    topics: int
    languages: int
    countries: int
    devices: int
    genders: int
    surfaces: int
    search_tokens: int


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What towers and ranker both have."""

    sizes: Sizes
    hidden: tuple[int, ...] = (256, 128)  # ReLU layers

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        lists = {name: tuple(given) for name, given in value.items() if isinstance(given, (list, tuple))}
        return cls(**{**value, **lists, "sizes": Sizes(**value["sizes"])})


@dataclass(frozen=True, kw_only=True)
class TowerConfig(ModelConfig):
    """Both towers."""

    embedding_dim: int = 64  # of user and video vectors
    pooling: Pooling = "average"  # "attention": averages, and attention over the last watches
    windows: tuple[int, ...] = (50,)  # the last so many watches, each pooled on its own
    id_dropout: float = 0.1  # share of training videos without their id part, so that the content part stands alone
    until_ms: int = 0  # end of the training part, where the example age is 0


@dataclass(frozen=True, kw_only=True)
class RankerConfig(ModelConfig):
    """The ranker."""

    continuous: int  # continuous features before x² and √x: `len(RANKER_FEATURES)`
    dropout: float = 0.0  # of video and channel embeddings, and of each layer


@dataclass(frozen=True, kw_only=True)
class ProfileConfig:
    """What a profile sets: shapes, sizes of vocabularies, and the numbers of the optimisation."""

    embedding_dim: int
    tower: tuple[int, ...]
    ranker: tuple[int, ...]
    top_videos: int  # with an embedding
    top_tokens: int
    quantile_bins: int
    epochs: int  # of the ranker
    tower_epochs: int
    batch: int
    negatives: int  # sampled a batch, the same for all its examples
    cap_per_user: int  # examples of a user
    learning_rate: float  # of the ranker's layers
    id_rate: float  # of the ranker's big embeddings, of rows with many impressions (`training.optimiser`)
    dropout: float  # of the ranker
    tower_learning_rate: float  # of the towers' layers
    tower_id_rate: float  # of the towers' big embeddings; both start at what is known of them (`training.warm_start`)
    pooling: Pooling = "average"
    windows: tuple[int, ...] = (50,)
    ranking_weight: Weighting = "expected"

    def tower_config(self, sizes: Sizes, until_ms: int) -> TowerConfig:
        """The towers over vocabularies of `sizes`, trained on what was before `until_ms`."""
        return TowerConfig(
            sizes=sizes,
            until_ms=until_ms,
            embedding_dim=self.embedding_dim,
            hidden=self.tower,
            pooling=self.pooling,
            windows=self.windows,
        )

    def ranker_config(self, sizes: Sizes, continuous: int) -> RankerConfig:
        """The ranker over vocabularies of `sizes` and `continuous` features."""
        return RankerConfig(sizes=sizes, continuous=continuous, hidden=self.ranker, dropout=self.dropout)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


PROFILES = {
    "tiny": ProfileConfig(
        embedding_dim=16,
        tower=(32,),
        ranker=(32,),
        top_videos=2_000,
        top_tokens=2_000,
        quantile_bins=32,
        epochs=3,
        tower_epochs=3,
        batch=128,
        negatives=128,
        cap_per_user=20,
        learning_rate=0.01,
        id_rate=0.2,
        dropout=0.0,
        tower_learning_rate=0.01,
        tower_id_rate=0.2,
    ),
    "small": ProfileConfig(
        embedding_dim=64,
        tower=(256, 128),
        ranker=(256, 128),
        top_videos=100_000,
        top_tokens=50_000,
        quantile_bins=256,
        epochs=3,
        tower_epochs=6,
        batch=512,
        negatives=1_000,
        cap_per_user=40,
        learning_rate=0.002,
        id_rate=0.2,
        dropout=0.4,
        tower_learning_rate=0.001,
        tower_id_rate=0.005,
    ),
    "full": ProfileConfig(
        embedding_dim=256,
        tower=(1024, 512, 256),
        ranker=(1024, 512, 256),
        top_videos=1_000_000,
        top_tokens=1_000_000,
        quantile_bins=1_000,
        epochs=5,
        tower_epochs=5,
        batch=4_096,
        negatives=5_000,
        cap_per_user=100,
        learning_rate=0.001,
        id_rate=0.2,
        dropout=0.4,
        tower_learning_rate=0.001,
        tower_id_rate=0.005,
    ),
}


def profile_config(profile: str, training: Mapping[str, Any]) -> ProfileConfig:
    """A profile with the settings of `training` on top; a setting that is 0 or empty leaves the profile's.

    Args:
        profile: "tiny", "small" or "full".
        training: values by name (`settings.training.model_dump()`); names that are no profile's are left alone.

    Raises:
        ValueError: no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} came; wanted one of {', '.join(PROFILES)}")
    names = {field.name for field in fields(ProfileConfig)}
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in training.items()
        if name in names and value
    }
    return replace(PROFILES[profile], **chosen)
