import base64
import math
import re
from dataclasses import replace

from watchnext.evaluation.result import Evaluation
from watchnext.training.report import model_card, report_html

METRICS = {"recall@10": 0.1, "recall@50": 0.25, "recall@200": 0.5}
EVALUATION = Evaluation(
    snapshot="abc<",
    split_ms=0,
    end_ms=86_400_000,
    counts={"queries": 1_234},
    retrieval={"towers": METRICS, "popular": METRICS},
    ranking={"ranker": {"auc": 0.7, "calibration": 1.0}, "video mean": {"auc": math.nan}},
    curves={"calibration": [[1.0, 2.0], [1.5, 2.0]], "towers loss": [[0.0, 1.0], [3.0, 2.0]]},
    cold_start={"users with 0 watches": {"questions": 7.0, "towers recall@50": 0.375}},
)


def test_the_page_holds_tables_plots_and_the_refusal():
    page = report_html(EVALUATION, "recall <b>low</b>")
    assert "Not published: recall &lt;b&gt;low&lt;/b&gt;" in page
    assert "abc&lt;" in page
    assert "<td>0.2500</td>" in page
    assert "<td>1,234</td>" in page
    assert "<td>users with 0 watches</td><td>7</td><td>0.3750</td>" in page
    plots = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert len(plots) == 3
    assert all(base64.b64decode(plot).startswith(b"\x89PNG") for plot in plots)
    assert "1970-01-02 00:00 UTC" in page


def test_the_card_has_every_figure_and_says_what_is_published():
    card = model_card(EVALUATION, "")
    assert "| towers | 0.1000 | 0.2500 | 0.5000 |" in card
    assert "| video mean | nan |  |" in card
    assert "| users with 0 watches | 7 | 0.3750 |" in card
    assert "- Gates: passed." in card
    assert "these very models are published" in card


def test_without_a_held_out_impression_the_page_tells_the_refusal():
    empty = replace(EVALUATION, curves={**EVALUATION.curves, "calibration": [[], []]})
    assert "Not published: held-out AUC" in report_html(empty, "held-out AUC of the ranker is nan")
