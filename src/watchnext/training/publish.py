"""Stages 7 and 8: load the generation's vectors into Milvus and verify them, publish.

They read the generation store alone: nothing that reads examples or trains is imported here.
"""

import structlog

from watchnext.generation.collection import load_index as load_vectors
from watchnext.generation.collection import verify_index
from watchnext.generation.publish import publish as go_live
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Settings

_log = structlog.get_logger(__name__)


def load_index(settings: Settings, generation: str) -> int:
    """Load a generation's vectors into Milvus, and verify count and recall against exact search.

    Returns:
        How many vectors there are.

    Raises:
        GenerationError: too few rows, or too little recall.
        VectorIndexError: Milvus is down.
    """
    bundle = GenerationStore.open(settings).load(generation)
    index = VideoIndex.open(settings)
    load_vectors(bundle, index)
    _log.info("index_verified", generation=generation, recall=round(verify_index(bundle, index), 4))
    return bundle.manifest.videos


def publish(settings: Settings, generation: str) -> None:
    """Make a generation the live one, once every replica has loaded it.

    Raises:
        GenerationError: it does not verify, or a replica does not acknowledge it in time.
        VectorIndexError: Milvus is down.
    """
    go_live(GenerationStore.open(settings), generation, 0, settings, say=_say)


def _say(step: str) -> None:
    _log.info("publishing", step=step)
