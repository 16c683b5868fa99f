import json

import pytest

from tests.unit.models.model_world import SIZES
from watchnext.models.config import PROFILES, RankerConfig, TowerConfig, embedding_width, profile_config
from watchnext.settings import Training


def test_width_grows_with_the_logarithm_of_the_vocabulary():
    assert [embedding_width(size) for size in (1, 2, 100, 10_000, 100_000_000)] == [4, 4, 14, 28, 54]
    assert embedding_width(2**20) - embedding_width(2**10) == embedding_width(2**30) - embedding_width(2**20)


@pytest.mark.parametrize(
    ("profile", "dim", "hidden"), [("tiny", 16, (32,)), ("small", 64, (256, 128)), ("full", 256, (1024, 512, 256))]
)
def test_default_settings_leave_the_profile(profile, dim, hidden):
    config = profile_config(profile, Training().model_dump())
    assert config == PROFILES[profile]
    assert (config.embedding_dim, config.tower) == (dim, hidden)


def test_settings_override_the_profile():
    settings = Training(embedding_dim=8, tower=[10, 4], pooling="max", ranking_weight="paper", cap_per_user=3)
    config = profile_config("tiny", settings.model_dump())
    assert (config.cap_per_user, config.ranking_weight) == (3, "paper")
    wanted = TowerConfig(sizes=SIZES, embedding_dim=8, hidden=(10, 4), pooling="max", until_ms=5)
    assert config.tower_config(SIZES, until_ms=5) == wanted
    assert config.ranker_config(SIZES, 34).hidden == (32,)


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="tiny, small, full"):
        profile_config("huge", {})


@pytest.mark.parametrize("config", [TowerConfig(sizes=SIZES, hidden=(3,)), RankerConfig(sizes=SIZES, continuous=34)])
def test_configs_survive_json(config):
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config
