import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from watchnext.evaluation.retrieval import (
    BUCKETS,
    coverage_at,
    hits_of,
    popularity_buckets,
    recall_by_popularity,
    retrieval_metrics,
    retrieval_values,
)

RANKED = np.array([[3, 1, 2, 0], [5, 4, 6, 7]])
TARGETS = [{1, 9}, {5, 6, 7}]

queries = st.lists(
    st.tuples(st.permutations(range(1, 9)), st.sets(st.integers(1, 10), min_size=1)), min_size=1, max_size=5
)


def test_values_by_hand():
    hits = hits_of(RANKED, TARGETS)
    assert hits.recall(2) == pytest.approx([1 / 2, 1 / 3])
    assert hits.hit_rate(1).tolist() == [0, 1]
    first = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    second = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert hits.ndcg(3) == pytest.approx([first, second])
    assert hits.average_precision(3) == pytest.approx([(1 / 2) / 2, (1 + 2 / 3) / 3])


def test_equals_scikit_learn():
    generator = np.random.default_rng(0)
    scores = generator.random((20, 30))
    relevant = generator.random((20, 30)) < 0.2
    relevant[:, 0] = True
    ranked = np.argsort(-scores, 1) + 1
    targets = [np.flatnonzero(row) + 1 for row in relevant]
    metrics = retrieval_metrics(ranked, targets, [10, 30])
    assert metrics["ndcg@10"] == pytest.approx(ndcg_score(relevant, scores, k=10))
    assert metrics["map@30"] == pytest.approx(label_ranking_average_precision_score(relevant, scores))


@given(queries)
def test_a_hit_is_a_listed_target(cases):
    ranked = np.array([[*rows, 0] for rows, _ in cases])
    targets = [wanted for _, wanted in cases]
    hits = hits_of(ranked, targets)
    assert hits.found.tolist() == [[row in wanted for row in rows] + [False] for rows, wanted in cases]
    assert hits.sizes.tolist() == [len(wanted) for wanted in targets]
    arrays = [np.array([*wanted, *wanted], np.int32) for wanted in targets]
    assert hits_of(ranked.astype(np.int32), arrays).found.tolist() == hits.found.tolist()
    assert hits_of(ranked, arrays).sizes.tolist() == hits.sizes.tolist()


@given(queries)
def test_values_lie_in_0_to_1_and_recall_grows_with_depth(cases):
    ranked, targets = np.array([rows for rows, _ in cases]), [wanted for _, wanted in cases]
    values = retrieval_values(ranked, targets, range(1, 12))
    assert all(((value >= 0) & (value <= 1 + 1e-12)).all() for value in values.values())
    assert all((values[f"recall@{k}"] <= values[f"recall@{k + 1}"]).all() for k in range(1, 11))


def test_empty_places_are_no_hits():
    assert not hits_of(np.array([[0, 0]]), [{0, 1}]).found.any()


def test_lists_shorter_than_the_depth_are_measured_as_if_empty_places_followed():
    longer = np.pad(RANKED, ((0, 0), (0, 6)))
    assert retrieval_metrics(RANKED, TARGETS, [10]) == retrieval_metrics(longer, TARGETS, [10])


def test_names_and_errors():
    assert set(retrieval_metrics(RANKED, TARGETS, [2])) == {"recall@2", "hit_rate@2", "ndcg@2", "map@2"}
    with pytest.raises(ValueError, match="2 ranked lists came with 1"):
        hits_of(RANKED, TARGETS[:1])
    with pytest.raises(ValueError, match="without a target"):
        hits_of(RANKED, [{1}, set()])
    with pytest.raises(ValueError, match="list 1 has a video twice"):
        hits_of(np.array([[1, 2, 0, 0], [2, 1, 2, 0]]), TARGETS)
    with pytest.raises(ValueError, match="list 0 has a video twice or a negative row"):
        hits_of(np.array([[1, -1, 0, 0], [2, 1, 0, 0]]), TARGETS)


def test_coverage_counts_the_videos_of_all_lists():
    assert coverage_at(RANKED, 2, videos=8) == 4 / 8
    assert coverage_at(RANKED, 4, videos=8) == 7 / 8


def test_buckets_are_thirds_of_the_training_watches():
    # of 12 watches: rows 3 and 1 hold the first 4 (a tie with row 4 goes by row), rows 4 and 5 begin in the second 4,
    # row 6 begins at the 9th; row 2 was never watched; row 0 is unknown
    assert popularity_buckets(np.array([0, 2, 0, 3, 2, 2, 2, 1.0])).tolist() == [2, 0, 2, 0, 1, 1, 2, 2]
    assert popularity_buckets(np.zeros(3)).tolist() == [2, 2, 2]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_each_bucket_holds_a_third_of_the_watches_give_or_take_a_video(counts):
    watches = np.array([0, *counts])
    buckets = popularity_buckets(watches)
    assert all(watches[buckets == at].min(initial=20) >= watches[buckets == at + 1].max(initial=0) for at in (0, 1))
    ends = np.cumsum([watches[buckets == at].sum() for at in range(3)])
    assert ends[-1] == watches.sum()
    assert all(0 <= 3 * ends[at] - (at + 1) * ends[-1] <= 3 * max(counts) for at in (0, 1))


def test_recall_by_popularity_by_hand():
    buckets = np.array([2, 0, 1, 0, 2, 2, 2, 2, 2, 2], np.int8)
    found = recall_by_popularity(RANKED, TARGETS, buckets, 2)
    assert found["head"].tolist() == [1, pytest.approx(math.nan, nan_ok=True)]
    assert np.isnan(found["torso"]).all()
    assert found["tail"].tolist() == [0, pytest.approx(1 / 3)]


@given(queries, st.lists(st.integers(0, 2), min_size=11, max_size=11))
def test_recall_is_that_of_its_buckets_by_their_targets(cases, buckets):
    ranked, targets = np.array([rows for rows, _ in cases]), [wanted for _, wanted in cases]
    by_bucket = recall_by_popularity(ranked, targets, np.array(buckets, np.int8), 4)
    found = sum(
        np.nan_to_num(by_bucket[name]) * [sum(buckets[row] == at for row in wanted) for wanted in targets]
        for at, name in enumerate(BUCKETS)
    )
    assert found / [len(wanted) for wanted in targets] == pytest.approx(hits_of(ranked, targets).recall(4))
