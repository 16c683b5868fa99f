"""`watchnext demo`: the whole way on this machine, from a data set's events to a ranked list.

Each step is skipped where an earlier run has done it, so that a second demo shows its list within seconds.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from watchnext.cli.output import JsonFlag, next_step, note, print_json, print_table, say
from watchnext.cli.recommend import as_json, footer, print_answer, titles_of
from watchnext.cli.steps import catch_up, replay_once, train_once
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.errors import ServerError, UsageError
from watchnext.settings import Settings, load_settings

if TYPE_CHECKING:
    from watchnext.data.records import Dataset

app = typer.Typer()

SHOWN_WATCHES: Final = 8
WANTED_WATCHES: Final = 60  # of the user who is shown: enough to have a taste
LOOKED_AT: Final = 300  # users among whom that one is found
LIVE_S: Final = 120.0  # for the servers to load the generation


@app.command()
def demo(
    data: Annotated[str, typer.Option(help="movielens, kuairand or simulator.")] = "movielens",
    data_path: Annotated[Path | None, typer.Option(help="Folder of the data, where the data set has one.")] = None,
    user: Annotated[str, typer.Option(help="User id; default: one with a history.")] = "",
    k: Annotated[int, typer.Option("-k", help="How many videos, 1 to 500.")] = 10,
    json: JsonFlag = False,
) -> None:
    """Servers, events, features, training, publishing, and one user's recommendations."""
    from watchnext.local import homes, supervisor
    from watchnext.recommend import client

    settings = load_settings()
    steps: dict[str, float] = {}
    RecommendRequest(user_id=user or "-", k=k).check()
    with _step("data", steps, json):
        dataset = open_once(settings, data, data_path, user)
    put_aside = homes.take_home(settings, data, data_path)
    if put_aside:
        note(f"the demo of {put_aside} is put aside; `watchnext demo --data {put_aside}` takes it back")
    with homes.held(settings.home, data):
        with _step("servers", steps, json):
            supervisor.up(settings, progress=lambda name, event: note(f"{name}: {event}"))
        with _step("events", steps, json):
            if dataset is not None:
                replay_once(settings, dataset)
        with _step("features", steps, json):
            catch_up(settings)
        with _step("training", steps, json):
            metrics = train_once(settings)
        with _step("serving", steps, json):
            request = RecommendRequest(user_id=user or _someone(settings, data, dataset), k=k)
            by_graph = _when_live(settings, request)
            by_grpc = client.ask_grpc(settings, request)
    if json:
        print_json(
            {
                "data": data,
                "seconds": steps,
                "metrics": metrics,
                "rest": as_json(by_graph),
                "grpc": as_json(by_grpc),
            }
        )
        return
    _show(settings, metrics, by_graph, by_grpc)


@contextmanager
def _step(name: str, steps: dict[str, float], quiet: bool) -> Iterator[None]:
    began = time.monotonic()
    yield
    steps[name] = round(time.monotonic() - began, 1)
    if not quiet:
        say(f"{steps[name]:6.1f} s  {name}")


def open_once(settings: Settings, data: str, path: Path | None, user: str) -> "Dataset | None":
    """The data set; none where an earlier demo sent all of it and knows whom to show.

    It is read before the home changes hands: what is wrong with it must stop no server.

    Raises:
        UsageError: there is no such data set, or the demo of it has the files of another folder.
        DataError, PrerequisiteError: it cannot be read or fetched.
    """
    from watchnext.data import check_name, open_dataset
    from watchnext.data.replay import recorded_shift
    from watchnext.local import homes

    check_name(data)
    place = homes.place_of(settings.home.absolute(), data)
    mark = homes.mark_of(place) or homes.Mark(data)
    shift = recorded_shift(place, data)
    if shift is not None and path is not None and str(path.absolute()) != mark.path:
        raise UsageError(
            f"{path} came, and {place} holds the {data} of {mark.path or 'no named folder'}: leave the path out to "
            "see that, or set WATCHNEXT_HOME to another folder"
        )
    if shift is not None and shift.covers("") and (user or mark.user):
        return None
    note(f"reading {data}")
    named = path or (Path(mark.path) if mark.path else None)
    return open_dataset(data, named, settings.model_copy(update={"home": place}), clock=SystemClock())


def _someone(settings: Settings, data: str, dataset: "Dataset | None") -> str:
    """Whom an earlier demo showed; else the user whose number of watches is nearest to WANTED_WATCHES, who is noted."""
    from watchnext.local import homes
    from watchnext.store.rows import FeatureStoreRows

    mark = homes.mark_of(settings.home) or homes.Mark(data)
    if mark.user or dataset is None:  # it is opened where nobody was chosen yet
        return mark.user
    users = [profile.user_id for profile in itertools.islice(dataset.profiles(), LOOKED_AT)]
    rows = FeatureStoreRows.open(settings).read_users(users)
    chosen = min(users, key=lambda user: abs(rows.get(user, {}).get("watches", 0) - WANTED_WATCHES))
    homes.note_user(settings.home, data, chosen)
    return chosen


def _when_live(settings: Settings, request: RecommendRequest) -> RecommendAnswer:
    """The graph's answer through the router, once every step has the live generation.

    Raises:
        ServerError: the answer is degraded, or of another generation, still after LIVE_S seconds.
    """
    from watchnext.errors import GraphError
    from watchnext.generation.store import GenerationStore
    from watchnext.recommend.client import ask_graph

    live = GenerationStore.open(settings).live()
    deadline = time.monotonic() + LIVE_S
    while True:
        try:
            answer = ask_graph(settings, request)
            if not answer.degraded and (answer.generation, answer.overlay) == (live.generation, live.overlay):
                return answer
            found = footer(answer)
        except GraphError as error:
            found = str(error)
        if time.monotonic() > deadline:
            raise ServerError(f"generation {live} is not served after {LIVE_S:.0f} s: {found}; see `watchnext status`")
        time.sleep(0.5)


def side_by_side(metrics: Mapping[str, float]) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Metrics named "contender metric" as tables of contenders that were measured by the same metrics."""
    of: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        contender, _, metric = name.rpartition(" ")
        of.setdefault(contender, {})[metric] = value
    for measures, alike in itertools.groupby(
        sorted(of, key=lambda name: list(of[name])), key=lambda name: list(of[name])
    ):
        contenders = list(alike)
        yield contenders, [[metric, *(f"{of[name][metric]:.4f}" for name in contenders)] for metric in measures]


def _show(settings: Settings, metrics: dict[str, float], by_graph: RecommendAnswer, by_grpc: RecommendAnswer) -> None:
    from watchnext.store.rows import FeatureStoreRows

    titles = titles_of(settings, by_graph)
    row = FeatureStoreRows.open(settings).read_user(by_graph.user_id)
    watches = list(zip(row.get("watch_video_ids", []), row.get("watch_fractions", []), strict=True))[-SHOWN_WATCHES:]
    say("")
    for contenders, rows in side_by_side(metrics):
        print_table(("held out", *contenders), rows)
        say("")
    print_table(
        ("video", "title", "watched"),
        ((video_id, titles.get(video_id, ""), f"{fraction:.0%}") for video_id, fraction in reversed(watches)),
        title=f"User {by_graph.user_id} watched last",
    )
    say("")
    print_answer(by_graph, titles, title="Through the router (REST)")
    say("")
    print_answer(by_grpc, titles, title="Through the gateway (gRPC)")
    next_step(
        f"`watchnext recommend {by_graph.user_id}`, `watchnext explain {by_graph.user_id}`; `watchnext down` stops"
    )
