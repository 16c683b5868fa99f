"""The files of MovieLens as RecBole's wheels carry them: tab-separated, with typed headers.

Bad rows are left out and counted (`data.tables`); nothing is derived here but the director as channel (from the
knowledge graph beside the ratings) and the country of a zip code.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from watchnext.data.tables import Dropped, drop_rows, read_table

_LAST_YEAR: Final = 2099  # times are before 2100, as in the events
STARS: Final = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Edition:
    """What its files are called, and the headers that are not alike in all editions."""

    name: str
    title: str
    year: str
    genres: str
    age: str
    directors: bool  # in a knowledge graph beside the ratings

    def file(self, folder: Path, kind: str) -> Path:
        """The file of that kind (`item`, `user`, `inter`, ...)."""
        return folder / f"{self.name}.{kind}"


ML_100K: Final = Edition(
    "ml-100k", "movie_title:token_seq", "release_year:token", "class:token_seq", "age:token", directors=True
)
ML_1M: Final = Edition("ml-1m", "movie_title:token", "release_year:float", "genre:token", "age:float", directors=False)


def read_films(folder: Path, dropped: Dropped, edition: Edition = ML_100K) -> pd.DataFrame:
    """Films: video_id, title, year, genres (list), channel_id, released_ms."""
    path = edition.file(folder, "item")
    films = read_table(
        path,
        {
            "item_id:token": "text",
            edition.title: "optional",
            edition.year: "optional",
            edition.genres: "optional",
        },
        dropped,
        separator="\t",
    )
    films.columns = pd.Index(["video_id", "title", "year", "genres"])
    films = drop_rows(films, films["video_id"].duplicated(), path, "the film came before", dropped)
    year = pd.to_numeric(films["year"], errors="coerce")
    year = year.where(year.between(1, _LAST_YEAR))  # another is as good as none
    directors = _read_directors(folder, dropped, edition) if edition.directors else {}
    decade = [f"decade-{int(value) // 10 * 10}s" if value == value else "decade-unknown" for value in year]
    films["channel_id"] = films["video_id"].map(directors).fillna(pd.Series(decade))
    films["released_ms"] = [_new_year_ms(value) for value in year]
    films["genres"] = [[genre for genre in text.split() if genre != "unknown"] for text in films["genres"]]
    return films


def _read_directors(folder: Path, dropped: Dropped, edition: Edition) -> dict[str, str]:
    """Film id to director; a film with several has the first one in the file."""
    links = read_table(
        edition.file(folder, "link"), {"item_id:token": "text", "entity_id:token": "text"}, dropped,
        separator="\t",
    )  # fmt: skip
    facts = read_table(
        edition.file(folder, "kg"),
        {"head_id:token": "text", "relation_id:token": "text", "tail_id:token": "text"},
        dropped,
        separator="\t",
    )
    directed = facts[facts["relation_id:token"] == "film.film.directed_by"].drop_duplicates("head_id:token")
    director = dict(zip(directed["head_id:token"], directed["tail_id:token"], strict=True))
    pairs = zip(links["item_id:token"], links["entity_id:token"], strict=True)
    return {film: director[entity] for film, entity in pairs if entity in director}


def read_people(folder: Path, dropped: Dropped, edition: Edition = ML_100K) -> pd.DataFrame:
    """Users: user_id, age (years), gender, zip, country."""
    path = edition.file(folder, "user")
    people = read_table(
        path,
        {"user_id:token": "text", edition.age: "number", "gender:token": "optional", "zip_code:token": "optional"},
        dropped,
        separator="\t",
    )
    people.columns = pd.Index(["user_id", "age", "gender", "zip"])
    people = drop_rows(people, people["user_id"].duplicated(), path, "the user came before", dropped)
    people = drop_rows(people, ~people["age"].between(0, 130), path, "age is not 0 to 130", dropped)
    people["country"] = np.where(people["zip"].str[:1].str.isalpha(), "CA", "US")
    return people


def read_ratings(
    folder: Path,
    films: pd.DataFrame,
    people: pd.DataFrame,
    now_ms: int,
    dropped: Dropped,
    edition: Edition = ML_100K,
) -> pd.DataFrame:
    """Ratings: user_id, video_id, stars (1 to 5), rated_ms."""
    path = edition.file(folder, "inter")
    ratings = read_table(
        path,
        {"user_id:token": "text", "item_id:token": "text", "rating:float": "number", "timestamp:float": "number"},
        dropped,
        separator="\t",
    )
    ratings.columns = pd.Index(["user_id", "video_id", "stars", "rated_ms"])
    ratings["rated_ms"] *= 1000
    ratings = drop_rows(ratings, ~ratings["stars"].isin(STARS), path, "rating is not 1 to 5", dropped)
    timed = ratings["rated_ms"].between(0, now_ms)
    ratings = drop_rows(ratings, ~timed, path, "timestamp is not between 1970 and now", dropped)
    known = ratings["user_id"].isin(people["user_id"])
    ratings = drop_rows(ratings, ~known, path, f"user is not in {edition.name}.user", dropped)
    known = ratings["video_id"].isin(films["video_id"])
    ratings = drop_rows(ratings, ~known, path, f"film is not in {edition.name}.item", dropped)
    repeated = ratings.duplicated(["user_id", "video_id"])
    ratings = drop_rows(ratings, repeated, path, "the user rated this film before", dropped)
    return ratings.astype({"stars": np.int64, "rated_ms": np.int64})


def _new_year_ms(year: float) -> float:
    """Epoch ms of 1 January; 0 for 1970, earlier, and unknown years."""
    return datetime(int(year), 1, 1, tzinfo=UTC).timestamp() * 1000 if year >= 1970 else 0.0
