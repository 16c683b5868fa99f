"""Feast's DuckDB engine for the recovery drill: it reads a log whose older parts lack the newer features.

Feast 0.67 gives DuckDB the glob and nothing else, and DuckDB then wants the columns of the first file in all others.
"""

from datetime import datetime

import ibis
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.ibis import pull_all_from_table_or_query_ibis
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.repo_config import RepoConfig
from ibis.expr.types import Table
from pydantic import StrictStr


class OldPartsOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Its section of Feast's configuration."""

    type: StrictStr = f"{__name__}.OldPartsOfflineStore"


class OldPartsOfflineStore(DuckDBOfflineStore):
    """As Feast's, but for what `materialize` asks: columns go by name, and one that a part lacks is null there."""

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """The rows of a range of time."""
        return pull_all_from_table_or_query_ibis(
            config=config,
            data_source=data_source,
            join_key_columns=join_key_columns,
            feature_name_columns=feature_name_columns,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
            data_source_reader=_read,
            data_source_writer=_refuse,
        )


def _read(source: DataSource, _: str) -> Table:
    assert isinstance(source, FileSource)
    return ibis.read_parquet(source.path, union_by_name=True)


def _refuse(*_: object) -> None:
    raise NotImplementedError("the drill writes no offline rows")
