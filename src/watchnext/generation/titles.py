"""The titles of a bundle, from the one file that has them: what shows a list to people waits for no torch.

>>> titles(GenerationStore.open(settings), Target("0123456789abcdef"))["v1"]             # doctest: +SKIP
'A film'
"""

from typing import Final

import safetensors.numpy

from watchnext.errors import GenerationError
from watchnext.features.videos import VideoTable
from watchnext.generation.manifest import Target
from watchnext.generation.store import GenerationStore

VIDEOS: Final = "videos.safetensors"  # in a bundle: the video table


def titles(store: GenerationStore, target: Target) -> dict[str, str]:
    """Titles by video id.

    Raises:
        GenerationError: there is no such bundle, its table is damaged, or another release made it.
    """
    data = store.read(target, VIDEOS)
    try:
        videos = VideoTable.from_columns(safetensors.numpy.load(data))
    except (KeyError, safetensors.SafetensorError) as error:
        raise GenerationError(f"{VIDEOS} of {target} is of another release ({error})") from error
    return dict(zip(videos.video_ids, videos.titles, strict=True))
