"""The report of a quality bench: Markdown to read in the repository, one HTML page with plots, and the bars."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib import pyplot
from matplotlib.figure import Figure

from benchmarks.quality.figures import MEASURES, Line
from benchmarks.rounds import Verdict
from watchnext.training.report import png

SHOWN: Final = (*MEASURES, "coverage@50", "recall@50 head", "recall@50 torso", "recall@50 tail")


@dataclass(frozen=True)
class Report:
    """One data set's lists, judged."""

    title: str
    command: str
    split: dict[str, Any]  # split.json of the test
    measure: str  # that decides
    lines: Sequence[Line]
    records: dict[str, dict[str, Any]]  # of each contender: what was chosen, packages, seconds
    verdicts: Sequence[Verdict]

    def write(self, folder: Path) -> Path:
        """Write `<data>.md` and `<data>.html`; returns the first."""
        folder.mkdir(parents=True, exist_ok=True)
        text = folder / f"{self.split['data']}.md"
        text.write_text(self.markdown())
        text.with_suffix(".html").write_text(self.html())
        return text

    def markdown(self) -> str:
        """Tables."""
        counts = self.split["counts"]
        return "\n".join(
            [
                f"# {self.title}",
                "",
                f"Made by `{self.command}`. {self.split['rule']}",
                "",
                f"{counts['queries']:,} queries, {counts['interactions']:,} interactions to train on, "
                f"{self.split['videos']:,} videos. SHA-256 of `queries.parquet`: "
                f"`{self.split['files']['queries.parquet']}`.",
                "",
                "Means over seeds; ± is half of what lies between the lowest and the highest seed. The last column is "
                f"our towers minus the contender in {self.measure}, with the 95 % interval of a bootstrap over users.",
                "",
                _markdown(["", "seeds", *SHOWN, "towers − this"], [self._row(line) for line in self.lines]),
                "",
                "## Bars",
                "",
                _markdown(
                    ["what", "value", "must", "outcome"],
                    [[one.name, f"{one.value:.4f}", one.wanted, one.outcome] for one in self.verdicts],
                ),
                "",
                "## What was chosen",
                "",
                "On the validation split alone, by its own figure there.",
                "",
                _markdown(
                    ["", "parameters", "answer", "validation", "seconds a seed", "packages"],
                    [_chosen(name, record) for name, record in sorted(self.records.items())],
                ),
                "",
            ]
        )

    def html(self) -> str:
        """One page with nothing outside it."""
        plots = "".join(
            f'<img alt="{title}" src="data:image/png;base64,{png(figure)}">'
            for title, figure in (
                (self.measure, self._bars()),
                ("Recall by popularity", self._by_popularity()),
            )
        )
        body = html.escape(self.markdown())
        return (
            f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(self.title)}</title></head>"
            f"<body style='font: 15px/1.5 system-ui; max-width: 70rem; margin: 2rem auto'>{plots}"
            f"<pre style='overflow-x: auto'>{body}</pre></body></html>"
        )

    def _row(self, line: Line) -> list[str]:
        shown = [f"{line.values[name]:.4f}" for name in SHOWN]
        if line.seeds > 1:
            at = SHOWN.index(self.measure)
            shown[at] += f" ± {line.spread[self.measure] / 2:.4f}"
        gap = line.difference
        told = "" if gap is None else f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"
        return [line.name, str(line.seeds), *shown, told]

    def _bars(self) -> Figure:
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        names = [line.name for line in self.lines][::-1]
        values = [line.values[self.measure] for line in self.lines][::-1]
        colours = ["tab:blue" if name.startswith("towers") else "lightgrey" for name in names]
        axes.barh(names, values, xerr=[line.spread[self.measure] / 2 for line in self.lines][::-1], color=colours)
        axes.set(title=self.title, xlabel=self.measure)
        return figure

    def _by_popularity(self) -> Figure:
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        buckets = SHOWN[-3:]
        for line in self.lines:
            ours = line.name.startswith("towers")
            axes.plot(
                [name.split()[-1] for name in buckets],
                [line.values[name] for name in buckets],
                marker="o",
                label=line.name,
                linewidth=2.5 if ours else 1,
            )
        axes.set(title="Recall@50 by popularity of the target (equal shares of training watches)", ylabel="recall@50")
        axes.legend(fontsize="small")
        return figure


def _chosen(name: str, record: dict[str, Any]) -> list[str]:
    chosen = record["chosen"]
    packages = ", ".join(f"{package} {version}" for package, version in record["packages"].items())
    seconds = record["seconds"].values()
    return [
        name,
        f"`{json.dumps(chosen['parameters'])}`",
        str(chosen["answer"] + 1),
        f"{chosen['value']:.4f}",
        f"{sum(seconds) / len(seconds):.0f}",
        packages or "this repository",
    ]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
