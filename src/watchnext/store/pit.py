"""Point-in-time sets: the features of users or videos as they stood at each label's time.

Feast's join is inclusive (a row stamped like its label is seen), so callers ask as of one millisecond before the label.

On Parquet the join is DuckDB's ASOF join of the narrow log position (partition, offset), after which the wide features
are gathered by position: Feast 0.67's own DuckDB join pairs every label with every earlier row of its key, lists and
all, before it keeps the newest (docs/adr/0020). A test holds the answer equal to Feast's. Other engines (Spark,
BigQuery) are Feast's to ask.
"""

from collections.abc import Sequence
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa
from feast import FeatureStore

from watchnext.contracts.names import FeatureService, View
from watchnext.contracts.rows import ROW_OF_VIEW
from watchnext.errors import StoreError
from watchnext.settings import Settings
from watchnext.store.apply import open_store, registered
from watchnext.store.config import offline_type
from watchnext.store.offline import arrow_schema
from watchnext.store.schema import BOOKKEEPING, EVENT_TIMESTAMP

_POSITION: Final = ["partition", "offset"]
_LABEL: Final = "label_number"


def point_in_time(
    settings: Settings,
    source: View | FeatureService,
    keys: pd.DataFrame,
    *,
    features: Sequence[str] | None = None,
) -> pa.Table:
    """The features of a view or service as of each key's `event_timestamp`, in the order of `keys`.

    Args:
        settings: where registry and offline log are.
        source: what to read; a service gives the features that it was registered with.
        keys: the join key (`user_id` or `video_id`) and `event_timestamp` (with a time zone).
        features: only these; lists such as `seen_ids` are large, so name what is needed.

    Returns:
        A column a feature; null in every feature of a view that has no row of the key so early.

    Raises:
        StoreError: nothing is registered, the registry or the log cannot be read, a column is missing, or a feature is
            unknown.
    """
    store = open_store(settings)
    with registered(settings, source.value):
        by_view = _wanted(store, source, features)
    key = ROW_OF_VIEW[next(iter(by_view))].ENTITY.value
    _check(keys, key)
    labels = keys[[key, EVENT_TIMESTAMP]].reset_index(drop=True)
    labels[_LABEL] = range(len(labels))
    columns: dict[str, pa.ChunkedArray] = {}
    for view, names in by_view.items():
        schema = pa.schema([arrow_schema(ROW_OF_VIEW[view]).field(name) for name in names])
        if not len(labels):
            found = schema.empty_table()
        elif offline_type(settings) == "duckdb":
            try:
                found = _gather(settings, view, names, _positions(settings, view, labels, key))
            except duckdb.Error as error:
                raise StoreError(
                    f"{settings.offline_path}/{view.value} cannot be read ({error}): a damaged part is put back from a "
                    "backup; `python -m watchnext.store.apply` makes a folder that is missing"
                ) from error
        else:
            found = _join(store, view, schema, labels, key)
        columns.update(zip(names, found.columns, strict=True))
    return pa.table(columns)


def _wanted(
    store: FeatureStore, source: View | FeatureService, features: Sequence[str] | None
) -> dict[View, list[str]]:
    """The features to read, by view; views of which nothing is wanted are left out."""
    if isinstance(source, FeatureService):
        projections = store.get_feature_service(source.value).feature_view_projections
        offered = {View(projection.name): projection.features for projection in projections}
    else:
        offered = {source: store.get_feature_view(source.value).features}
    names = {view: [field.name for field in fields] for view, fields in offered.items()}
    if features is None:
        return {view: [name for name in names[view] if name not in BOOKKEEPING] for view in names}
    known = {name for of_view in names.values() for name in of_view}
    if not features or set(features) - known:
        raise StoreError(f"features {list(features)} came for {source.value}; wanted some of {sorted(known)}")
    chosen = {view: [name for name in names[view] if name in features] for view in names}
    return {view: of_view for view, of_view in chosen.items() if of_view}


def _check(keys: pd.DataFrame, key: str) -> None:
    missing = {key, EVENT_TIMESTAMP} - set(keys.columns)
    if missing:
        raise StoreError(f"keys have columns {list(keys.columns)}; {sorted(missing)} are wanted too")
    if not isinstance(keys[EVENT_TIMESTAMP].dtype, pd.DatetimeTZDtype):
        raise StoreError(
            f"event_timestamp is {keys[EVENT_TIMESTAMP].dtype}; wanted instants with a time zone, such as "
            "pd.to_datetime(milliseconds, unit='ms', utc=True)"
        )


def _join(store: FeatureStore, view: View, schema: pa.Schema, labels: pd.DataFrame, key: str) -> pa.Table:
    """Feast's point-in-time join, in the order of `labels`."""
    references = [f"{view.value}:{name}" for name in schema.names]
    joined = store.get_historical_features(labels.copy(), references).to_df()  # Feast writes into what it is given
    in_order = joined.sort_values(_LABEL)[schema.names]
    return pa.Table.from_pandas(in_order, schema, preserve_index=False)


def _positions(settings: Settings, view: View, labels: pd.DataFrame, key: str) -> pd.DataFrame:
    """Partition and offset of the newest row of each label's key at its time, in the order of `labels`; or nulls."""
    instants = labels.assign(**{EVENT_TIMESTAMP: labels[EVENT_TIMESTAMP].dt.as_unit("us")})  # as the log's are
    with _duckdb(settings) as connection:
        connection.register("labels", pa.Table.from_pandas(instants, preserve_index=False))
        positions: pd.DataFrame = connection.sql(
            'SELECT log."partition", log."offset" FROM labels ASOF LEFT JOIN read_parquet($glob) AS log '
            f"ON labels.{key} = log.{key} AND labels.{EVENT_TIMESTAMP} >= log.{EVENT_TIMESTAMP} "
            f"ORDER BY labels.{_LABEL}",
            params={"glob": _log_of(settings, view)},
        ).df()
    return positions


def _gather(settings: Settings, view: View, names: Sequence[str], positions: pd.DataFrame) -> pa.Table:
    """The features at log positions, in their order; nulls where there is none."""
    wanted = positions.dropna().drop_duplicates().astype("int64")
    selected = ", ".join(f'log."{name}"' for name in names)
    with _duckdb(settings) as connection:
        connection.register("wanted", pa.Table.from_pandas(wanted, preserve_index=False))

        def read(options: str) -> pa.Table:
            return connection.sql(
                f'SELECT log."partition", log."offset", {selected} FROM read_parquet($glob{options}) AS log '
                'SEMI JOIN wanted ON log."partition" = wanted."partition" AND log."offset" = wanted."offset"',
                params={"glob": _log_of(settings, view)},
            ).to_arrow_table()

        try:
            found = read("")
        except (duckdb.BinderException, duckdb.InvalidInputException):
            # A part that is older than a feature lacks its column. Asking each part for its columns first is slow: on
            # 800 parts it doubles the time.
            found = read(", union_by_name = true")
    index = pd.MultiIndex.from_frame(found.select(_POSITION).to_pandas())
    order = index.get_indexer(pd.MultiIndex.from_frame(positions))
    return found.select(names).combine_chunks().take(pa.array(order, mask=order < 0))


def _duckdb(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An engine in memory that spills to the home, and draws no progress bar of its own."""
    connection = duckdb.connect(config={"temp_directory": f"{settings.home.absolute()}/feast/tmp"})
    connection.execute("SET enable_progress_bar = false")
    return connection


def _log_of(settings: Settings, view: View) -> str:
    return f"{settings.offline_path}/{view.value}/*.parquet"
