"""The report of a quality bench: Markdown to read in the repository, and one HTML page with plots; a section a part."""

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.rounds import Verdict
from watchnext.training.report import markdown_table, png


@dataclass(frozen=True)
class Section:
    """One part of the bench, judged."""

    title: str
    body: Sequence[str]  # lines of Markdown
    records: dict[str, dict[str, Any]]  # of each contender: what was chosen, packages, seconds
    verdicts: Sequence[Verdict]
    plots: Sequence[tuple[str, Figure]] = field(default_factory=list)

    def markdown(self) -> list[str]:
        """Its lines."""
        return [
            f"## {self.title}",
            "",
            *self.body,
            "",
            "### Bars",
            "",
            *markdown_table(["what", "value", "must", "outcome", ""], [_bar(one) for one in self.verdicts]),
            "",
            "### What was chosen",
            "",
            "On the validation split alone, by the contender's own figure there.",
            "",
            *markdown_table(
                ["", "parameters", "answer", "chosen by", "validation", "seconds a seed", "packages"],
                [_chosen(name, record) for name, record in sorted(self.records.items())],
            ),
            "",
        ]


def write_page(path: Path, title: str, command: str, sections: Sequence[Section]) -> None:
    """Write `path`, which is Markdown, and the HTML beside it, with nothing outside it."""
    head = [f"# {title}", "", f"Made by `{command}`.", ""]
    text = "\n".join([*head, *(line for section in sections for line in section.markdown())])
    plots = "".join(
        f'<img alt="{html.escape(name)}" src="data:image/png;base64,{png(figure)}">'
        for section in sections
        for name, figure in section.plots
    )
    page = (
        f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title></head>"
        f"<body style='font: 15px/1.5 system-ui; max-width: 70rem; margin: 2rem auto'>{plots}"
        f"<pre style='overflow-x: auto'>{html.escape(text)}</pre></body></html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.with_suffix(".html").write_text(page)


def records_of(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The records of the named contenders in `folder`."""
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in names}


def _bar(verdict: Verdict) -> list[str]:
    raw = ", ".join(f"{name} {value}" for name, value in verdict.raw.items())
    return [verdict.name, f"{verdict.value:.4f}", verdict.wanted, verdict.outcome, raw]


def _chosen(name: str, record: dict[str, Any]) -> list[str]:
    chosen = record["chosen"]
    packages = ", ".join(f"{package} {version}" for package, version in record["packages"].items())
    seconds = record["seconds"].values()
    return [
        name,
        f"`{json.dumps(chosen['parameters'])}`",
        str(chosen["answer"] + 1),
        record["chosen by"].removesuffix(" on the validation data"),
        f"{chosen['value']:.4f}",
        f"{sum(seconds) / len(seconds):.0f}",
        packages or "this repository",
    ]
