"""`watchnext generation list | show | publish | rollback`: what was built, what is live, and moving the pointer."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from watchnext.cli.output import JsonFlag, next_step, note, print_json, print_table, say
from watchnext.errors import NoGenerationError, UsageError
from watchnext.settings import load_settings

if TYPE_CHECKING:
    from watchnext.generation.manifest import Pointer
    from watchnext.generation.store import GenerationStore

app = typer.Typer(help="List, show, publish and roll back generations.")

GenerationId = Annotated[str, typer.Argument(metavar="[ID]", help="A generation; default: see the command.")]
Overlay = Annotated[int, typer.Option(min=0, help="Overlay of the generation; 0 for none.")]
ShownOverlay = Annotated[
    int | None,
    typer.Option(min=0, help="Overlay of the generation, 0 for none; default: with an ID 0, else the live one."),
]


@app.callback(invoke_without_command=True)
def default(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Without a sub-command: list."""
    if context.invoked_subcommand is None:
        list_generations(as_json)
    elif as_json:  # or it would be dropped without a word, and a program read a table
        verb = context.invoked_subcommand
        raise UsageError(f"--json came before {verb}; wanted it behind: `watchnext generation {verb} --json`")


@app.command("list")
def list_generations(as_json: JsonFlag = False) -> None:
    """All generations, newest first, and which is live."""
    store = _store()
    pointer = store.pointer()
    manifests = store.list()
    rows = [
        {
            "generation": manifest.generation,
            "state": _state(manifest.generation, pointer),
            "overlays": list(store.overlays(manifest.generation)),
            "videos": manifest.videos,
            "dim": manifest.dim,
            "snapshot": manifest.snapshot,
            "created_at": manifest.created_at,
        }
        for manifest in manifests
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"no generation in {store.files.url}")
        next_step("watchnext pipeline run")
        return
    print_table(
        ["generation", "state", "overlays", "videos", "dim", "snapshot", "created"],
        [
            [*(_cell(value) for name, value in row.items() if name != "created_at"), _time(manifest.created_at)]
            for row, manifest in zip(rows, manifests, strict=True)
        ],
    )
    next_step("watchnext generation show ID")


@app.command()
def show(generation: GenerationId = "", overlay: ShownOverlay = None, as_json: JsonFlag = False) -> None:
    """The manifest of a generation; default: of the live one."""
    store = _store()
    pointer = store.pointer()
    if not generation:
        live = store.live()
        generation, overlay = live.generation, live.overlay if overlay is None else overlay
    manifest = store.manifest(generation, overlay or 0)
    state = _state(generation, pointer)
    if as_json:
        print_json({**msgspec.to_builtins(manifest), "state": state, "pointer": msgspec.to_builtins(pointer)})
        return
    facts = [
        ("generation", manifest.target),
        ("state", state or "not published"),
        ("content hash", manifest.hash),
        ("collection", manifest.collection),
        ("videos", f"{manifest.videos} × {manifest.dim}"),
        ("feature spec", manifest.spec_hash),
        ("snapshot", manifest.snapshot),
        ("counters as of", _time(manifest.counters_at)),
        ("created", _time(manifest.created_at)),
        *((f"metric {name}", f"{value:.4f}") for name, value in sorted(manifest.metrics.items())),
        *((f"file {name}", f"{entry.size} bytes, {entry.sha256[:12]}…") for name, entry in manifest.files.items()),
    ]
    print_table(["", ""], facts)
    next_step(f"watchnext generation publish {generation}" if not state else "watchnext recommend USER")


@app.command()
def publish(generation: GenerationId = "", overlay: Overlay = 0, as_json: JsonFlag = False) -> None:
    """Verify a generation, let every replica load it, and make it live; default: the newest."""
    from watchnext.generation.publish import publish as go_live

    settings = load_settings()
    store = _store()
    if not generation:
        newest = next(iter(store.list()), None)
        if newest is None:
            raise NoGenerationError(f"no generation in {store.files.url}: train one with `watchnext pipeline run`")
        generation = newest.generation
    pointer = go_live(store, generation, overlay, settings, say=note)
    _moved(pointer, as_json)


@app.command()
def rollback(as_json: JsonFlag = False) -> None:
    """Make the generation live that was live before."""
    from watchnext.generation.publish import rollback as go_back

    _moved(go_back(_store()), as_json)


def _moved(pointer: "Pointer", as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(pointer))
        return
    say(f"live: {pointer.live}  previous: {pointer.previous or 'none'}")
    next_step("watchnext recommend USER" + ("; back with `watchnext generation rollback`" if pointer.previous else ""))


def _store() -> "GenerationStore":
    from watchnext.generation.store import GenerationStore

    return GenerationStore.open(load_settings())


def _state(generation: str, pointer: "Pointer") -> str:
    """Such as `live (overlay 2)`; empty where the pointer does not name the generation."""
    named = {"live": pointer.live, "previous": pointer.previous, "staged": pointer.staged}
    return ", ".join(
        name + (f" (overlay {target.overlay})" if target.overlay else "")
        for name, target in named.items()
        if target is not None and target.generation == generation
    )


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%SZ}"
