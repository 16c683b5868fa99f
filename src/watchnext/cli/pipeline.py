"""`watchnext pipeline run | first | compile`: the pipelines on this machine, and their YAML for a cluster.

The pipelines are adapters, which the package never imports: they run as `python -m pipelines.run` in the environment
of this process, with all their output in a log file.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from watchnext.cli.data import DaysOption, UsersOption
from watchnext.cli.output import JsonFlag, next_step, print_json, print_table, say
from watchnext.clock import SystemClock
from watchnext.errors import GateError, UsageError, WatchnextError
from watchnext.generation.store import GenerationStore
from watchnext.local.guardian import guarded
from watchnext.local.processes import STARTER_MARK
from watchnext.settings import Settings, load_settings

app = typer.Typer(help="Train and publish a generation, refresh the index, or compile the pipelines.")

BROKER_S: Final = 180.0
UTF_8: Final = {"PYTHONIOENCODING": "utf-8"}  # what pipelines print, to KFP too, which reads its steps as UTF-8

_TASK = re.compile(r"Executing task '([a-z-]+)'")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REASON = re.compile(r"^\s*watchnext\.errors\.(\w+): (.*)")


class Pipeline(StrEnum):
    """The pipelines that there are."""

    TRAIN = "train"
    REFRESH_INDEX = "refresh_index"
    ABLATION = "ablation"


@app.command()
def run(
    pipeline: Annotated[Pipeline, typer.Argument(help="train, refresh_index, or ablation")] = Pipeline.TRAIN,
    rows: Annotated[str, typer.Option(help="Of the ablation, divided by commas; default: all.")] = "",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Of the ablation: how often each row is trained; default: 3.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a pipeline on this machine, to its end."""
    settings = load_settings()
    options = _ablation_options(pipeline, rows, seeds)
    began = time.monotonic()
    run_pipeline(pipeline, settings, Console(stderr=True), *options)
    if pipeline is Pipeline.ABLATION:
        _tell_ablation(settings.home, as_json)
        return
    store = GenerationStore.open(settings)
    live = store.live()
    seconds = round(time.monotonic() - began, 1)
    metrics = store.manifest(live.generation).metrics
    if as_json:
        print_json({"pipeline": pipeline.value, "seconds": seconds, "live": str(live), "metrics": metrics})
        return
    say(f"{pipeline.value}: generation {live.generation} overlay {live.overlay} is live ({seconds} s)")
    print_table(("metric", ""), ((name, f"{value:.4f}") for name, value in metrics.items()))
    next_step("watchnext recommend USER")


@app.command()
def first(
    data: Annotated[
        str, typer.Option(help="Data set that is sent to Kafka before; default: train on what is there.")
    ] = "",
    users: UsersOption = 0,
    days: DaysOption = 30,
    as_json: JsonFlag = False,
) -> None:
    """Make the first generation: nothing where one is live, so that it can be asked for at every start."""
    from watchnext.cli.steps import catch_up, replay_once, train_once
    from watchnext.data import check_name, open_dataset
    from watchnext.stream.topics import ensure_topics

    settings = load_settings()
    if data:
        check_name(data)  # now, and not after three minutes without a broker
    store = GenerationStore.open(settings)
    live = store.pointer().live
    metrics: dict[str, float] = {}
    if live is None:
        ensure_topics(settings, timeout_s=BROKER_S)  # the broker may be starting just as this is
        if data:
            replay_once(settings, open_dataset(data, None, settings, clock=SystemClock(), users=users, days=days))
        catch_up(settings)
        metrics = train_once(settings)
    if as_json:
        print_json({"live": str(store.live()), "trained": live is None, "metrics": metrics})
        return
    say(f"generation {store.live()} is live" + ("" if live is None else " already: nothing was trained"))
    next_step("watchnext recommend USER")


@app.command("compile")
def compile_pipelines(
    to: Annotated[Path | None, typer.Option(help="Folder; default: pipelines/compiled of this checkout.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compile the pipelines to YAML, for the Kubeflow UI or `kfp run create`."""
    folder = ["--to", str(to)] if to else []
    command = [sys.executable, "-m", "pipelines.compile", *folder]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env={**os.environ, **UTF_8}, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode} without a word"]
        raise WatchnextError(f"pipelines.compile failed: {said[-1]}")
    files = done.stdout.splitlines()
    if as_json:
        print_json({"compiled": files})
        return
    for file in files:
        say(file)
    next_step(f"kfp run create -e EXPERIMENT -f {files[0]}, or upload it in the Kubeflow UI")


def _ablation_options(pipeline: Pipeline, rows: str, seeds: int | None) -> list[str]:
    """What was asked of the ablation, refused now and not once the log was frozen.

    Raises:
        UsageError: the pipeline is another, or there is no such row.
    """
    given = {"--rows": rows, "--seeds": str(seeds or "")}
    options = [word for name, value in given.items() if value for word in (name, value)]
    if options and pipeline is not Pipeline.ABLATION:
        raise UsageError(
            f"{' '.join(options)} came with {pipeline.value}; rows and seeds are the ablation's: leave them out, or "
            "run `watchnext pipeline run ablation`"
        )
    if rows:
        from watchnext.training.ablation.variations import chosen  # torch: two seconds that other runs do without

        chosen(rows)
    return options


def _tell_ablation(home: Path, as_json: bool) -> None:
    """The card of the run that ended last."""
    runs = (home.absolute() / "pipelines").glob("watchnext-ablation-*/card")
    card = max(runs, key=lambda folder: folder.stat().st_mtime)
    found: dict[str, Any] = json.loads((card / "figures").read_text())
    if as_json:
        print_json({"pipeline": Pipeline.ABLATION.value, "card": str(card / "report"), "rows": found["rows"]})
        return
    print_table(
        ("row", "metric", "base", "difference", "from", "to"),
        (
            (row["name"], row["metric"], f"{row['base']:.4f}", *(f"{value:+.4f}" for value in _spread(row)))
            for row in found["rows"]
        ),
    )
    next_step(f"open {card / 'report'}, the card as a page; {card / 'text'} is its Markdown")


def _spread(row: dict[str, Any]) -> tuple[float, float, float]:
    return row["difference"], min(row["differences"]), max(row["differences"])


def run_pipeline(pipeline: Pipeline, settings: Settings, console: Console, *options: str) -> None:
    """Run `pipeline` in processes of its own, its tasks shown on `console`; they end with this one, however it ends.

    Raises:
        GateError: a gate refused to publish; the message is its reason.
        WatchnextError: a task failed; the message is its reason and names the log.
    """
    logs = settings.home.absolute() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"pipeline-{pipeline.value}.log"
    command = [sys.executable, "-u", "-m", "pipelines.run", pipeline.value, *options]
    kind, reason = "", ""
    with (
        guarded() as starter,
        log.open("w", encoding="utf-8") as sink,
        console.status(f"{pipeline.value}: starting") as status,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",  # one byte that is no text, of whatever library, must not end a training of hours
            env={**os.environ, **UTF_8, "WATCHNEXT_HOME": str(settings.home.absolute()), STARTER_MARK: starter},
        ) as process,
    ):
        for line in _lines(process):
            sink.write(line + "\n")
            if task := _TASK.search(line):
                status.update(f"{pipeline.value}: {task[1]}")
            if error := _REASON.match(line):
                kind, reason = error[1], error[2]
    if process.returncode == 0:
        return
    if kind == GateError.__name__:
        raise GateError(reason)
    raise WatchnextError(f"pipeline {pipeline.value} failed: {reason or 'see its output'} (log: {log})")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Output of a process, without colours."""
    assert process.stdout is not None
    for line in process.stdout:
        yield _COLOUR.sub("", line.rstrip("\n"))
