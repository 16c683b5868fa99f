"""The ablation card: of each row the base, the difference and its spread over seeds; as JSON, Markdown, and HTML.

A difference is paired: the row's figure minus the base's with the same seed. The spread is from the least to the
greatest of them; a row whose spread crosses zero says nothing.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from watchnext.training.ablation.trial import Trial
from watchnext.training.ablation.variations import LESS_IS_BETTER, METRICS, VARIATIONS, base_of
from watchnext.training.report import STYLE, png

HEAD = ("row", "what is different", "metric", "base", "difference", "from", "to", "seeds")
_EXPLAINED = (
    "Each row is trained anew with one thing different, and measured on the same held-out part. The base is the mean "
    "of the unchanged model; a difference is the row minus the base of the same seed, and its mean stands beside the "
    f"least and the greatest. Less is better of {' and '.join(LESS_IS_BETTER)}."
)


@dataclass(frozen=True)
class Row:
    """One metric of one variation."""

    name: str
    stage: str
    metric: str
    base: float  # mean over the seeds
    differences: list[float]  # of each seed that both have

    @property
    def difference(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.differences))

    @property
    def cells(self) -> list[str]:
        """As `HEAD` names them."""
        spread = (f"{end:+.4f}" for end in (self.difference, min(self.differences), max(self.differences)))
        return [
            self.name,
            VARIATIONS[self.name].says,
            self.metric,
            f"{self.base:.4f}",
            *spread,
            str(len(self.differences)),
        ]


@dataclass(frozen=True)
class AblationCard:
    """All trials of one run."""

    snapshot: str
    counts: dict[str, int]
    trials: Sequence[Trial]

    @classmethod
    def of(cls, snapshot: str, counts: dict[str, int], trials: Sequence[Path]) -> Self:
        """From the files that `Trial.save` wrote."""
        return cls(snapshot, counts, [Trial.load(path) for path in trials])

    def rows(self) -> list[Row]:
        """Those of the variations that are no bases, in their order, where both have run with a seed."""
        found = {(trial.variation, trial.seed): trial.figures for trial in self.trials}
        rows = []
        for variation in VARIATIONS.values():
            base = base_of(variation)
            seeds = [seed for name, seed in found if name == variation.name and (base.name, seed) in found]
            for metric in (variation.metrics or METRICS[variation.stage]) if base is not variation else ():
                pairs = [(found[variation.name, seed], found[base.name, seed]) for seed in sorted(seeds)]
                values = [(one[metric], other[metric]) for one, other in pairs if metric in one and metric in other]
                if values:
                    mean = float(np.mean([other for _, other in values]))
                    differences = [one - other for one, other in values]
                    rows.append(Row(variation.name, variation.stage, metric, mean, differences))
        return rows

    def json(self) -> str:
        """Rows and trials."""
        rows = [{**asdict(row), "difference": row.difference} for row in self.rows()]
        return json.dumps(
            {"snapshot": self.snapshot, "rows": rows, "trials": [asdict(trial) for trial in self.trials]}, indent=1
        )

    def markdown(self) -> str:
        """Tables."""
        lines = ["# Ablation card", "", f"Snapshot `{self.snapshot}`: {self._counted()}. {_EXPLAINED}"]
        for stage, rows in self._stages().items():
            lines += ["", f"## {stage.capitalize()}", "", f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
            lines += [f"| {' | '.join(row.cells)} |" for row in rows]
        return "\n".join([*lines, ""])

    def html(self) -> str:
        """One page with nothing outside it."""
        parts = []
        for stage, rows in self._stages().items():
            head = "".join(f"<th>{name}</th>" for name in HEAD)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row.cells) + "</tr>" for row in rows
            )
            parts.append(f"<h2>{stage.capitalize()}</h2><table><tr>{head}</tr>{body}</table>")
            parts.append(_image(f"Differences of the {stage}", _differences(rows)))
        freshness = self._freshness()
        if freshness is not None:
            parts.append("<h2>Example age</h2>" + _image("Popularity by days since upload", freshness))
        return (
            f"<!doctype html><html><head><meta charset='utf-8'><title>watchnext ablation card</title>"
            f"<style>{STYLE}</style></head><body><h1>Ablation card</h1>"
            f"<p>Snapshot {html.escape(self.snapshot)}: {html.escape(self._counted())}. {html.escape(_EXPLAINED)}</p>"
            f"{''.join(parts)}</body></html>"
        )

    def _counted(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in self.counts.items())

    def _stages(self) -> dict[str, list[Row]]:
        rows = self.rows()
        stages = {row.stage: [other for other in rows if other.stage == row.stage] for row in rows}
        return stages

    def _freshness(self) -> Figure | None:
        """Popularity against age: observed, of the base, and without the example age; means over the seeds."""
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        shown = False
        for name, label in (("towers", "with example age"), ("no-example-age", "without")):
            curves = [trial.curve for trial in self.trials if trial.variation == name and trial.curve is not None]
            if not curves:
                continue
            if not shown:
                axes.plot(curves[0].days, curves[0].observed, color="black", linewidth=2.5, label="observed")
            shown = True
            axes.plot(curves[0].days, np.mean([curve.predicted for curve in curves], axis=0), marker="o", label=label)
        axes.set(title="Popularity of a new video", xlabel="days since upload", ylabel="share of the next watches")
        if not shown:
            pyplot.close(figure)
            return None
        axes.legend()
        return figure


def _differences(rows: Sequence[Row]) -> Figure:
    """A panel a metric: the mean difference of each row, with its spread."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    height = 1 + 0.3 * max(sum(row.metric == metric for row in rows) for metric in metrics)
    figure, panels = pyplot.subplots(
        1, len(metrics), figsize=(5 * len(metrics), height), layout="constrained", squeeze=False
    )
    for axes, metric in zip(panels[0], metrics, strict=True):
        of_metric = [row for row in rows if row.metric == metric][::-1]
        middle = [row.difference for row in of_metric]
        spread = [
            [row.difference - min(row.differences) for row in of_metric],
            [max(row.differences) - row.difference for row in of_metric],
        ]
        axes.errorbar(middle, [row.name for row in of_metric], xerr=spread, fmt="o", capsize=3)
        axes.axvline(0, color="grey", linewidth=1)
        axes.set(title=metric + ", less is better" * (metric in LESS_IS_BETTER), xlabel="row − base")
    return figure


def _image(title: str, figure: Figure) -> str:
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{png(figure)}">'
