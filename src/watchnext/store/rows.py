"""Feature rows in the online store: what the stream writes and what a request reads.

>>> rows = FeatureStoreRows.open(settings)          # doctest: +SKIP
>>> rows.write([UserSearches(entity_id="u1", event_timestamp=1, last_query="cats")])   # doctest: +SKIP
>>> rows.read_user("u1")["last_query"]              # doctest: +SKIP
'cats'

Nothing here opens Feast's registry: views are built from `contracts.rows`, so a request depends on the online store
alone, and nobody who can write the registry can run code in a server.

Feast's Redis store compares event timestamps by the nanosecond and silently leaves out a row that is not newer than
the stored one. Our timestamps grow by at least 1 µs an event, so what it leaves out are repetitions, and the late
writes of a worker that has lost its partition (`online` makes the comparison and the write one step).
"""

from collections.abc import ByteString, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from watchnext.contracts.names import Entity, View
from watchnext.contracts.rows import ROW_OF_VIEW, USER_ROWS, VIDEO_ROWS, FeatureRow
from watchnext.errors import StoreError
from watchnext.settings import Settings, without_passwords
from watchnext.store import values
from watchnext.store.config import repo_config
from watchnext.store.online import STORE_ERRORS, EntityRedisStore
from watchnext.store.schema import Definitions, definitions, served_features

_log = structlog.get_logger(__name__)

_WRITE_ROWS: Final = 500  # rows in one pipeline: bounds what is in memory twice


class _EntityRead:
    """One read of all served features of an entity: names, protobuf fields and hash fields in one order."""

    def __init__(self, rows: Sequence[type[FeatureRow]], feast: Definitions, store: EntityRedisStore) -> None:
        self.entity: Entity = rows[0].ENTITY
        self.names = [name for row in rows for name in served_features(row)]
        self.kinds = [values.field_of(row.features()[name]) for row in rows for name in served_features(row)]
        self.hash_fields = store.hash_fields([(feast.views[row.VIEW], served_features(row)) for row in rows])

    def decode(self, raw: Sequence[ByteString | None]) -> dict[str, Any]:
        """Values by feature name; what is not stored is left out."""
        return {
            name: values.decode(kind, Value.FromString(bytes(data)))
            for name, kind, data in zip(self.names, self.kinds, raw, strict=True)
            if data is not None
        }


class FeatureStoreRows:
    """Rows by key in Feast's online store. Safe to share between threads."""

    def __init__(self, config: RepoConfig, feast: Definitions, address: str) -> None:
        self._config = config
        self._feast = feast
        self._address = address
        self._store = EntityRedisStore()
        self._user = _EntityRead(USER_ROWS, feast, self._store)
        self._video = _EntityRead(VIDEO_ROWS, feast, self._store)

    @classmethod
    def open(cls, settings: Settings) -> "FeatureStoreRows":
        """The store of these settings; connects at the first read or write."""
        return cls(repo_config(settings), definitions(settings), without_passwords(settings.features.online))

    def warm_up(self) -> None:
        """Pay for lazy imports and the connection before the first request does.

        Raises:
            StoreError: the store does not answer.
        """
        self.read_user("")
        for view in View:
            self.read_row(view, "")

    @property
    def user_fields(self) -> Sequence[str | bytes]:
        """The fields of a user's hash that `read_user` asks for: what any reader of the same bytes has to."""
        return tuple(self._user.hash_fields)

    def read_user(self, user_id: str) -> dict[str, Any]:
        """All served features of a user by name, in one online read; empty for an unknown user."""
        return self.read_users([user_id])[user_id]

    def read_users(self, user_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`read_user` for several users, in one round trip."""
        return self._read_entities(self._user, user_ids)

    def read_videos(self, video_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """All served features of videos, in one round trip; for pipelines, never on the request path."""
        return self._read_entities(self._video, video_ids)

    def _read_entities(self, read: _EntityRead, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        keys = [values.entity_key(read.entity, entity_id) for entity_id in ids]
        try:
            found = self._store.read_entities(self._config, keys, read.hash_fields)
        except STORE_ERRORS as error:
            raise self._failed("read", error) from error
        return {entity_id: read.decode(raw) for entity_id, raw in zip(ids, found, strict=True)}

    def read_row(self, view: View, entity_id: str) -> FeatureRow | None:
        """The whole row of one key, bookkeeping and timestamp included; none where nothing is stored."""
        return self.read_rows(view, [entity_id]).get(entity_id)

    def read_rows(self, view: View, entity_ids: Iterable[str]) -> dict[str, FeatureRow]:
        """The whole rows of the keys that are stored, in one round trip."""
        row = ROW_OF_VIEW[view]
        ids = list(dict.fromkeys(entity_ids))
        keys = [values.entity_key(row.ENTITY, entity_id) for entity_id in ids]
        try:
            found = self._store.online_read(self._config, self._feast.views[view], keys)
        except STORE_ERRORS as error:
            raise self._failed("read", error) from error
        kinds = {name: values.field_of(kind) for name, kind in row.features().items()}
        rows: dict[str, FeatureRow] = {}
        for entity_id, (timestamp, stored) in zip(ids, found, strict=True):
            # Feast answers unknown keys with unset values; `offset` is set in every row that the fold wrote.
            if timestamp is None or stored is None or not stored["offset"].WhichOneof("val"):
                continue
            features = {
                name: values.decode(kind, stored[name])
                for name, kind in kinds.items()
                if stored[name].WhichOneof("val")  # a feature younger than the row: its default
            }
            rows[entity_id] = row(entity_id=entity_id, event_timestamp=values.to_micros(timestamp), **features)
        return rows

    def write(self, rows: Iterable[FeatureRow]) -> None:
        """Store rows of any views. Of several rows of one key the newest stays.

        Raises:
            StoreError: the store failed, or a value is not of its feature's type.
        """
        by_view: dict[View, list[FeatureRow]] = {}
        for row in rows:
            by_view.setdefault(row.VIEW, []).append(row)
        for view, of_view in by_view.items():
            encoders = {name: values.encoder(kind) for name, kind in ROW_OF_VIEW[view].features().items()}
            for start in range(0, len(of_view), _WRITE_ROWS):
                data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]] = [
                    (
                        values.entity_key(row.ENTITY, row.entity_id),
                        _encode(row, encoders),
                        values.to_datetime(row.event_timestamp),
                        None,
                    )
                    for row in of_view[start : start + _WRITE_ROWS]
                ]
                try:
                    self._store.online_write_batch(self._config, self._feast.views[view], data, None)
                except STORE_ERRORS as error:
                    raise self._failed("write", error) from error

    def _failed(self, verb: str, error: Exception) -> StoreError:
        _log.warning("feature_store_failed", verb=verb, address=self._address, error=str(error))
        return StoreError(
            f"the feature store at {self._address} failed to {verb}: {error}; is Valkey up (`watchnext status`), "
            "and does features.online name it?"
        )


def _encode(row: FeatureRow, encoders: dict[str, Callable[[Any], Value]]) -> dict[str, Value]:
    encoded: dict[str, Value] = {}
    for name, encode in encoders.items():
        value = getattr(row, name)
        try:
            encoded[name] = encode(value)
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"{row.VIEW.value}.{name} of {row.entity_id!r} is {value!r:.100}; wanted "
                f"{row.features()[name]}: {error}"
            ) from error
    return encoded
