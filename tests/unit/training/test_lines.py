import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.model_world import encoded
from tests.unit.training.example_lines import tower_examples, written
from watchnext.features.batches import UserColumns
from watchnext.features.spec import HISTORY, RANKER_FEATURES
from watchnext.training import lines
from watchnext.training.example_set import RankerExamples
from watchnext.training.lines import LineFile, bags_of, padded


@pytest.fixture
def impressions() -> RankerExamples:
    users = [encoded(("film", "gone", "song"), country="DE"), encoded((), last_query="cats", age=33.5)]
    return RankerExamples(
        users=UserColumns.of(users),
        row=np.array([3, 1], np.int32),
        features=np.arange(2 * len(RANKER_FEATURES), dtype=np.float32).reshape(2, -1),
        clicked=np.array([True, False]),
        seconds=np.array([2.5, 0], np.float32),
        completed=np.array([False, False]),
        at_ms=np.array([1_700_000_000_123, 5]),
        person=np.array([7, 8]),
    )


def test_lines_come_back_as_they_were_written(tmp_path, impressions):
    file = LineFile(tmp_path / "made" / "lines.parquet", RankerExamples)
    with file.writer() as writer:
        writer.write(impressions.take(slice(0, 1)))
        writer.write(impressions.take(slice(1, 2)))
    read = file.read().columns()
    assert len(file) == 2
    for name, column in impressions.columns().items():
        assert read[name].dtype == column.dtype, name
        np.testing.assert_array_equal(read[name], column)


def test_a_line_says_by_itself_what_its_user_and_its_features_were(tmp_path, impressions):
    file = LineFile(tmp_path / "lines.parquet", RankerExamples)
    with file.writer() as writer:
        writer.write(impressions)
    first, second = pq.read_table(file.path).to_pylist()
    assert first["history"] == [1, 0, 2]  # the video in the middle is unknown
    assert first["country"] == 1
    assert second["history"] == []
    assert second["query_tokens"] == [1]
    assert second["age"] == 33.5
    assert first["retrieval_score"] == 0
    assert second["age_missing"] == 2 * len(RANKER_FEATURES) - 1


def test_a_scan_reads_the_asked_columns_of_the_asked_groups(tmp_path, monkeypatch, impressions):
    monkeypatch.setattr(lines, "GROUP", 2)
    file = written(tmp_path / "lines.parquet", tower_examples([1, 2, 3]), tower_examples([4]))
    assert file.groups == [2, 1, 1]
    assert [part["row"].tolist() for part in file.scan("row")] == [[1, 2], [3], [4]]
    assert [part["row"].tolist() for part in file.scan(order=[2, 0])] == [[4], [1, 2]]
    assert [list(part) for part in file.scan("row", order=[1])] == [["row"]]
    assert file.column("age_days").tolist() == [0, 1, 2, 0]


def test_features_are_scanned_as_one_matrix(tmp_path, impressions):
    file = LineFile(tmp_path / "lines.parquet", RankerExamples)
    with file.writer() as writer:
        writer.write(impressions)
    (part,) = file.scan("features", "seconds")
    assert sorted(part) == ["features", "seconds"]
    np.testing.assert_array_equal(part["features"], impressions.features)


def test_a_file_may_have_no_lines(tmp_path):
    file = written(tmp_path / "lines.parquet", tower_examples([]))
    assert len(file) == 0
    assert list(file.scan()) == []
    assert file.read().columns()["history"].shape == (0, HISTORY)


@given(st.lists(st.lists(st.integers(0, 3), max_size=HISTORY), max_size=5))
def test_lists_hold_all_of_a_bag_but_the_zeros_at_its_end(rows):
    bags = np.array([row + [0] * (HISTORY - len(row)) for row in rows], np.int32).reshape(-1, HISTORY)
    lists = bags_of(bags)
    assert all(not row or row[-1] for row in lists.to_pylist())
    np.testing.assert_array_equal(padded(lists), bags)
