"""Small towers and a ranker over the hand-made world of the feature tests."""

import numpy as np
import torch

from tests.unit.features.world import NOW, VOCABULARIES, video_table
from watchnext.features.batches import UserColumns, ranker_batch, tower_batch, video_batch
from watchnext.features.spec import RANKER_FEATURES
from watchnext.features.state import RequestContext, UserState, encode_user
from watchnext.models.config import RankerConfig, Sizes, TowerConfig
from watchnext.models.layers import as_tensors
from watchnext.models.ranker import Ranker
from watchnext.models.towers import TwoTower

SIZES = Sizes(
    videos=3,  # song, film and none
    ranking_videos=2,  # film and none
    channels=VOCABULARIES.channels.size,
    topics=VOCABULARIES.topics.size,
    languages=VOCABULARIES.languages.size,
    countries=VOCABULARIES.countries.size,
    devices=VOCABULARIES.devices.size,
    genders=VOCABULARIES.genders.size,
    surfaces=VOCABULARIES.surfaces.size,
    search_tokens=VOCABULARIES.search_tokens.size,
)
FEATURES = len(RANKER_FEATURES)


DIM = 6  # of the towers' vectors, before what tells the upload


def towers(**config):
    torch.manual_seed(0)
    return TwoTower(TowerConfig(sizes=SIZES, embedding_dim=DIM, hidden=(12, 8), **config)).eval()


def ranker(dropout=0.0):
    torch.manual_seed(0)
    return Ranker(RankerConfig(sizes=SIZES, continuous=FEATURES, hidden=(12,), dropout=dropout)).eval()


def encoded(watched=("film", "song"), *, surface="home", seed="", **row):
    watches = {
        "watch_video_ids": list(watched),
        "watch_seconds": [1.0] * len(watched),
        "watch_fractions": [0.5] * len(watched),
        "watch_times": [NOW - 1] * len(watched),
    }
    context = RequestContext(now_ms=row.pop("now_ms", NOW), surface=surface, seed_video_id=seed)
    return encode_user(UserState.from_rows({**watches, **row}), context, VOCABULARIES)


def user_inputs(*users, example_age_days=0.0):
    return as_tensors(tower_batch(UserColumns.of(users), video_table(), example_age_days))


def video_inputs():
    return as_tensors(video_batch(video_table()))


def ranker_inputs(user, rows=(1, 2, 3), continuous=None):
    videos = video_table()
    values = np.full((len(rows), 3 * FEATURES), 0.5, np.float32) if continuous is None else continuous
    return as_tensors(ranker_batch(UserColumns.of([user]), videos, videos.take(np.array(rows)), values))
