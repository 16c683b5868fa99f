"""Feast's Redis store, plus what it lacks: several views of one entity in one command.

Feast keeps all views of an entity in one Redis hash, but `online_read` asks for one view a call, and
`get_online_features` spends more time building its answer than the server on reading. The bytes are Feast's own, so
the stock store, `feast materialize` and this class read and write the same rows.
"""

from collections.abc import ByteString, Sequence
from typing import Any

from feast import FeatureView
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.repo_config import RepoConfig
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


class EntityRedisStore(RedisOnlineStore):
    """A `RedisOnlineStore` that also reads whole entities. Retries are short: who waits has a deadline."""

    def _get_client(self, online_store_config: Any) -> Any:
        fresh = self._client is None
        client = super()._get_client(online_store_config)
        if fresh:
            client.set_retry(Retry(ExponentialBackoff(cap=0.1, base=0.02), 2))
        return client

    def hash_fields(self, views: Sequence[tuple[FeatureView, Sequence[str]]]) -> list[str | bytes]:
        """The hash field of each named feature, in order."""
        fields: list[str | bytes] = []
        for view, names in views:
            _, keys = self._generate_hset_keys_for_features(view, list(names))
            fields += keys[:-1]  # the last is the view's timestamp
        return fields

    def read_entities(
        self, config: RepoConfig, entity_keys: Sequence[EntityKey], fields: list[str | bytes]
    ) -> Sequence[Sequence[ByteString | None]]:
        """Serialised feature values `[entities][fields]`, one HMGET an entity, in one round trip."""
        keys = self._generate_redis_keys_for_entities(config, list(entity_keys))
        return self._read_hash_fields(config, [(key, fields) for key in keys])
