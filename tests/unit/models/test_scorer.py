from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.generation.world import NOW_MS, parts
from watchnext.features.batches import UserColumns, ranker_batch
from watchnext.features.codec import pack, unpack
from watchnext.features.cross import cross_features
from watchnext.features.state import EncodedUser, UserState, encode_user
from watchnext.models.scorer import Scorer

WORLD = parts()
TARGET = {"generation": "0123456789abcdef", "overlay": 3}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(WORLD.ranker, WORLD.quantiles, WORLD.videos, **TARGET)


def a_user() -> EncodedUser:
    probe = WORLD.probes[0]
    return encode_user(UserState.from_rows(probe.row), probe.context, WORLD.vocabularies)


def request(rows: list[int], *, k: int = 3, **changes: object) -> bytes:
    columns = {
        "row": np.array(rows, np.int32),
        "score": np.linspace(1, 0, len(rows), dtype=np.float32),
        "sources": np.ones(len(rows), np.int32),
        **{f"user.{name}": column for name, column in a_user().to_columns().items()},
    }
    return pack({**TARGET, "now_ms": NOW_MS, "k": k, "explain": False, **changes}, columns)


def test_scores_are_those_of_the_ranker_on_the_same_features(scorer: Scorer):
    rows = [5, 9, 2, 30]

    _, answer = unpack(scorer.answer(request(rows)))

    candidates = WORLD.videos.take(np.array(rows))
    features = cross_features(a_user(), candidates, np.linspace(1, 0, 4, dtype=np.float32), np.ones(4, np.int32))
    inputs = ranker_batch(UserColumns.of([a_user()]), WORLD.videos, candidates, WORLD.quantiles.expand(features))
    with torch.no_grad():
        logit, long_view = WORLD.ranker({name: torch.from_numpy(column) for name, column in inputs.items()})
    np.testing.assert_allclose(answer["expected_seconds"], np.exp(logit.numpy()), rtol=1e-6)
    np.testing.assert_allclose(answer["long_view"], 1 / (1 + np.exp(-long_view.numpy())), rtol=1e-6)
    best = sorted(range(4), key=lambda at: -answer["expected_seconds"][at])[:3]
    assert answer["top"].tolist() == best
    np.testing.assert_array_equal(answer["features"], features[best])


def test_equal_scores_keep_the_retrieval_order(scorer: Scorer):
    body = request([7, 7, 7])
    meta, columns = unpack(body)
    columns["score"] = np.zeros(3, np.float32)

    _, answer = unpack(scorer.answer(pack(meta, columns)))

    assert answer["top"].tolist() == [0, 1, 2]


def test_no_candidates_give_an_empty_answer(scorer: Scorer):
    _, answer = unpack(scorer.answer(request([])))

    assert {len(column) for column in answer.values()} == {0}


def test_explain_adds_a_contribution_a_feature(scorer: Scorer):
    _, answer = unpack(scorer.answer(request([1, 2, 3, 4, 5], explain=True)))

    assert answer["contributions"].shape == answer["features"].shape
    assert np.isfinite(answer["contributions"]).all()


def test_a_saved_scorer_answers_the_same(scorer: Scorer, tmp_path: Path):
    scorer.save(tmp_path)

    assert Scorer.load(tmp_path).answer(request([5, 9, 2])) == scorer.answer(request([5, 9, 2]))
    Scorer.load(tmp_path).warm_up()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "0 bytes came"),
        (b'{"instances": []}', "magic"),
        (request([1], generation="another"), "another"),
        (request([61]), "rows up to 61 came; the table has 61"),
        (request([-1]), "rows up to -1 came"),
        (pack({**TARGET, "k": 1}, {}), "without"),
    ],
    ids=["empty", "json", "another generation", "beyond the table", "negative", "no columns"],
)
def test_a_request_that_cannot_be_scored_is_refused(scorer: Scorer, body: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        scorer.answer(body)
