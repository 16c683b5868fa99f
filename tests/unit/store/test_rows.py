import pytest
from redis.exceptions import RedisClusterException

from watchnext.contracts.names import View
from watchnext.contracts.rows import UserSearches
from watchnext.errors import StoreError
from watchnext.settings import Features, Settings
from watchnext.store.online import EntityRedisStore
from watchnext.store.rows import FeatureStoreRows


def test_a_cluster_of_which_no_node_answers_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client raises an exception that is no RedisError; a worker would end at it instead of waiting."""

    def no_node(self: EntityRedisStore, online_store_config: object) -> None:
        raise RedisClusterException("Redis Cluster cannot be connected. Please provide at least one reachable node")

    monkeypatch.setattr(EntityRedisStore, "_get_client", no_node)
    rows = FeatureStoreRows.open(Settings(features=Features(online="valkey-0:6379,valkey-1:6379")))

    with pytest.raises(StoreError, match="valkey-0:6379,valkey-1:6379 failed to read: Redis Cluster cannot be"):
        rows.read_user("u")
    with pytest.raises(StoreError, match="failed to read"):
        rows.read_row(View.USER_SEARCHES, "u")
    with pytest.raises(StoreError, match="failed to write"):
        rows.write([UserSearches(entity_id="u", event_timestamp=1)])
