"""The data sets by name.

>>> open_dataset("simulator", None, load_settings(), clock=SystemClock(), days=7).name       # doctest: +SKIP
'simulator'
"""

from pathlib import Path
from typing import Final

from watchnext.clock import Clock
from watchnext.data import kuairand, movielens, simulator
from watchnext.data.fetch import fetch_movielens
from watchnext.data.kuairand import KuaiRand
from watchnext.data.movielens import MovieLens
from watchnext.data.records import Dataset
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import UsageError
from watchnext.settings import Settings

DATASETS: Final = {
    movielens.NAME: "real ratings of 943 users; watch seconds and impressions are derived (ml-100k, fetched once)",
    kuairand.NAME: "real impressions, clicks and play times (KuaiRand-Pure: name its folder with --path)",
    simulator.NAME: "a seeded world with searches, uploads and a known truth; all simulated",
}


def open_dataset(
    name: str, path: Path | None, settings: Settings, *, clock: Clock, users: int = 0, days: int = 30
) -> Dataset:
    """The data set `name`, read and checked.

    Args:
        name: a key of `DATASETS`.
        path: its folder; None: MovieLens is fetched, KuaiRand is looked for in the shared data.
        settings: where fetched data goes, and where shared data is.
        clock: times after its now are bad rows.
        users: keep the first so many users by hash; 0: all.
        days: length of the simulator's past.

    Raises:
        UsageError: no such data set, or an option that it does not have.
        DataError: its files cannot be read.
        PrerequisiteError: MovieLens could not be fetched.
    """
    check_name(name)
    if name == movielens.NAME:
        return MovieLens(path or fetch_movielens(settings), clock=clock, users=users)
    if name == kuairand.NAME:
        return KuaiRand(path or settings.shared / "data" / "kuairand-pure", clock=clock, users=users)
    if path is not None:
        raise UsageError(f"the simulator reads no files, and {path} came as its path: leave --path out")
    return Simulator(WorldConfig(users=users) if users else WorldConfig(), days=days)


def check_name(name: str) -> None:
    """Return if there is a data set of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in DATASETS:
        raise UsageError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}")
