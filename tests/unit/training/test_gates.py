import math

import pytest

from watchnext.evaluation.result import Evaluation
from watchnext.settings import Settings
from watchnext.training.gates import refusal


def evaluation(*, towers=0.3, popular=0.1, cosine=0.25, auc=0.7) -> Evaluation:
    return Evaluation(
        snapshot="s",
        split_ms=1,
        end_ms=2,
        counts={},
        retrieval={
            "towers": {"recall@50": towers},
            "popular": {"recall@50": popular},
            "item cosine": {"recall@50": cosine},
        },
        ranking={"ranker": {"auc": auc}},
        curves={},
    )


SETTINGS = Settings(training={"gate_recall_factor": 1.0, "gate_min_auc": 0.55})


def test_a_good_model_passes():
    assert refusal(evaluation(), SETTINGS) == ""


def test_recall_below_item_cosine_is_refused_with_numbers():
    assert refusal(evaluation(towers=0.2), SETTINGS).startswith(
        "recall@50 of the towers is 0.2000; wanted at least 0.2500 (1 times item cosine"
    )


def test_the_factor_moves_the_gate():
    assert not refusal(evaluation(towers=0.2), Settings(training={"gate_recall_factor": 0.8}))


@pytest.mark.parametrize("auc", [0.5, math.nan])
def test_labels_that_say_nothing_are_refused(auc):
    assert f"AUC of the ranker is {auc:.4f}" in refusal(evaluation(auc=auc), SETTINGS)


def test_both_reasons_are_named():
    assert refusal(evaluation(towers=0.0, auc=0.5), SETTINGS).count("wanted at least") == 3
