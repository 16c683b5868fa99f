import gzip
from pathlib import Path

import pytest

from watchnext.clock import FixedClock
from watchnext.contracts.events import decode, encode
from watchnext.contracts.names import DERIVED_SURFACE, Topic
from watchnext.data.kuairand import KuaiRand
from watchnext.errors import DataError
from watchnext.settings import load_settings

NOW = FixedClock(1_700_000_000_000)
T = 1_650_900_000_000
LOG = "user_id,video_id,date,hourmin,time_ms,is_click,long_view,play_time_ms,duration_ms,tab\n"
ROWS = (
    f"1,100,20220425,2300,{T},1,1,61000,40000,1\n"  # a loop of a 40 s video
    f"1,100,20220426,0,{T},1,1,61000,40000,1\n"  # the same but for date and hour
    f"1,101,20220425,2300,{T},0,0,9000,90000,1\n"  # played without a click, in the same list
    f"2,102,20220425,2300,{T + 5},1,0,3000,0,6\n"  # no length in the table
)
USERS = "user_id,user_active_degree\n1,full_active\n2,low_active\n3,low_active\n"
VIDEOS = (
    "video_id,author_id,video_type,upload_dt,video_duration,tag\n"
    '100,7,NORMAL,2022-04-10,40000.0,"12,65"\n101,8,NORMAL,2022-04-09,90000.0,\n102,9,AD,2022-04-11,,3\n'
)
HISTORY = (
    "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq\n"
    f"1,3,{T - 10_000_000},101 102,,100 101\n2,1,{T - 20_000_000},100,,\n3,1,{T},100,,100\n"
)


def slice_folder(folder: Path, rows: str = ROWS) -> Path:
    for name, text in {"impressions": LOG + rows, "users": USERS, "history_before_0425": HISTORY}.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "videos.csv").write_text(VIDEOS)
    return folder


def official_folder(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir()
    (data / "log_standard_4_08_to_4_21_pure.csv").write_text(LOG + "".join(ROWS.splitlines(True)[:2]))
    (data / "log_standard_4_22_to_5_08_pure.csv").write_text(LOG + "".join(ROWS.splitlines(True)[2:]))
    (data / "user_features_pure.csv").write_text(USERS)
    (data / "video_features_basic_pure.csv").write_text(VIDEOS)
    return folder


def events_of(dataset: KuaiRand, topic: Topic) -> list:
    return [event for found, event in dataset.events() if found == topic]


def test_a_row_and_its_copy_of_the_next_day_in_the_next_file_are_one_row(tmp_path):
    data = official_folder(tmp_path) / "data"
    first, copy = ROWS.splitlines(True)[:2]
    (data / "log_standard_4_08_to_4_21_pure.csv").write_text(LOG + first)
    (data / "log_standard_4_22_to_5_08_pure.csv").write_text(LOG + copy)

    dataset = KuaiRand(tmp_path, clock=NOW)

    assert dataset.describe().counts["impressions"] == 1
    assert dataset.dropped == {"log_standard_4_22_to_5_08_pure.csv: the same row came before": 1}


@pytest.mark.parametrize("make", [slice_folder, official_folder])
def test_both_layouts_give_the_same_real_events(tmp_path, make):
    dataset = KuaiRand(make(tmp_path), clock=NOW)
    shown = [event for event in events_of(dataset, Topic.IMPRESSION) if event.surface != DERIVED_SURFACE]
    watches = [event for event in events_of(dataset, Topic.WATCH) if event.surface != DERIVED_SURFACE]

    assert [(e.user_id, e.video_id, e.position, e.shown_at, e.surface) for e in shown] == [
        ("1", "100", 0, T, "tab-1"),
        ("1", "101", 1, T, "tab-1"),
        ("2", "102", 0, T + 5, "tab-6"),
    ]
    assert [(e.video_id, e.started_at, e.watch_seconds, e.video_seconds, e.completed) for e in watches] == [
        ("102", T + 5, 3.0, 65.0, False),  # the median length
        ("100", T, 40.0, 40.0, True),  # capped, and later: it ends later
    ]
    assert [e.request_id for e in watches] == [shown[2].request_id, shown[0].request_id]
    assert shown[0].request_id == shown[1].request_id
    assert dataset.last_ms == T + 40_000
    assert list(dataset.dropped.values()) == [1]


def test_videos_keep_authors_tags_and_the_day_in_beijing(tmp_path):
    first, second, _ = KuaiRand(slice_folder(tmp_path), clock=NOW).catalog()

    assert (first.video_id, first.channel_id, first.topics) == ("100", "7", ["tag-12", "tag-65"])
    assert first.uploaded_at == 1_649_520_000_000  # 2022-04-09 16:00 UTC
    assert second.topics == []


@pytest.mark.parametrize("day", ["1970-01-01", "1899-12-31"])
def test_a_day_before_1970_is_the_start_of_1970(tmp_path, day):
    """No event has an earlier time: the workers made dead letters of these videos."""
    folder = slice_folder(tmp_path)
    (folder / "videos.csv").write_text(VIDEOS.replace("2022-04-09", day))

    old = list(KuaiRand(folder, clock=NOW).catalog())[1]

    assert (old.video_id, old.uploaded_at) == ("101", 0)
    assert decode(Topic.CATALOG, encode(old)) == old


def test_the_untimed_history_becomes_marked_watches_before_its_last_time(tmp_path):
    dataset = KuaiRand(slice_folder(tmp_path), clock=NOW)
    seeds = [event for event in events_of(dataset, Topic.WATCH) if event.surface == DERIVED_SURFACE]

    assert [(e.user_id, e.video_id, e.watch_seconds, e.at_ms) for e in seeds] == [
        ("1", "100", 18.0, T - 10_020_000),
        ("1", "101", 18.0, T - 10_000_000),
    ]
    assert all(event.completed for event in seeds)
    assert [e.request_id for e in seeds] == [None, "kr-1-h"]  # 100 was shown before the exposures that are listed
    assert DERIVED_SURFACE in dataset.derived["history"]


def test_the_untimed_exposures_become_marked_impressions_of_one_list(tmp_path):
    dataset = KuaiRand(slice_folder(tmp_path), clock=NOW)
    seeds = [event for event in events_of(dataset, Topic.IMPRESSION) if event.surface == DERIVED_SURFACE]

    assert [(e.user_id, e.video_id, e.request_id, e.position, e.shown_at) for e in seeds] == [
        ("2", "100", "kr-2-h", 0, T - 20_000_000),
        ("1", "101", "kr-1-h", 0, T - 10_020_000),
        ("1", "102", "kr-1-h", 1, T - 10_000_000),
    ]
    assert len({event.event_id for event in seeds}) == 3


def test_only_users_with_impressions_are_kept(tmp_path):
    folder = slice_folder(tmp_path)

    assert [profile.user_id for profile in KuaiRand(folder, clock=NOW).profiles()] == ["1", "2"]
    sample = KuaiRand(folder, clock=NOW, users=1)
    assert (len(list(sample.profiles())), sample.sample) == (1, "1 users")
    assert KuaiRand(folder, clock=NOW, users=1_000).sample == ""  # a replay of the whole would send them again
    assert sample.last_ms == T + 40_000


def test_bad_rows_are_counted_and_the_rest_goes_through(tmp_path):
    bad = (
        f"1,999,x,x,{T},1,1,1,1,1\n9,100,x,x,{T},1,1,1,1,1\n1,100,x,x,99{T},1,1,1,1,1\n"
        f"1,100,x,x,{T},1,1,-5,1,1\n1,100,x,x,{T},1,1,NaN,1,1\n"
    )
    dataset = KuaiRand(slice_folder(tmp_path, ROWS + bad), clock=NOW)

    assert dataset.describe().counts["impressions"] == 3
    assert dataset.dropped == {
        "impressions.csv.gz: play_time_ms is not a finite number": 1,
        "impressions.csv.gz: the same row came before": 1,
        "impressions.csv.gz: time_ms is not between 1970 and now": 1,
        "impressions.csv.gz: play_time_ms is negative": 1,
        "impressions.csv.gz: video is not in the table": 1,
        "impressions.csv.gz: user is not in the table": 1,
    }


def test_a_bad_row_of_the_history_is_counted_once_and_a_bad_entry_where_it_stands(tmp_path):
    bad = f"1,1,NaN,100,,100\n4,1,{T},999 100,,999\n1,1,{T},100,,100\n"
    folder = slice_folder(tmp_path)
    counts = KuaiRand(folder, clock=NOW).describe().counts
    (folder / "history_before_0425.csv.gz").write_bytes(gzip.compress((HISTORY + bad).encode()))
    dataset = KuaiRand(folder, clock=NOW)

    assert dataset.describe().counts == counts
    assert {why: rows for why, rows in dataset.dropped.items() if why.startswith("history")} == {
        "history_before_0425.csv.gz: last_time_ms is not a finite number": 1,
        "history_before_0425.csv.gz: the user came before": 1,
        "history_before_0425.csv.gz: video is not in the table": 2,
    }


def test_what_is_uploaded_or_was_seen_in_the_future_is_left_out_and_counted(tmp_path):
    """A replay would send it ahead of the clock, and the workers make dead letters of it."""
    folder = slice_folder(tmp_path)
    (folder / "videos.csv").write_text(VIDEOS + "103,7,NORMAL,2099-01-01,40000.0,12\n")
    late = f"1,1,{NOW.now_ms() + 1},100,,100\n"
    (folder / "history_before_0425.csv.gz").write_bytes(gzip.compress((HISTORY + late).encode()))

    dataset = KuaiRand(folder, clock=NOW)

    assert [video.video_id for video in dataset.catalog()] == ["100", "101", "102"]
    assert max(event.at_ms for _, event in dataset.events()) < NOW.now_ms()
    assert dataset.dropped["videos.csv: upload_dt is in the future"] == 1
    assert dataset.dropped["history_before_0425.csv.gz: last_time_ms is not between 1970 and now"] == 1


@pytest.mark.parametrize("missing", ["log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv"])
def test_half_of_the_official_log_is_not_taken_for_all_of_it(tmp_path, missing):
    (official_folder(tmp_path) / "data" / missing).unlink()

    with pytest.raises(DataError, match=rf"{missing}: no such file"):
        KuaiRand(tmp_path, clock=NOW)


def test_a_folder_without_the_files_says_what_was_wanted(tmp_path):
    with pytest.raises(DataError, match=r"no KuaiRand-Pure here; wanted log_standard_4_08_to_4_21_pure\.csv"):
        KuaiRand(tmp_path, clock=NOW)


def test_the_shared_slice_has_the_counts_of_its_source_note():
    folder = load_settings().shared / "data" / "kuairand-pure"
    if not folder.is_dir():
        pytest.skip(f"no shared data in {folder}: set WATCHNEXT_SHARED")
    counts = KuaiRand(folder, clock=NOW).describe().counts

    # SOURCE.md: 92,034 rows without exact duplicates; 225 more differ only in the hour, which is not trusted
    assert counts["impressions"] == 92_034 - 225
    assert counts["videos"] == 7_583
    assert counts["users"] == 21_184
