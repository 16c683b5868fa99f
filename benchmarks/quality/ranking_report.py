"""The section of a report that tells of the ranking: figures, differences, calibration, and the bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from benchmarks.quality.impressions import SURFACE, TABLE, Impressions
from benchmarks.quality.page import Section
from benchmarks.quality.ranking_figures import (
    AUC,
    AUC_OF_SURFACE,
    BOOSTING,
    CALIBRATION,
    COMPARED,
    FIGURES,
    LONG_VIEW,
    LOSS,
    NDCG,
    PER_USER_AUC,
    UNWEIGHTED,
    WATCH_TIME,
    XAUC,
    Line,
    Scores,
)
from benchmarks.rounds import Verdict
from watchnext.evaluation.ranking import Reliability, reliability
from watchnext.training.report import markdown_table

BARS: Final = {AUC: 0.76, PER_USER_AUC: 0.64, AUC_OF_SURFACE: 0.702}
CALIBRATION_WITHIN: Final = 0.1


@dataclass(frozen=True)
class RankingReport:
    """One data set's scores, judged."""

    title: str
    split: dict[str, Any]  # split.json of the test
    asked: Impressions
    scores: Mapping[str, Scores]
    lines: Sequence[Line]
    records: dict[str, dict[str, Any]]

    def section(self) -> Section:
        """With two plots."""
        plots = [("Reliability", self._reliability_plot()), ("Calibration by length", self._length_plot())]
        return Section(self.title, self._body(), self.records, verdicts_of(self.lines), plots)

    def _body(self) -> list[str]:
        held_out = len(self.asked.long_view)
        return [
            self.split["rule"],
            "",
            f"{self.split['counts'][TABLE] - held_out:,} impressions to learn from, {held_out:,} to score: "
            f"{self.asked.long_view.mean():.1%} long views, {(self.asked.surface == SURFACE).mean():.1%} on {SURFACE}. "
            f"SHA-256 of `{TABLE}.parquet`: `{self.split['files'][f'{TABLE}.parquet']}`.",
            "",
            "AUC, of all and of one surface, and per-user AUC (users with both, weighted by rows) are of long views; "
            "XAUC, weighted NDCG (a list a user) and the paper's weighted per-user loss (less is better) are of watch "
            "time; calibration is the sum of expected over that of observed seconds. Means over seeds; ± is half of "
            "what lies between the lowest and the highest seed.",
            "",
            *markdown_table(["", "seeds", *FIGURES], [_row(line) for line in self.lines]),
            "",
            f"Ours minus the contender, with the 95 % interval of a bootstrap over users: of the {LONG_VIEW} in "
            f"{AUC} and {PER_USER_AUC}, of the {WATCH_TIME} in the others.",
            "",
            *markdown_table(["", *COMPARED], [_differences(line) for line in self.lines if line.differences]),
            "",
            f"Calibration of {WATCH_TIME} by decile of the video's length (means over seeds):",
            "",
            *markdown_table(
                ["length, s", "impressions", "expected s", "observed s", "expected / observed"], self._deciles()
            ),
        ]

    def _deciles(self) -> list[list[str]]:
        expected, bins = self._by_length()
        return [
            [f"{by:.1f}", f"{rows:,}", f"{mean:.2f}", f"{observed:.2f}", f"{mean / observed:.3f}"]
            for by, rows, mean, observed in zip(bins.by, bins.rows, expected, bins.observed, strict=True)
        ]

    def _by_length(self) -> tuple[np.ndarray, Reliability]:
        """Expected seconds of each bin, the mean over seeds; and the bins, which are the same for all seeds."""
        bins = [reliability(one, self.asked.seconds, self.asked.video_seconds) for one in self.scores[WATCH_TIME]]
        return np.mean([one.expected for one in bins], axis=0), bins[0]

    def _reliability_plot(self) -> Figure:
        figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
        top = 0.0
        for number, expected in enumerate(self.scores[WATCH_TIME], start=1):
            bins = reliability(expected, self.asked.seconds, expected)
            axes.plot(bins.expected, bins.observed, marker="o", label=f"{WATCH_TIME}, seed {number}")
            top = max(top, bins.expected.max(), bins.observed.max())
        axes.plot([0, top], [0, top], linestyle=":", color="grey", label="calibrated")
        axes.set(title="Reliability by decile of the prediction", xlabel="expected seconds", ylabel="observed seconds")
        axes.legend(fontsize="small")
        return figure

    def _length_plot(self) -> Figure:
        figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
        expected, bins = self._by_length()
        axes.plot(bins.by, expected, marker="o", label="expected")
        axes.plot(bins.by, bins.observed, marker="o", label="observed")
        axes.set(title="Watch time by decile of length", xlabel="length, s", ylabel="seconds", xscale="log")
        axes.legend(fontsize="small")
        return figure


def verdicts_of(lines: Sequence[Line]) -> list[Verdict]:
    """Ours against the bars, and the weighted regression against the unweighted and against boosting."""
    by_name = {line.name: line for line in lines}
    bars = [Verdict(f"{LONG_VIEW}, {name}", by_name[LONG_VIEW].mean(name), f">= {bar}") for name, bar in BARS.items()]
    ratios = by_name[WATCH_TIME].values[CALIBRATION]
    furthest = max(ratios, key=lambda ratio: abs(ratio - 1))
    raw = {"ratio of each seed": " ".join(f"{ratio:.3f}" for ratio in ratios)}
    calibrated = Verdict(
        f"{WATCH_TIME}, calibration of the furthest seed: distance from 1",
        abs(furthest - 1),
        f"<= {CALIBRATION_WITHIN}",
        raw,
    )
    gains = [_gain(by_name[name], figure) for name in (UNWEIGHTED, BOOSTING) for figure in (NDCG, LOSS, XAUC)]
    return [*bars, calibrated, *gains]


def _gain(line: Line, figure: str) -> Verdict:
    """How much better ours is: more, or of the loss less."""
    found = line.differences[figure]
    raw = {"95 % from": f"{found.low:+.4f}", "to": f"{found.high:+.4f}"}
    wanted = "<= 0" if figure == LOSS else ">= 0"
    return Verdict(f"{WATCH_TIME} minus {line.name}, {figure}", found.value, wanted, raw)


def _row(line: Line) -> list[str]:
    return [line.name, str(len(line.values[AUC])), *(_figure(line.values.get(name, [])) for name in FIGURES)]


def _figure(of_seeds: Sequence[float]) -> str:
    if not of_seeds:
        return ""
    spread = f" ± {np.ptp(of_seeds) / 2:.4f}" if len(of_seeds) > 1 else ""
    return f"{np.mean(of_seeds):.4f}{spread}"


def _differences(line: Line) -> list[str]:
    found = (line.differences[figure] for figure in COMPARED)
    return [line.name, *(f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})" for gap in found)]
