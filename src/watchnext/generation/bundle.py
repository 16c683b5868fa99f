"""The bundle: everything that must change together, in memory and as files.

    vocabularies.json  videos.safetensors  vectors.safetensors  probes.json  popular.json     video side
    static.json
    tower.safetensors  ranker.safetensors  quantiles.safetensors  item_item.safetensors       model side
    card.md

A generation holds both sides. An overlay holds the video side alone and lies on the model side of its generation.
Weights and arrays are safetensors and words are JSON: nothing here can run code when it is read.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray

from watchnext.errors import GenerationError
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.state import RequestContext
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.item_item import ItemItem
from watchnext.generation.manifest import Manifest, Target
from watchnext.generation.popular import static_ids
from watchnext.generation.static import STATIC
from watchnext.generation.titles import VIDEOS
from watchnext.models.config import RankerConfig, TowerConfig
from watchnext.models.ranker import Ranker
from watchnext.models.towers import TwoTower

VOCABULARIES: Final = "vocabularies.json"
VECTORS: Final = "vectors.safetensors"
PROBES: Final = "probes.json"
POPULAR: Final = "popular.json"
TOWER: Final = "tower.safetensors"
RANKER: Final = "ranker.safetensors"
QUANTILES: Final = "quantiles.safetensors"
ITEM_ITEM: Final = "item_item.safetensors"
CARD: Final = "card.md"


@dataclass(frozen=True, slots=True)
class ProbeUser:
    """A user as the feature store returned it, and the request to answer."""

    row: dict[str, Any]  # merged columns of the five user views
    context: RequestContext


@dataclass(frozen=True, slots=True)
class Probe(ProbeUser):
    """A probe user with the videos that exact search finds for it, and what the ranker says of them."""

    expected: tuple[str, ...]  # video ids, best first
    scores: tuple[float, ...]  # of these videos, by the towers
    seconds: tuple[float, ...]  # of these videos with these scores, by the ranker


@dataclass(frozen=True, slots=True)
class VideoSide:
    """What an overlay replaces."""

    vocabularies: Vocabularies
    videos: VideoTable
    vectors: NDArray[np.float32]  # [V, dim]; row 0 is the unknown video
    probes: Sequence[Probe]
    popular: Mapping[str, NDArray[np.int32]]  # country to rows, best first; "" for all countries (`popular_rows`)


@dataclass(frozen=True, slots=True)
class Bundle(VideoSide):
    """A verified generation and overlay, ready to serve."""

    manifest: Manifest
    tower: TwoTower
    ranker: Ranker
    quantiles: QuantileNormalizer
    item_item: ItemItem

    @property
    def target(self) -> Target:
        """Generation and overlay."""
        return self.manifest.target

    @property
    def id(self) -> str:
        """The generation."""
        return self.manifest.generation

    @property
    def overlay(self) -> int:
        """The overlay; 0 for none."""
        return self.manifest.overlay

    @property
    def spec_hash(self) -> str:
        """Of the feature code."""
        return self.manifest.spec_hash

    @property
    def collection(self) -> str:
        """In Milvus."""
        return self.manifest.collection


def video_files(side: VideoSide) -> dict[str, bytes]:
    """The files of the video side."""
    probes = [
        {
            "row": _plain(probe.row),
            "context": dataclasses.asdict(probe.context),
            "expected": probe.expected,
            "scores": probe.scores,
            "seconds": probe.seconds,
        }
        for probe in side.probes
    ]
    return {
        VOCABULARIES: _json(side.vocabularies.to_json()),
        VIDEOS: _arrays(side.videos.columns()),
        VECTORS: _arrays({"vectors": side.vectors}),
        PROBES: _json(probes),
        POPULAR: _json({country: rows.tolist() for country, rows in side.popular.items()}),
        STATIC: _json(static_ids(side.videos, side.popular)),
    }


def model_files(
    tower: TwoTower, ranker: Ranker, quantiles: QuantileNormalizer, item_item: ItemItem, card: str
) -> dict[str, bytes]:
    """The files of the model side; `card` is the model card, Markdown."""
    return {
        TOWER: safetensors.torch.save(tower.state_dict()),
        RANKER: safetensors.torch.save(ranker.state_dict()),
        QUANTILES: _arrays(quantiles.arrays()),
        ITEM_ITEM: _arrays(item_item.columns()),
        CARD: card.encode(),
    }


def bundle_of(manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """The bundle in checked files.

    Raises:
        GenerationError: the files do not make a bundle, although their hashes fit.
    """
    try:
        tower = TwoTower(TowerConfig.from_json(manifest.configs["tower"]))
        tower.load_state_dict(safetensors.torch.load(files[TOWER]))
        ranker = Ranker(RankerConfig.from_json(manifest.configs["ranker"]))
        ranker.load_state_dict(safetensors.torch.load(files[RANKER]))
        bundle = Bundle(
            manifest=manifest,
            tower=tower.eval(),
            ranker=ranker.eval(),
            quantiles=QuantileNormalizer.from_arrays(safetensors.numpy.load(files[QUANTILES])),
            item_item=ItemItem.from_columns(safetensors.numpy.load(files[ITEM_ITEM])),
            vocabularies=Vocabularies.from_json(json.loads(files[VOCABULARIES])),
            videos=VideoTable.from_columns(safetensors.numpy.load(files[VIDEOS])),
            vectors=safetensors.numpy.load(files[VECTORS])["vectors"],
            probes=[
                Probe(
                    probe["row"],
                    RequestContext(**probe["context"]),
                    tuple(probe["expected"]),
                    tuple(probe["scores"]),
                    tuple(probe["seconds"]),
                )
                for probe in json.loads(files[PROBES])
            ],
            popular={country: np.array(rows, np.int32) for country, rows in json.loads(files[POPULAR]).items()},
        )
    except (KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise GenerationError(
            f"the files of {manifest.target} are whole but this code cannot read them ({error}): "
            "retrain with `watchnext pipeline run`, or run the release that made them"
        ) from error
    rows = manifest.videos + 1
    if not len(bundle.vectors) == len(bundle.videos.video_ids) == bundle.vocabularies.videos.size == rows:
        raise GenerationError(
            f"{manifest.target} has {len(bundle.vectors)} vectors, {len(bundle.videos.video_ids)} video rows and "
            f"{bundle.vocabularies.videos.size} vocabulary rows; wanted {rows} of each: build the generation again"
        )
    return bundle


def _arrays(columns: Mapping[str, NDArray[Any]]) -> bytes:
    return bytes(safetensors.numpy.save({name: np.ascontiguousarray(column) for name, column in columns.items()}))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A feature row with lists and numbers of plain Python; NumPy comes from point-in-time joins."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value for name, value in row.items()
    }
