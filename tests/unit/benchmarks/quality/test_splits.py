"""Splits of a data set written by hand, and of the real slice where it is laid."""

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.quality.split_files import lists_of, read_split
from benchmarks.quality.splits import TEST_CUT_MS, VALID_CUT_MS, kuairand_split, merge_history, movielens_split
from watchnext.clock import HOUR_MS
from watchnext.errors import DataError
from watchnext.settings import load_settings

CUT = TEST_CUT_MS
LOG = "user_id,video_id,date,hourmin,time_ms,is_click,long_view,play_time_ms,duration_ms,tab\n"


def row(user: int, video: int, at_ms: int, long_view: int) -> str:
    return f"{user},{video},20220427,2300,{at_ms},1,{long_view},30000,40000,1\n"


BEFORE = (
    row(1, 100, CUT - 3, 1)
    + row(2, 103, CUT - 2, 0)  # shown, not viewed: never a target of user 2
    + row(1, 101, CUT - 2, 1)  # of one moment: in the order of the file
    + row(1, 100, CUT - 2, 1)
)
AFTER = (
    row(1, 103, CUT, 1)  # a moment that is the cut is after it
    + row(1, 104, CUT + 5, 1)
    + row(1, 103, CUT + 6, 1)  # a target once
    + row(1, 102, CUT + 7, 1)  # in the untimed history
    + row(2, 103, CUT + 8, 1)
    + row(3, 104, CUT + HOUR_MS, 1)  # nothing is known of user 3
    + row(3, 100, CUT + HOUR_MS, 0)
)
USERS = "user_id,register_days\n1,5\n2,6\n3,7\n4,8\n"
VIDEOS = "video_id,author_id,upload_dt,video_duration,tag\n" + "".join(
    f"{video},7,2022-04-10,40000.0,{tag}\n"
    for video, tag in ((100, '"12,65"'), (101, 3), (102, 3), (103, ""), (104, 3))
)
HISTORY = (
    "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq\n"
    f"1,3,{CUT - 10_000_000},102 101 102,,104 102\n"
    f"4,1,{CUT},100,,100\n"  # ends at the cut: not known before it
)  # fmt: skip


def slice_folder(folder: Path, rows: str = BEFORE + AFTER, users: str = USERS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"impressions": LOG + rows, "users": users, "history_before_0425": HISTORY}.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "videos.csv").write_text(VIDEOS)
    return folder


def test_a_long_view_is_a_target_where_the_video_was_never_exposed_before_the_cut(tmp_path: Path) -> None:
    # User 1's history: long view of 104, older than the exposures 102, 101 and 102 (long view).
    queries = kuairand_split(slice_folder(tmp_path), tmp_path / "out").queries.to_pylist()

    assert queries == [
        {"user": 0, "history": [5, 3, 1, 2, 1], "seen": [1, 2, 3, 5], "targets": [4]},
        {"user": 2, "history": [], "seen": [], "targets": [5]},
    ]


def test_what_was_shown_before_the_cut_is_written_in_order_with_derived_times(tmp_path: Path) -> None:
    split = kuairand_split(slice_folder(tmp_path), tmp_path / "out")
    rows = [(e["user"], e["video"], e["at_ms"] - CUT, e["long_view"], e["derived"])
            for e in split.tables["exposures"].to_pylist()]  # fmt: skip

    assert rows == [
        (0, 5, -10_060_000, True, True),
        (0, 3, -10_040_000, False, True),
        (0, 2, -10_020_000, False, True),
        (0, 3, -10_000_000, True, True),
        (0, 1, -3, True, False),
        (1, 4, -2, False, False),
        (0, 2, -2, True, False),
        (0, 1, -2, True, False),
    ]
    watched = [(e["user"], e["video"], e["at_ms"] - CUT, e["derived"]) for e in split.interactions.to_pylist()]
    assert watched == [(*row[:3], row[4]) for row in rows if row[3]]
    assert split.tables["videos"].to_pylist()[0] == {
        "row": 1,
        "video_id": "100",
        "channel_id": "7",
        "topics": ["tag-12", "tag-65"],
        "seconds": 40.0,
        "uploaded_ms": 1_649_520_000_000,
    }
    assert split.tables["users"].to_pylist()[3] == {"user": 3, "user_id": "4"}


def test_a_validation_split_reads_nothing_of_the_days_after_it(tmp_path: Path) -> None:
    cut, end = CUT - 2, CUT
    day = BEFORE + row(1, 103, CUT - 1, 1)
    one = kuairand_split(slice_folder(tmp_path / "a", day + AFTER), tmp_path / "one" / "valid", cut, end)
    two = kuairand_split(slice_folder(tmp_path / "b", day), tmp_path / "two" / "valid", cut, end)

    assert one.queries.to_pylist() == [{"user": 0, "history": [5, 3, 1], "seen": [1, 2, 3, 5], "targets": [4]}]
    assert (tmp_path / "one/valid/split.json").read_text() == (tmp_path / "two/valid/split.json").read_text()
    assert one == two


def test_a_cut_that_leaves_nothing_to_find_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0 positives come after the cut .* name another cut"):
        kuairand_split(slice_folder(tmp_path, BEFORE), tmp_path / "out")


def test_a_signal_planted_after_the_cut_changes_no_file_to_train_on(tmp_path: Path) -> None:
    planted = AFTER + "".join(row(user, 101, CUT + 20 + user, 1) for user in (1, 2, 3, 4) for _ in range(3))
    kuairand_split(slice_folder(tmp_path / "a"), tmp_path / "plain")
    kuairand_split(slice_folder(tmp_path / "b", BEFORE + planted), tmp_path / "planted")
    plain, changed = (
        json.loads((tmp_path / name / "split.json").read_text())["files"] for name in ("plain", "planted")
    )

    assert plain.pop("queries.parquet") != changed.pop("queries.parquet")
    assert plain == changed
    known = [{key: query[key] for key in ("history", "seen")}
             for query in read_split(tmp_path / "planted").queries.to_pylist()]  # fmt: skip
    assert known == [
        {"history": [5, 3, 1, 2, 1], "seen": [1, 2, 3, 5]},
        {"history": [], "seen": [4]},
        {"history": [], "seen": []},
        {"history": [], "seen": []},
    ]


def test_a_second_writing_gives_the_same_bytes_and_another_file_is_refused(tmp_path: Path) -> None:
    folder = slice_folder(tmp_path / "data")
    kuairand_split(folder, tmp_path / "a" / "test")
    split = kuairand_split(folder, tmp_path / "b" / "test")

    assert (tmp_path / "a/test/split.json").read_text() == (tmp_path / "b/test/split.json").read_text()
    assert read_split(tmp_path / "a" / "test") == split

    videos = tmp_path / "a/test/videos.parquet"
    videos.write_bytes(videos.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"videos.parquet: SHA-256 .* came, .* was written: write the split again"):
        read_split(tmp_path / "a" / "test")


@pytest.mark.parametrize(
    ("exposures", "long_views", "merged"),
    [
        ("a b c", "b", "a B c"),
        ("a b", "x y a b", "X Y A B"),  # a full list of exposures: older long views come before it
        ("a a", "a", "a A"),  # which of the two is not told: the later
        ("", "a", "A"),
        ("a b", "", "a b"),
    ],
)
def test_long_views_older_than_the_listed_exposures_come_first(exposures: str, long_views: str, merged: str) -> None:
    wanted = [(word.lower(), word.isupper()) for word in merged.split()]
    assert merge_history(exposures.split(), long_views.split()) == wanted


def test_the_real_slice_asks_whoever_found_something_new_on_the_day_after_the_cut(tmp_path: Path) -> None:
    folder = load_settings().shared / "data" / "kuairand-pure"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    split = kuairand_split(folder, tmp_path / "valid", VALID_CUT_MS, TEST_CUT_MS)

    assert (split.videos, split.tables["users"].num_rows) == (7_583, 27_285)
    assert split.tables["exposures"]["at_ms"][-1].as_py() < VALID_CUT_MS
    # Counted apart from this package, with csv and sets: users, and targets in all.
    assert split.queries.num_rows == 3_333
    assert sum(map(len, lists_of(split.queries["targets"]))) == 4_168


FILMS = "item_id:token\tmovie_title:token\trelease_year:float\tgenre:token\n" + "".join(
    f"{film} ({year})\t{film}\t{year}\tAnimation Children's\n"
    for film, year in (("A", 1995), ("B", 1960), ("C", 1999), ("D", 2000))
)
PEOPLE = "user_id:token\tage:float\tgender:token\toccupation:float\tzip_code:token\n" + "".join(
    f"1m_{user}\t25\tF\t10\t48067\n" for user in (1, 2, 3)
)
RATINGS = [
    ("1m_1", "D (2000)", 5, 978_300_761),  # the last by time, though the first in the file
    ("1m_1", "B (1960)", 3, 978_300_760),
    ("1m_1", "A (1995)", 1, 978_300_760),  # of one second: after the row before it
    ("1m_2", "C (1999)", 4, 978_300_760),
    ("1m_2", "A (1995)", 4, 978_300_760),
    ("1m_2", "D (2000)", 4, 978_300_760),
    ("1m_2", "B (1960)", 4, 978_300_760),
    ("1m_3", "A (1995)", 4, 978_300_700),  # two watches are too few to be asked
    ("1m_3", "B (1960)", 4, 978_300_800),
]
SWAPPED = [("1m_1", "C (1999)", 5, 978_300_761), *RATINGS[1:]]


def films_folder(folder: Path, ratings: list[tuple[str, str, int, int]]) -> Path:
    folder.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += ["\t".join(map(str, rating)) for rating in ratings]
    (folder / "ml-1m.inter").write_text("\n".join(lines) + "\n")
    (folder / "ml-1m.item").write_text(FILMS)
    (folder / "ml-1m.user").write_text(PEOPLE)
    return folder


def test_the_last_watch_is_the_target_in_a_stable_order(tmp_path: Path) -> None:
    split = movielens_split(films_folder(tmp_path / "ml", RATINGS), tmp_path / "test")

    assert split.queries.to_pylist() == [
        {"user": 0, "history": [2, 1], "seen": [1, 2], "targets": [4]},
        {"user": 1, "history": [3, 1, 4], "seen": [1, 3, 4], "targets": [2]},
    ]
    watched = [(e["user"], e["video"], e["at_ms"] // 1000, e["derived"]) for e in split.interactions.to_pylist()]
    assert watched == [
        (2, 1, 978_300_700, False),
        (0, 2, 978_300_760, False),
        (0, 1, 978_300_760, False),
        (1, 3, 978_300_760, False),
        (1, 1, 978_300_760, False),
        (1, 4, 978_300_760, False),
        (2, 2, 978_300_800, False),
    ]
    film = split.tables["videos"].to_pylist()[0]
    assert 60 <= film.pop("seconds") <= 180
    assert film == {
        "row": 1,
        "video_id": "A (1995)",
        "channel_id": "decade-1990s",
        "topics": ["Animation", "Children's"],
        "uploaded_ms": 788_918_400_000,
    }


def test_validation_asks_for_the_watch_before_the_last_and_never_reads_the_last(tmp_path: Path) -> None:
    split = movielens_split(films_folder(tmp_path / "ml", RATINGS), tmp_path / "a" / "valid", held_back=1)

    assert split.queries.to_pylist() == [
        {"user": 0, "history": [2], "seen": [2], "targets": [1]},
        {"user": 1, "history": [3, 1], "seen": [1, 3], "targets": [4]},
    ]
    movielens_split(films_folder(tmp_path / "swapped", SWAPPED), tmp_path / "b" / "valid", held_back=1)
    assert (tmp_path / "a/valid/split.json").read_text() == (tmp_path / "b/valid/split.json").read_text()


def test_another_last_watch_changes_no_file_to_train_on(tmp_path: Path) -> None:
    movielens_split(films_folder(tmp_path / "a", RATINGS), tmp_path / "plain")
    movielens_split(films_folder(tmp_path / "b", SWAPPED), tmp_path / "swapped")
    plain, other = (json.loads((tmp_path / name / "split.json").read_text())["files"] for name in ("plain", "swapped"))

    assert plain.pop("queries.parquet") != other.pop("queries.parquet")
    assert plain == other
