"""The steps from events to a live generation, each skipped where it was done: `watchnext demo`, `pipeline first`."""

from typing import TYPE_CHECKING

from watchnext.cli.output import progress
from watchnext.clock import SystemClock
from watchnext.settings import Settings

if TYPE_CHECKING:
    from watchnext.data.records import Dataset


def replay_once(settings: Settings, dataset: "Dataset") -> None:
    """Send the data set, unless a replay of all of it was finished; one of another sample does not count.

    Raises:
        UsageError: another process replays it just now, or other files of that name were replayed before.
        ServerError: the broker is down.
    """
    from watchnext.cli.replay import send
    from watchnext.data.replay import recorded_shift, replaying

    with replaying(settings.home, dataset.name):
        shift = recorded_shift(settings.home, dataset.name)
        if shift is None or not shift.covers(dataset.sample):
            send(settings, dataset, SystemClock())


def catch_up(settings: Settings) -> None:
    """Wait until the workers have folded every event that is there now.

    Raises:
        ServerError: they do not go on.
    """
    from watchnext.stream.lag import wait_until_caught_up

    with progress() as bars:
        task = bars.add_task("events to fold", total=None)
        most = 0

        def tell(remaining: int) -> None:
            nonlocal most
            most = max(most, remaining)
            bars.update(task, total=most, completed=most - remaining)

        wait_until_caught_up(settings, progress=tell)


def train_once(settings: Settings) -> dict[str, float]:
    """Train and publish, unless a generation is live; returns its held-out metrics."""
    from rich.console import Console

    from watchnext.cli.pipeline import Pipeline, run_pipeline
    from watchnext.errors import NoGenerationError
    from watchnext.generation.store import GenerationStore

    store = GenerationStore.open(settings)
    try:
        store.live()
    except NoGenerationError:
        run_pipeline(Pipeline.TRAIN, settings, Console(stderr=True))
    return dict(store.manifest(store.live().generation).metrics)
