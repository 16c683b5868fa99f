"""Feast's definitions, derived from `contracts.rows`: a field there is a feature here, and nowhere else.

All views have TTL 0: a history does not expire, its entries carry their own times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from feast import BigQuerySource, FeatureView, Field, FileSource, ValueType
from feast import Entity as FeastEntity
from feast import FeatureService as FeastFeatureService
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Array, Bool, Float64, Int64, String

from watchnext.contracts.names import Entity, FeatureService, View
from watchnext.contracts.rows import ROW_OF_VIEW, USER_ROWS, VIDEO_ROWS, FeatureRow
from watchnext.settings import Settings
from watchnext.store.config import offline_location, offline_type

EVENT_TIMESTAMP: Final = "event_timestamp"

FEAST_TYPES: Final[dict[Any, Any]] = {
    str: String,
    int: Int64,
    float: Float64,
    bool: Bool,
    list[str]: Array(String),
    list[int]: Array(Int64),
    list[float]: Array(Float64),
}

# What only the fold needs: its position, and the tie-breaks of its order. Models never see these.
BOOKKEEPING: Final = frozenset(
    {
        "partition",
        "offset",
        "event_ids",
        "watch_event_ids",
        "search_token_events",
        "last_query_event",
        "origins",
        "origin_offsets",
    }
)


def served_features(row: type[FeatureRow]) -> tuple[str, ...]:
    """The features of a view that models and serving read."""
    return tuple(name for name in row.features() if name not in BOOKKEEPING)


SERVICE_ROWS: Final[dict[FeatureService, tuple[type[FeatureRow], ...]]] = {
    FeatureService.USER: USER_ROWS,
    FeatureService.VIDEO: VIDEO_ROWS,
}


@dataclass(frozen=True)
class Definitions:
    """All that `feast apply` registers."""

    entities: dict[Entity, FeastEntity]
    views: dict[View, FeatureView]
    services: dict[FeatureService, FeastFeatureService]

    def objects(self) -> list[Any]:
        """In one list, as Feast wants it."""
        return [*self.entities.values(), *self.views.values(), *self.services.values()]


def definitions(settings: Settings) -> Definitions:
    """Entities, views over the offline log of these settings, and feature services."""
    entities = {entity: feast_entity(entity) for entity in Entity}
    views = {
        view: feature_view(row, entities[row.ENTITY], offline_source(view, settings))
        for view, row in ROW_OF_VIEW.items()
    }
    services = {
        service: feature_service(service, rows, [views[row.VIEW] for row in rows])
        for service, rows in SERVICE_ROWS.items()
    }
    return Definitions(entities=entities, views=views, services=services)


def feast_entity(entity: Entity) -> FeastEntity:
    """The entity whose join key is its own name."""
    return FeastEntity(name=entity.value, join_keys=[entity.value], value_type=ValueType.STRING)


def feature_view(row: type[FeatureRow], entity: FeastEntity, source: DataSource) -> FeatureView:
    """The view of one row type."""
    return FeatureView(
        name=row.VIEW.value,
        entities=[entity],
        ttl=timedelta(0),
        schema=[
            Field(name=entity.join_key, dtype=String),
            *(Field(name=name, dtype=FEAST_TYPES[kind]) for name, kind in row.features().items()),
        ],
        source=source,
        online=True,
        description=(row.__doc__ or "").strip(),
        tags={"topic": row.TOPIC.value},
    )


def feature_service(
    service: FeatureService, rows: Sequence[type[FeatureRow]], views: Sequence[FeatureView]
) -> FeastFeatureService:
    """A versioned service: the views without the fold's bookkeeping, so that no two features share a name."""
    return FeastFeatureService(
        name=service.value,
        features=[view[list(served_features(row))] for row, view in zip(rows, views, strict=True)],
    )


def offline_source(view: View, settings: Settings) -> DataSource:
    """Where the offline log of a view lies, in the terms of the engine that reads it.

    DuckDB wants a glob: a bare folder fails. Spark reads the same parts; BigQuery an external table over them.
    """
    engine = offline_type(settings)
    location = offline_location(settings)
    if engine == "bigquery":
        return BigQuerySource(name=view.value, table=f"{location}.{view.value}", timestamp_field=EVENT_TIMESTAMP)
    path = f"{location}/{view.value}/*.parquet"
    if engine == "spark":
        return SparkSource(name=view.value, path=path, file_format="parquet", timestamp_field=EVENT_TIMESTAMP)
    return FileSource(name=view.value, path=path, file_format=ParquetFormat(), timestamp_field=EVENT_TIMESTAMP)
