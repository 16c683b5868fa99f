"""How many ids each embedding has, of a set of examples."""

from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.models.config import Sizes


def sizes_of(vocabularies: Vocabularies, videos: VideoTable) -> Sizes:
    """Rows of every embedding."""
    return Sizes(
        videos=int(videos.embedding.max()) + 1,
        ranking_videos=int(videos.ranking_embedding.max()) + 1,
        channels=vocabularies.channels.size,
        topics=vocabularies.topics.size,
        languages=vocabularies.languages.size,
        countries=vocabularies.countries.size,
        devices=vocabularies.devices.size,
        genders=vocabularies.genders.size,
        surfaces=vocabularies.surfaces.size,
        search_tokens=vocabularies.search_tokens.size,
    )
