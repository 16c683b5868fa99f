from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
from feast import FeatureView
from feast.types import Array, Bool, Float64, Int64, String

from feature_repo import definitions as repository
from watchnext.contracts.names import Entity, View
from watchnext.contracts.rows import ROW_OF_VIEW, USER_ROWS, VIDEO_ROWS, FeatureRow
from watchnext.settings import Features, Settings
from watchnext.store.schema import BOOKKEEPING, definitions, offline_source, served_features

FEAST = definitions(Settings(home=Path("/data")))
BY_NAME = {"str": String, "int": Int64, "float": Float64, "bool": Bool}
BY_NAME |= {f"list[{name}]": Array(kind) for name, kind in BY_NAME.items() if name != "bool"}


def views_of_repository() -> dict[str, FeatureView]:
    return {name: value for name, value in vars(repository).items() if isinstance(value, FeatureView)}


@pytest.mark.parametrize("row", ROW_OF_VIEW.values(), ids=lambda row: row.__name__)
def test_a_views_schema_is_its_rows_fields(row: type[FeatureRow]) -> None:
    """One truth: names, order and types of the struct's annotations, read here without the code under test."""
    fields = {
        name: BY_NAME[getattr(annotation, "__name__", "") if isinstance(annotation, type) else str(annotation)]
        for base in reversed(row.__mro__)
        for name, annotation in vars(base).get("__annotations__", {}).items()
        if not name.isupper() and name not in ("entity_id", "event_timestamp")
    }
    view = FEAST.views[row.VIEW]

    assert {field.name: field.dtype for field in view.features} == fields
    assert view.entities == [row.ENTITY.value]
    assert view.join_keys == [row.ENTITY.value]
    assert view.ttl == timedelta(0)
    assert view.tags == {"topic": row.TOPIC.value}


def test_the_repository_registers_every_view_under_its_name() -> None:
    assert views_of_repository().keys() == {view.value for view in View}
    assert all(view.name == name for name, view in views_of_repository().items())


def test_the_repositorys_entities_and_services_are_those_of_the_contract() -> None:
    assert [repository.user.join_key, repository.video.join_key] == [entity.value for entity in Entity]
    assert [repository.user_v1.name, repository.video_v1.name] == ["user_v1", "video_v1"]


def test_bookkeeping_names_are_fields_of_rows() -> None:
    """A renamed field must not slip out of the list and into the models."""
    assert set(chain.from_iterable(row.features() for row in ROW_OF_VIEW.values())) >= BOOKKEEPING


@pytest.mark.parametrize("rows", [USER_ROWS, VIDEO_ROWS], ids=["user", "video"])
def test_no_two_served_features_of_an_entity_share_a_name(rows: tuple[type[FeatureRow], ...]) -> None:
    names = list(chain.from_iterable(served_features(row) for row in rows))

    assert len(names) == len(set(names))


def test_no_feature_ends_in_what_feasts_join_drops() -> None:
    """Feast's DuckDB join drops columns that end in `_y`, and left-joins with the suffix `_yyyy`."""
    names = chain.from_iterable(row.features() for row in ROW_OF_VIEW.values())

    assert not [name for name in names if name.endswith(("_y", "_yyyy"))]


SERVICES = {
    "user_v1": {
        "user_watches": "watch_video_ids watch_seconds watch_fractions watch_times channel_ids channel_watches "
        "channel_last topic_names topic_watches topic_last seen_ids watches completions "
        "watch_seconds_total",
        "user_searches": "search_tokens search_token_times last_query last_query_at searches",
        "user_impressions": "impression_video_ids impression_counts impression_last impressions",
        "user_servings": "serving_video_ids serving_counts serving_last servings",
        "user_profile": "birth_year age gender country device logged_in",
    },
    "video_v1": {
        "video_catalog": "channel_id topics language uploaded_at video_seconds title restricted_countries",
        "video_counters": "bucket_hours bucket_impressions bucket_clicks bucket_completions bucket_watches "
        "bucket_watch_ms older_impressions older_clicks older_completions older_watches older_watch_ms",
    },
}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_offers_never_changes(name: str) -> None:
    """Models of yesterday were trained on it: a feature more or less is a new service, such as user_v2."""
    (service,) = (service for service in FEAST.services.values() if service.name == name)
    offered = {
        projection.name: " ".join(field.name for field in projection.features)
        for projection in service.feature_view_projections
    }

    assert offered == SERVICES[name], f"{name} has changed: leave it as it was and add a new version"


def test_the_local_source_is_a_glob_over_the_parts() -> None:
    source = offline_source(View.USER_WATCHES, Settings(home=Path("/data")))

    assert source.path == "/data/offline/user_watches/*.parquet"
    assert source.timestamp_field == "event_timestamp"


def test_another_engine_is_a_setting() -> None:
    bigquery = offline_source(View.USER_WATCHES, Settings(features=Features(offline="bigquery://project.watchnext")))
    spark = offline_source(View.USER_WATCHES, Settings(features=Features(offline="spark:///data/offline")))

    assert bigquery.table == "project.watchnext.user_watches"
    assert (spark.path, spark.file_format) == ("/data/offline/user_watches/*.parquet", "parquet")
