"""`watchnext graph lint | dry-run`: what KServe's router will do with an InferenceGraph, said or tried."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table, say

app = typer.Typer(help="What KServe's router will do with an InferenceGraph.", no_args_is_help=True)

GraphFile = Annotated[Path, typer.Argument(metavar="FILE", help="InferenceGraphs, or a bare spec; YAML or JSON.")]
SHOWN_CHARACTERS: Final = 200  # of a body, for people


@app.command()
def lint(
    file: GraphFile,
    propagate: Annotated[
        list[str],
        typer.Option(help="A pattern of the headers that the router propagates; again for more.", metavar="PATTERN"),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find what is refused, what breaks and what surprises. Exits 1 on errors."""
    from watchnext.graph.lint import lint_file

    findings = lint_file(file, tuple(propagate))
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        print_json({"file": file, "findings": [asdict(finding) for finding in findings]})
    else:
        for one in findings:
            say(f"{one.severity}: {one.rule} at {one.path}\n  came:   {one.came}")
            say(f"  router: {one.router}\n  mend:   {one.mend}")
        say(f"{file}: {errors} errors, {len(findings) - errors} warnings")
        next_step("mend them, and lint again" if findings else f"`watchnext graph dry-run {file} --stub STEP=FILE`")
    raise typer.Exit(1 if errors or (strict and findings) else 0)


@app.command("dry-run")
def dry_run(
    file: GraphFile,
    stub: Annotated[
        list[str],
        typer.Option(help="What a step answers: STEP=FILE, STEP=FILE:STATUS or STEP=down.", metavar="STEP=FILE"),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    request: Annotated[Path | None, typer.Option(help="The request's body; default {}.", metavar="FILE")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run one request through the real router, with stubs for the steps. Exits 1 unless the answer is a 2xx."""
    from watchnext.errors import UsageError
    from watchnext.graph import document
    from watchnext.graph.dry_run import dry_run as run
    from watchnext.graph.dry_run import read_body, read_stubs

    graphs = document.read(file).graphs
    if len(graphs) != 1:
        names = ", ".join(graph.name or "a bare spec" for graph in graphs)
        raise UsageError(f"{file} holds {len(graphs)} graphs ({names}); wanted one: split the file")
    told = run(graphs[0], read_stubs(stub), b"{}" if request is None else read_body(request))
    answer = told.answer
    if as_json:
        hops = [
            {
                "step": hop.step,
                "received": _text(hop.received),
                "status": hop.reply.status,
                "answered": _text(hop.reply.body),
            }
            for hop in told.hops
        ]
        print_json({"hops": hops, "status": answer.status, "answer": _text(answer.body)})
    else:
        print_table(
            ("step", "received", "status", "answered"),
            [(hop.step, _cut(hop.received), hop.reply.status, _cut(hop.reply.body)) for hop in told.hops],
        )
        say(f"graph: {answer.status or 'no answer'} {_cut(answer.body)}")
        next_step(f"`watchnext graph lint {file}` says why" if told.hops else "another --request, or --stub STEP=down")
    raise typer.Exit(0 if 200 <= answer.status <= 299 else 1)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _cut(body: bytes) -> str:
    text = _text(body).strip()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(body)} bytes)"
