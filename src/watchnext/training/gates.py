"""The gates between evaluation and publishing. A run that fails one publishes nothing and says why.

Recall: the towers must find at least as much of what users went on to watch as Popular and item-item cosine do (times
`training.gate_recall_factor`). AUC: the ranker must tell clicked from unclicked held-out impressions; with labels that
say nothing (shuffled, joined to the wrong request) its AUC is near 0.5.
"""

from watchnext.evaluation.result import GATE_METRIC, ITEM_COSINE, POPULAR, RANKER, TOWERS, Evaluation
from watchnext.settings import Settings


def refusal(evaluation: Evaluation, settings: Settings) -> str:
    """Why nothing may be published; empty where every gate passes."""
    reasons = []
    factor = settings.training.gate_recall_factor
    recall = evaluation.retrieval[TOWERS][GATE_METRIC]
    for contender in (ITEM_COSINE, POPULAR):
        wanted = factor * evaluation.retrieval[contender][GATE_METRIC]
        if not recall >= wanted:
            reasons.append(
                f"{GATE_METRIC} of the towers is {recall:.4f}; wanted at least {wanted:.4f} "
                f"({factor:g} times {contender}; training.gate_recall_factor)"
            )
    auc, least = evaluation.ranking[RANKER]["auc"], settings.training.gate_min_auc
    if not auc >= least:
        reasons.append(
            f"held-out AUC of the ranker is {auc:.4f}; wanted at least {least:.4f} (training.gate_min_auc): "
            "near 0.5 the labels say nothing, so look at how watches carry their request_id"
        )
    return "; ".join(reasons)
