"""The offline log through Feast's DuckDB engine: point-in-time sets and the recovery drill."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from watchnext.contracts.names import FeatureService, Topic, View
from watchnext.contracts.rows import FeatureRow, UserImpressions, UserProfile, UserWatches, VideoCatalog, VideoCounters
from watchnext.errors import StoreError
from watchnext.settings import Settings
from watchnext.store import materialize as drill
from watchnext.store import pit
from watchnext.store.apply import apply, open_store
from watchnext.store.materialize import materialize
from watchnext.store.offline import OfflineLog
from watchnext.store.pit import point_in_time
from watchnext.store.rows import FeatureStoreRows

NOW = 1_700_000_000_000  # epoch ms


def write(settings: Settings, rows: Sequence[FeatureRow], part: int = 0) -> None:
    row = type(rows[0])
    OfflineLog(settings.offline_path, row.VIEW).write_part(row.TOPIC, 0, part, part + len(rows) - 1, rows)


def watched(user_id: str, *, at_ms: int, offset: int, videos: list[str]) -> UserWatches:
    return UserWatches(
        entity_id=user_id,
        event_timestamp=at_ms * 1000,
        partition=0,
        offset=offset,
        watch_video_ids=videos,
        watch_seconds=[1.5] * len(videos),
        seen_ids=videos,
        watches=len(videos),
    )


def labels(*rows: tuple[str, int], key: str = "user_id") -> pd.DataFrame:
    return pd.DataFrame(
        {
            key: [row[0] for row in rows],
            "event_timestamp": pd.to_datetime([row[1] for row in rows], unit="ms", utc=True),
        }
    )


@pytest.fixture
def settings(feature_settings: Settings) -> Settings:
    apply(feature_settings)
    return feature_settings


def test_the_label_in_a_same_instant_watch_is_not_seen(settings: Settings) -> None:
    """A data set stamps an impression and its watch alike; as of one millisecond before, the watch is unknown."""
    write(
        settings,
        [
            watched("u1", at_ms=NOW - 60_000, offset=0, videos=["earlier"]),
            watched("u1", at_ms=NOW, offset=1, videos=["earlier", "the label"]),
        ],
    )

    asked = labels(("u1", NOW), ("u1", NOW - 1))
    found = point_in_time(settings, View.USER_WATCHES, asked, features=["watch_video_ids"])

    assert found["watch_video_ids"].to_pylist() == [["earlier", "the label"], ["earlier"]], "Feast's join is inclusive"


def test_features_come_in_the_order_of_the_keys_with_their_duplicates(settings: Settings) -> None:
    write(settings, [watched(user, at_ms=NOW, offset=n, videos=[user]) for n, user in enumerate(["u1", "u2"])])
    asked = labels(("u2", NOW + 1), ("u1", NOW + 1), ("nobody", NOW + 1), ("u2", NOW + 1), ("u1", NOW - 1))
    asked["watches"] = [10, 11, 12, 13, 14]  # the caller's own
    asked.index = [5, 5, 1, 0, 9]

    found = point_in_time(settings, View.USER_WATCHES, asked, features=["watch_video_ids", "watches"])

    assert found["watch_video_ids"].to_pylist() == [["u2"], ["u1"], None, ["u2"], None]
    assert found["watches"].to_pylist() == [1, 1, None, 1, None]
    assert list(asked.columns) == ["user_id", "event_timestamp", "watches"], "the caller's frame is left alone"


def test_a_service_joins_all_its_views_at_once(settings: Settings) -> None:
    write(settings, [watched("u1", at_ms=NOW, offset=0, videos=["v1"])])
    write(
        settings,
        [UserImpressions(entity_id="u1", event_timestamp=NOW * 1000 + 1, partition=0, offset=0, impressions=4)],
    )

    found = point_in_time(settings, FeatureService.USER, labels(("u1", NOW), ("u1", NOW + 1)))

    assert found["watches"].to_pylist() == [1, 1]
    assert found["impressions"].to_pylist() == [None, 4], "the impression came a microsecond after the first label"
    assert found["country"].to_pylist() == [None, None], "no profile was ever seen"
    assert not {"partition", "offset", "event_ids"} & set(found.column_names)


def test_videos_are_joined_by_their_own_key(settings: Settings) -> None:
    write(settings, [VideoCatalog(entity_id="v1", event_timestamp=1, partition=0, offset=0, topics=["cats"])])
    write(settings, [VideoCounters(entity_id="v1", event_timestamp=NOW * 1000, partition=0, offset=0, older_clicks=3)])

    found = point_in_time(
        settings, FeatureService.VIDEO, labels(("v1", NOW), key="video_id"), features=["topics", "older_clicks"]
    )

    assert found["topics"].to_pylist() == [["cats"]]
    assert found["older_clicks"].to_pylist() == [3]


def test_the_narrow_join_equals_feasts_own_wide_one(settings: Settings) -> None:
    """Oracle: `get_historical_features` with the wide columns, and pandas' `merge_asof`."""
    random = np.random.default_rng(11)
    times = np.sort(random.choice(10_000, 300, replace=False)) + NOW
    users = [f"u{n}" for n in random.integers(0, 9, 300)]
    history = [
        watched(user, at_ms=int(at), offset=n, videos=[f"v{n}", f"v{n % 7}"])
        for n, (user, at) in enumerate(zip(users, times, strict=True))
    ]
    write(settings, history[:100])
    write(settings, history[100:], part=100)
    asked = labels(
        *(
            (f"u{user}", int(at))
            for user, at in zip(random.integers(0, 10, 200), random.integers(NOW, NOW + 10_000, 200), strict=True)
        )
    )

    found = point_in_time(settings, View.USER_WATCHES, asked, features=["watch_video_ids"])

    log = pd.DataFrame(
        {
            "user_id": users,
            "event_timestamp": pd.to_datetime(times, unit="ms", utc=True),
            "watch_video_ids": [row.watch_video_ids for row in history],
        }
    )
    ordered = asked.assign(number=range(len(asked))).sort_values("event_timestamp")
    by_pandas = pd.merge_asof(ordered, log, on="event_timestamp", by="user_id").sort_values("number")
    expected = [value if isinstance(value, list) else None for value in by_pandas["watch_video_ids"]]
    assert None in expected
    assert found["watch_video_ids"].to_pylist() == expected

    wide = open_store(settings).get_historical_features(
        asked.assign(number=range(len(asked))), ["user_watches:watch_video_ids"]
    )
    by_feast = wide.to_df().sort_values("number")["watch_video_ids"]
    assert [None if value is None else list(value) for value in by_feast] == expected


@pytest.mark.parametrize("applied", [False, True])
def test_a_part_older_than_a_feature_has_nulls_for_it(settings: Settings, applied: bool) -> None:
    write(settings, [watched("u1", at_ms=NOW - 60_000, offset=0, videos=["a"])])
    write(settings, [watched("u1", at_ms=NOW, offset=1, videos=["a", "b"])], part=1)
    for name in ("empty.parquet", "watch-events-0-00000000000000000000.parquet"):
        path = Path(settings.offline_path) / View.USER_WATCHES.value / name
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["watches"]), path)
    if applied:  # the empty part has every column again
        apply(settings)

    asked = labels(("u1", NOW), ("u1", NOW - 1))
    found = point_in_time(settings, View.USER_WATCHES, asked, features=["watch_video_ids", "watches"])

    assert found["watch_video_ids"].to_pylist() == [["a", "b"], ["a"]]
    assert found["watches"].to_pylist() == [2, None]


def test_parts_of_one_release_are_not_each_asked_for_their_columns(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a log of many parts that doubled the time of making examples."""
    write(settings, [watched("u1", at_ms=NOW, offset=0, videos=["a"])])
    asked: list[str] = []
    opened = pit._duckdb

    @contextmanager
    def listening(settings: Settings) -> Iterator[SimpleNamespace]:
        with opened(settings) as connection:

            def sql(query: str, params: dict[str, str]) -> object:
                asked.append(query)
                return connection.sql(query, params=params)

            yield SimpleNamespace(sql=sql, register=connection.register)

    monkeypatch.setattr(pit, "_duckdb", listening)
    found = point_in_time(settings, View.USER_WATCHES, labels(("u1", NOW)), features=["watches"])

    assert found["watches"].to_pylist() == [1]
    assert len(asked) == 2
    assert "union_by_name" not in "".join(asked)


def test_no_labels_are_no_rows(settings: Settings) -> None:
    found = point_in_time(settings, View.USER_WATCHES, labels(), features=["watches"])

    assert (found.num_rows, found.column_names) == (0, ["watches"])


@pytest.mark.parametrize(
    ("asked", "features", "words"),
    [
        (labels(("u1", NOW)), ["watch_secondz"], "watch_secondz"),
        (labels(("u1", NOW)), [], "wanted some of"),
        (labels(("u1", NOW), key="video_id"), ["watches"], "user_id"),
        (pd.DataFrame({"user_id": ["u1"], "event_timestamp": [NOW]}), ["watches"], "utc=True"),
    ],
    ids=["unknown feature", "no feature", "wrong key", "no time zone"],
)
def test_a_wrong_question_is_a_clear_error(
    settings: Settings, asked: pd.DataFrame, features: list[str], words: str
) -> None:
    with pytest.raises(StoreError, match=words):
        point_in_time(settings, View.USER_WATCHES, asked, features=features)


@pytest.mark.parametrize("damaged", [True, False], ids=["a damaged part", "no folder"])
def test_a_log_that_cannot_be_read_is_named(settings: Settings, damaged: bool) -> None:
    write(settings, [watched("u1", at_ms=NOW, offset=0, videos=["v"])])
    log = OfflineLog(settings.offline_path, View.USER_WATCHES)
    if damaged:
        part = log.parts()[0].path
        part.write_bytes(part.read_bytes()[:-10])
    else:
        shutil.rmtree(log.folder)

    with pytest.raises(StoreError, match=r"user_watches cannot be read \(.* put back from a backup"):
        point_in_time(settings, View.USER_WATCHES, labels(("u1", NOW)))


def test_before_apply_nothing_can_be_asked(feature_settings: Settings) -> None:
    with pytest.raises(StoreError, match="not registered"):
        point_in_time(feature_settings, View.USER_WATCHES, labels(("u1", NOW)))


def test_apply_twice_is_harmless_and_the_file_is_private(settings: Settings) -> None:
    path = apply(settings)

    assert path.stat().st_mode & 0o077 == 0
    assert {view.name for view in open_store(settings).list_feature_views()} == {view.value for view in View}


def test_materializing_the_log_into_an_empty_store_gives_the_streamed_rows(settings: Settings) -> None:
    """3,000 users (over Feast's and our batch sizes), 2 rows each, empty lists and strings among them."""
    users = [f"u{n}" for n in range(3_000)]
    first = [watched(user, at_ms=NOW, offset=n, videos=[]) for n, user in enumerate(users)]
    second = [
        watched(user, at_ms=NOW + 1 + n % 3, offset=3_000 + n, videos=[f"v{n}"] * (n % 4))
        for n, user in enumerate(users)
    ]
    profiles = [
        UserProfile(entity_id="u1", event_timestamp=7, partition=0, offset=0, age=-1.0, country="", logged_in=False),
        UserProfile(entity_id="u2", event_timestamp=8, partition=0, offset=1, age=33.5, country="NL", logged_in=True),
    ]
    write(settings, first)
    write(settings, second, part=3_000)
    write(settings, profiles)

    counts = materialize(settings, rows_a_range=2_500)

    assert (counts[View.USER_WATCHES], counts[View.USER_PROFILE], counts[View.USER_SEARCHES]) == (6_000, 2, 0)
    rows = FeatureStoreRows.open(settings)
    assert rows.read_rows(View.USER_WATCHES, users) == {row.entity_id: row for row in second}
    assert rows.read_rows(View.USER_PROFILE, users) == {row.entity_id: row for row in profiles}


@pytest.mark.parametrize("newer", [True, False])
def test_parts_that_are_older_than_a_feature_are_materialized(settings: Settings, newer: bool) -> None:
    """After an upgrade that added a feature the drill ended in DuckDB's "schema mismatch in glob"."""
    old = watched("u1", at_ms=NOW, offset=0, videos=["old"])
    write(settings, [old])
    if newer:
        write(settings, [watched("u2", at_ms=NOW + 1, offset=1, videos=["new"])], part=1)
    folder = Path(settings.offline_path) / View.USER_WATCHES.value
    for path in (folder / "empty.parquet", folder / f"watch-events-0-{0:020d}.parquet"):
        table = pq.ParquetFile(path).read()
        pq.write_table(table.drop_columns(["seen_ids", "watches"]), path)
    apply(settings)  # as the upgrade does

    materialize(settings, [View.USER_WATCHES])

    rows = FeatureStoreRows.open(settings)
    assert rows.read_row(View.USER_WATCHES, "u1") == msgspec.structs.replace(old, seen_ids=[], watches=0)
    assert (rows.read_row(View.USER_WATCHES, "u2") is not None) == newer


def test_materializing_never_replaces_a_younger_row(settings: Settings) -> None:
    write(settings, [watched("u1", at_ms=NOW, offset=0, videos=["old"])])
    younger = watched("u1", at_ms=NOW + 1, offset=1, videos=["old", "new"])
    rows = FeatureStoreRows.open(settings)
    rows.write([younger])

    materialize(settings, [View.USER_WATCHES])

    assert rows.read_row(View.USER_WATCHES, "u1") == younger


def test_the_drill_is_a_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = watched("u1", at_ms=NOW, offset=0, videos=["v"])
    write(settings, [row])
    monkeypatch.setattr(drill, "load_settings", lambda: settings)

    assert drill.main() == 0

    assert "user_watches: 1 rows of the log gone through\n" in capsys.readouterr().out
    assert FeatureStoreRows.open(settings).read_row(View.USER_WATCHES, "u1") == row


@pytest.mark.parametrize("footer", [True, False])
def test_the_drill_tells_of_a_damaged_part(
    settings: Settings, footer: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(settings, [watched("u1", at_ms=NOW, offset=0, videos=["v"])])
    part = Path(settings.offline_path) / View.USER_WATCHES.value / f"watch-events-0-{0:020d}.parquet"
    whole = bytearray(part.read_bytes())
    if footer:  # it is whole, and so is the column of times, by which Arrow looks through the log
        [seen] = (c for c in _chunks(part) if c.path_in_schema.startswith("seen_ids"))
        start = seen.dictionary_page_offset
        whole[start : start + seen.total_compressed_size] = bytes(seen.total_compressed_size)
        part.write_bytes(whole)
    else:
        part.write_bytes(whole[:-10])
    monkeypatch.setattr(drill, "load_settings", lambda: settings)

    assert drill.main() == 1

    assert "a damaged part is put back from a backup" in capsys.readouterr().err.lower()


def _chunks(part: Path) -> list[pq.ColumnChunkMetaData]:
    group = pq.ParquetFile(part).metadata.row_group(0)
    return [group.column(number) for number in range(group.num_columns)]


def test_feasts_own_command_line_reads_the_written_configuration(settings: Settings, tmp_path: Path) -> None:
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(tmp_path / "feast"))

    store.materialize(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), ["user_watches"])
    assert store.get_feature_service("user_v1").name == "user_v1"
    assert Topic.WATCH.value == store.get_feature_view("user_watches").tags["topic"]
