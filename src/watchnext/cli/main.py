"""`watchnext`: one verb a file.

A verb is a module of this package with `app = typer.Typer()`: one command in it is the verb itself, more are its
sub-commands. It is imported when it is asked for, so that `watchnext status` does not wait for torch; a verb imports
what is heavy inside its functions, since `watchnext --help` imports them all. To add one, write the module and put it
into `VERBS`.

Every verb has `--json`, ends with the next step, and exits 0 (done), 1 (failed) or 2 (misused). It raises
`WatchnextError` and does not catch it: `main` prints it as one line, and so what the machine refuses of a file.
"""

import io
import logging
import os
import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from watchnext.errors import ConfigError, WatchnextError
from watchnext.setting_keys import check_key, keys_of_flag, variable_of
from watchnext.settings import Settings

VERBS: Final = (
    "demo",
    "up",
    "down",
    "status",
    "data",
    "replay",
    "pipeline",
    "generation",
    "recommend",
    "explain",
    "check",
    "graph",
    "bench",
    "doctor",
    "config",
)
WITHOUT_LOGS: Final = ("down", "status", "graph", "doctor", "config")  # they call nothing that logs


class LazyVerbs(TyperGroup):
    """Imports a verb's module when the verb is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in the order of a first day."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's command, or none."""
        if cmd_name not in VERBS:
            return None
        if cmd_name not in WITHOUT_LOGS:
            log_to_standard_error()
        module = import_module(f"watchnext.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyVerbs, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def options(
    config: Annotated[str, typer.Option(help="YAML file of settings (WATCHNEXT_CONFIG).", metavar="FILE")] = "",
    setting: Annotated[
        list[str],
        typer.Option("--set", help="A setting, such as kafka.partitions=8; again for more.", metavar="KEY=VALUE"),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
) -> None:
    """Two-stage video recommendation on Kafka, Feast, Kubeflow Pipelines, Milvus, KServe and TorchServe."""
    if config:
        os.environ["WATCHNEXT_CONFIG"] = config
    for entry in setting:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {entry!r} came; wanted KEY=VALUE, such as kafka.partitions=8")
        check_key(Settings, key.lower(), f"--set {key}")
        replaced = {variable_of(one) for one in keys_of_flag(entry)}
        for name in [name for name in os.environ if name.upper() in replaced]:
            del os.environ[name]  # or the variable of one setting went before the flag of its section
        os.environ[variable_of(key)] = value


def log_to_standard_error() -> None:
    """Logs of what a verb calls, from warnings up; standard output is the verb's own."""
    import structlog  # takes as long as the rest of `watchnext status`

    logging.captureWarnings(True)  # Feast turns deprecation warnings of all libraries on
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # what it is at the time of the entry
    )


def main() -> None:
    """The entry point."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller closed it (`>&-`); of no standard error print makes standard output
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 -- to the end of the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does: no name of a file ends a verb
    try:
        app()
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a home that is a file, a full disk: no fault of ours, of which a traceback tells less
        mend = ": is `home` (WATCHNEXT_HOME) a folder that can be written?" if error.filename else ""
        print(f"error: {error}{mend}", file=sys.stderr)
        sys.exit(WatchnextError.exit_code)


if __name__ == "__main__":
    main()
