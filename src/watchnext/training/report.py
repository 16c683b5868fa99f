"""The report that the pipeline shows: an HTML page with tables and plots embedded, and a model card in Markdown.

Both name the snapshot, the time of the split, every figure beside its baselines, and why a gate refused, where one did.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.figure import Figure

from watchnext.evaluation.result import DEPTHS, RANKER, TOWERS, Evaluation

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd }
td { text-align: right; font-variant-numeric: tabular-nums } th:first-child, td:first-child { text-align: left }
.refused { background: #fdecea; padding: .75rem } img { max-width: 100% }
"""


def report_html(evaluation: Evaluation, refusal: str) -> str:
    """One HTML page with nothing outside it.

    Args:
        evaluation: what was measured.
        refusal: why a gate refused; empty where all pass.
    """
    gate = f'<p class="refused">Not published: {html.escape(refusal)}</p>' if refusal else "<p>All gates passed.</p>"
    plots = "".join(
        f'<img alt="{html.escape(title)}" src="data:image/png;base64,{png(figure)}">'
        for title, figure in _figures(evaluation)
    )
    return (
        f"<!doctype html><html><head><meta charset='utf-8'><title>watchnext training report</title>"
        f"<style>{STYLE}</style></head><body><h1>Training report</h1>{gate}"
        f"<p>Snapshot {html.escape(evaluation.snapshot)}; labels from {_day(evaluation.split_ms)} to "
        f"{_day(evaluation.end_ms)} are held out.</p>"
        f"<h2>Retrieval</h2>{_table(evaluation.retrieval)}<h2>Ranking</h2>{_table(evaluation.ranking)}"
        f"<h2>Cold start</h2>{_table(evaluation.cold_start)}"
        f"<h2>Counts</h2>{_table({name: {'count': float(value)} for name, value in evaluation.counts.items()})}"
        f"<h2>Plots</h2>{plots}</body></html>"
    )


def model_card(evaluation: Evaluation, refusal: str) -> str:
    """The model card in Markdown."""
    return "\n".join(
        [
            "# Model card: watchnext two-stage recommender",
            "",
            "Two towers for candidates and a weighted logistic ranker (Covington et al., RecSys 2016).",
            "",
            f"- Data: snapshot `{evaluation.snapshot}`, events up to {_day(evaluation.end_ms)}.",
            f"- Holdout: labels from {_day(evaluation.split_ms)} on. The models are fitted on the labels before it, "
            "and these very models are published; nothing is refitted on the holdout.",
            "- Retrieval: the user's next completed watches, from features as of 1 ms before the label.",
            "- Ranking: expected watched seconds of an impression, e^logit.",
            f"- Gates: {'refused: ' + refusal if refusal else 'passed'}.",
            "",
            "## Retrieval on the holdout",
            "",
            *_markdown(evaluation.retrieval),
            "",
            "## Ranking on the holdout",
            "",
            *_markdown(evaluation.ranking),
            "",
            "## Cold start",
            "",
            "New videos: nobody met them in training; their content part alone is their vector. Users with so many "
            "watches: the same questions without all older ones, and without searches and impressions.",
            "",
            *_markdown(evaluation.cold_start),
            "",
            "## Counts",
            "",
            *(f"- {name}: {value:,}" for name, value in evaluation.counts.items()),
            "",
            "## Limits",
            "",
            "- Offline figures follow what was shown: a video that no list showed cannot be found right.",
            "- Figures of derived or simulated data say whether the parts fit together, not how good a product is.",
            "",
        ]
    )


def _table(groups: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for metrics in groups.values() for name in metrics))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><td>{html.escape(contender)}</td>"
        + "".join(f"<td>{_figure(metrics.get(name))}</td>" for name in names)
        + "</tr>"
        for contender, metrics in groups.items()
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _markdown(groups: dict[str, dict[str, float]]) -> list[str]:
    names = list(dict.fromkeys(name for metrics in groups.values() for name in metrics))
    rows = [[contender, *(_figure(metrics.get(name)) for name in names)] for contender, metrics in groups.items()]
    return markdown_table(["", *names], rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Its lines."""
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _figures(evaluation: Evaluation) -> list[tuple[str, Figure]]:
    figures = [("Recall by depth", _recall_plot(evaluation))]
    for name, title, label in (
        ("calibration", "Calibration of the ranker", "observed seconds"),
        ("towers loss", "Loss of the towers", "loss"),
        ("ranker loss", "Loss of the ranker", "loss"),
    ):
        if name in evaluation.curves:
            figures.append((title, _curve_plot(evaluation.curves[name], title, label, diagonal=name == "calibration")))
    return figures


def _recall_plot(evaluation: Evaluation) -> Figure:
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    for contender, metrics in evaluation.retrieval.items():
        values = [metrics[f"recall@{depth}"] for depth in DEPTHS]
        axes.plot(DEPTHS, values, marker="o", label=contender, linewidth=2.5 if contender == TOWERS else 1.5)
    axes.set(title="Recall by depth", xlabel="candidates", ylabel="recall", xscale="log")
    axes.legend()
    return figure


def _curve_plot(columns: list[list[float]], title: str, label: str, *, diagonal: bool) -> Figure:
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    x, y = columns
    axes.plot(x, y, marker="o" if diagonal else "", label=RANKER if diagonal else None)
    if diagonal:
        end = max(x, default=0)  # nothing where no impression is held out, which the gate says
        axes.plot([0, end], [0, end], linestyle=":", label="calibrated")
        axes.legend()
    axes.set(title=title, xlabel="expected seconds" if diagonal else "step", ylabel=label)
    return figure


def png(figure: Figure) -> str:
    """A figure as base64 for a page, closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    pyplot.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == value // 1 and abs(value) > 1 else f"{value:.4f}"


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
