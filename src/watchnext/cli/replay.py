"""`watchnext replay NAME`: send a data set to Kafka as if it ended today."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchnext.cli.data import DaysOption, PathOption, UsersOption
from watchnext.cli.output import JsonFlag, next_step, note, print_json, progress, say
from watchnext.clock import Clock, SystemClock
from watchnext.settings import Settings, load_settings

if TYPE_CHECKING:
    from watchnext.data.records import Dataset
    from watchnext.data.replay import Shift

app = typer.Typer()


@app.command()
def replay(
    name: Annotated[str, typer.Argument(help="One of `watchnext data list`.")] = "movielens",
    path: PathOption = None,
    users: UsersOption = 0,
    days: DaysOption = 30,
    limit: Annotated[int, typer.Option(min=0, help="Send at most so many events, the oldest; 0: all.")] = 0,
    speed: Annotated[float, typer.Option(min=0, help="Times real time; 0: as fast as possible.")] = 0.0,
    again: Annotated[
        bool, typer.Option(help="Send it though it was sent before: what is not over a week late counts twice.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Send a data set's catalogue, profiles and events to Kafka, moved by whole days to end today."""
    from watchnext.data import check_name, open_dataset
    from watchnext.data.replay import recorded_shift, replaying

    settings, clock = load_settings(), SystemClock()
    check_name(name)
    with replaying(settings.home, name):
        earlier = None if again else recorded_shift(settings.home, name)
        if earlier is not None and earlier.covers("") and path is None:  # what was sent whole is not read again
            _was_sent(as_json, name, earlier, "")
            return
        note(f"reading {name}")
        dataset = open_dataset(name, path, settings, clock=clock, users=users, days=days)
        if earlier is not None:
            earlier.check_end(dataset)
        if earlier is not None and earlier.covers(dataset.sample):
            _was_sent(as_json, name, earlier, dataset.sample)
            return
        sent, shift = send(settings, dataset, clock, limit=limit, speed=speed, quiet=as_json)
    derived = ", ".join(dataset.derived)
    _report(
        as_json,
        {"dataset": name, "sent": sent, **asdict(shift), "derived": dataset.derived, "dropped": dataset.dropped},
        f"{name}: {sent:,} messages sent, moved by {shift.days:,} days\nderived, not in the data: {derived}",
    )


def send(
    settings: Settings, dataset: "Dataset", clock: Clock, *, limit: int = 0, speed: float = 0.0, quiet: bool = False
) -> tuple[int, "Shift"]:
    """Send `dataset` with a progress bar; returns how many messages were acknowledged, and the shift.

    A replay without a limit that was cut off goes on after the last message that is known to have arrived: at
    most 20,000 messages are sent twice, of which the stream drops what it has just seen. One of other users, days or
    files is not gone on with: all of this one is sent.

    Raises:
        ServerError: the broker is down.
        UsageError: other files of that name were replayed before.
    """
    from watchnext.data.replay import (
        Passed,
        fix_shift,
        paced,
        record_finished,
        record_progress,
        remaining_events,
        replay_events,
    )
    from watchnext.stream.producer import EventProducer
    from watchnext.stream.topics import ensure_topics

    ensure_topics(settings)
    shift = fix_shift(settings.home, dataset, clock).of(dataset.sample)
    passed, records = Passed(), replay_events(dataset, shift, limit=limit)
    if not limit:
        passed, records = remaining_events(dataset, shift)

    def arrived(_: int) -> None:
        if not limit and not shift.finished_at_ms:
            record_progress(settings.home, dataset.name, shift, passed)

    with EventProducer(settings) as producer, progress(quiet=quiet) as bars:
        done, task = passed.count, bars.add_task(f"sending {dataset.name}", total=None)
        sent = producer.send_many(
            paced(records, speed), lambda count: bars.update(task, completed=done + count), arrived
        )
    if limit:
        return sent, shift
    return sent, record_finished(settings.home, dataset.name, shift, passed.count, clock, sample=dataset.sample)


def _was_sent(as_json: bool, name: str, earlier: "Shift", sample: str) -> None:
    what = name if earlier.covers("") else f"{name} ({sample})"
    _report(as_json, {"dataset": name, "sent": 0, **asdict(earlier)}, f"{what} was sent before; --again sends it twice")


def _report(as_json: bool, answer: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(answer)
        return
    say(text)
    next_step("watchnext pipeline run")
