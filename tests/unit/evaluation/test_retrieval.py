import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from watchnext.evaluation.retrieval import hit_rate_at, hits_of, map_at, ndcg_at, recall_at, retrieval_metrics

RANKED = np.array([[3, 1, 2, 0], [5, 4, 6, 7]])
TARGETS = [{1, 9}, {5, 6, 7}]


def test_values_by_hand():
    assert recall_at(RANKED, TARGETS, 2) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert hit_rate_at(RANKED, TARGETS, 1) == pytest.approx(0.5)
    first = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    second = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert ndcg_at(RANKED, TARGETS, 3) == pytest.approx((first + second) / 2)
    assert map_at(RANKED, TARGETS, 3) == pytest.approx(((1 / 2) / 2 + (1 + 2 / 3) / 3) / 2)


def test_ndcg_equals_scikit_learn():
    generator = np.random.default_rng(0)
    scores = generator.random((20, 30))
    relevant = generator.random((20, 30)) < 0.2
    relevant[:, 0] = True
    ranked = np.argsort(-scores, 1) + 1
    targets = [set(np.flatnonzero(row) + 1) for row in relevant]
    assert ndcg_at(ranked, targets, 10) == pytest.approx(ndcg_score(relevant, scores, k=10))


def test_empty_places_are_no_hits():
    assert not hits_of(np.array([[0, 0]]), [{0, 1}]).any()


def test_names_and_errors():
    assert set(retrieval_metrics(RANKED, TARGETS, [2])) == {"recall@2", "hit_rate@2", "ndcg@2", "map@2"}
    with pytest.raises(ValueError, match="2 ranked lists came with 1"):
        hits_of(RANKED, TARGETS[:1])
    with pytest.raises(ValueError, match="without a target"):
        hits_of(RANKED, [{1}, set()])
