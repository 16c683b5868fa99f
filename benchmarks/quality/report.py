"""The section of a report that tells of ranked lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib import pyplot
from matplotlib.figure import Figure

from benchmarks.quality.figures import MEASURES, Line
from benchmarks.quality.page import Section
from benchmarks.rounds import Verdict
from watchnext.training.report import markdown_table

SHOWN: Final = (*MEASURES, "coverage@50", "recall@50 head", "recall@50 torso", "recall@50 tail")
OURS: Final = ("towers", "merged")  # how their names begin


@dataclass(frozen=True)
class Report:
    """One data set's lists, judged."""

    title: str
    split: dict[str, Any]  # split.json of the test
    measure: str  # that decides
    lines: Sequence[Line]
    records: dict[str, dict[str, Any]]  # of each contender: what was chosen, packages, seconds
    verdicts: Sequence[Verdict]

    def section(self) -> Section:
        """With two plots."""
        plots = [(self.measure, self._bars()), ("Recall by popularity", self._by_popularity())]
        return Section(self.title, self._body(), self.records, self.verdicts, plots)

    def _body(self) -> list[str]:
        counts = self.split["counts"]
        return [
            self.split["rule"],
            "",
            f"{counts['queries']:,} queries, {counts['interactions']:,} interactions to train on, "
            f"{self.split['videos']:,} videos. SHA-256 of `queries.parquet`: "
            f"`{self.split['files']['queries.parquet']}`.",
            "",
            "Means over seeds; ± is half of what lies between the lowest and the highest seed. The last column is "
            f"our towers minus the contender in {self.measure}, with the 95 % interval of a bootstrap over users.",
            "",
            *markdown_table(["", "seeds", *SHOWN, "towers − this"], [self._row(line) for line in self.lines]),
        ]

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
        colours = ["tab:blue" if name.startswith(OURS) else "lightgrey" for name in names]
        axes.barh(names, values, xerr=[line.spread[self.measure] / 2 for line in self.lines][::-1], color=colours)
        axes.set(title=self.title, xlabel=self.measure)
        return figure

    def _by_popularity(self) -> Figure:
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        buckets = SHOWN[-3:]
        for line in self.lines:
            ours = line.name.startswith(OURS)
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
