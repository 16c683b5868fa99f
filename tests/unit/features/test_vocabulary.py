import json

import pytest

from tests.unit.features.world import VOCABULARIES
from watchnext.features.vocabulary import Vocabularies, Vocabulary


def test_fit_orders_by_falling_count_then_by_token():
    vocabulary = Vocabulary.fit({"rare": 1, "b": 7, "a": 7, "most": 9}, top=3)
    assert vocabulary.tokens == ("most", "a", "b")
    assert vocabulary.size == 4


def test_what_is_not_in_the_top_is_index_zero():
    vocabulary = Vocabulary.fit({"a": 2, "b": 1}, top=1)
    assert vocabulary.indices(["b", "a", "never seen", ""]).tolist() == [0, 1, 0, 0]
    assert vocabulary.indices([]).dtype == "int32"


def test_extending_keeps_every_index():
    extended = Vocabulary(["a", "b"]).extended(["new", "a", "newer", "new"])
    assert extended.tokens == ("a", "b", "new", "newer")


def test_doubles_are_refused():
    with pytest.raises(ValueError, match="no doubles"):
        Vocabulary(["a", "a"])


def test_vocabularies_survive_json():
    assert Vocabularies.from_json(json.loads(json.dumps(VOCABULARIES.to_json()))) == VOCABULARIES


def test_vocabularies_without_one_of_them_are_refused():
    value = VOCABULARIES.to_json()
    del value["genders"]
    with pytest.raises(ValueError, match="genders"):
        Vocabularies.from_json(value)
