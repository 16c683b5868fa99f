"""Feast's Redis store, plus what it lacks: several views of one entity in one command, and a write that cannot lose.

Feast keeps all views of an entity in one Redis hash, but `online_read` asks for one view a call, and
`get_online_features` spends more time building its answer than the server on reading. The bytes are Feast's own, so
the stock store, `feast materialize` and this class read and write the same rows.

The stock write reads the stored timestamps, compares, and writes: a worker that is stopped in between overwrites newer
rows when it wakes. Here the server compares: a row is written only over the timestamp that was read.
"""

from collections.abc import ByteString, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from feast import FeatureView
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

# A cluster's client has an exception of its own where no node answers, which is no RedisError.
STORE_ERRORS: Final = (RedisError, RedisClusterException)

# Key: the entity. Arguments: the timestamp's field, the bytes it must hold ("" for none), then fields and values.
_SWAP: Final = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
"""

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


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

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write the newest row of each entity, unless the store has one that is as new, at any moment."""
        client = self._get_client(config.online_store)
        features = list(data[0][1]) if data else []
        _, (*fields, stamp_field) = self._generate_hset_keys_for_features(table, features.copy())
        keys = self._generate_redis_keys_for_entities(config, [row[0] for row in data])
        rows: dict[bytes, Row] = {}
        for key, row in zip(keys, data, strict=True):
            if key not in rows or row[2] > rows[key][2]:
                rows[key] = row
        expiry = config.online_store.key_ttl_seconds
        while rows:  # again for rows that someone else wrote between our look and our swap
            with client.pipeline(transaction=False) as pipe:
                for key in rows:
                    pipe.hmget(key, stamp_field)
                stored = dict(zip(rows, (found[0] or b"" for found in pipe.execute()), strict=True))
            rows = {key: row for key, row in rows.items() if _is_newer(row[2], stored[key])}
            with client.pipeline(transaction=False) as pipe:
                for key, (_, values, timestamp, _) in rows.items():
                    written = [
                        word for pair in zip(fields, _serialized(values, features), strict=True) for word in pair
                    ]
                    words = (stamp_field, stored[key], stamp_field, _stamp(timestamp), *written)
                    pipe.execute_command("EVAL", _SWAP, 1, key, *words)  # `eval` is none of a cluster's pipelines
                swapped = pipe.execute()
            if expiry:
                with client.pipeline(transaction=False) as pipe:
                    for key in rows:
                        pipe.expire(key, expiry)
                    pipe.execute()
            rows = {key: row for (key, row), done in zip(rows.items(), swapped, strict=True) if not done}
        if progress:
            progress(len(data))


def _serialized(values: dict[str, Value], features: Sequence[str]) -> list[bytes]:
    return [values[name].SerializeToString() for name in features]


def _stamp(instant: datetime) -> bytes:
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return bytes(timestamp.SerializeToString())


def _is_newer(instant: datetime, stored: bytes) -> bool:
    if not stored:
        return True
    timestamp, other = Timestamp(), Timestamp.FromString(stored)
    timestamp.FromDatetime(instant)
    return bool(timestamp.ToNanoseconds() > other.ToNanoseconds())
