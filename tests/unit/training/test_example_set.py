"""The files between the stages."""

import dataclasses
from pathlib import Path

import numpy as np

from tests.unit.training.test_towers import write_examples
from watchnext.generation.item_item import ItemItem
from watchnext.training.example_set import ExampleSet


def test_countries_that_are_words_of_numpys_writer_come_back(tmp_path: Path):
    """A country is any word that a client sends."""
    write_examples(tmp_path, rows=[1])
    watches = {
        name: np.full(3, at, np.float32) for at, name in enumerate(["path", "file", "allow_pickle", "", "a\0b", "a"])
    }
    dataclasses.replace(ExampleSet.load(tmp_path), country_watches=watches).save()
    found = ExampleSet.load(tmp_path).country_watches
    assert list(found) == list(watches)
    for name, counts in watches.items():
        np.testing.assert_array_equal(found[name], counts)


def test_the_item_item_table_comes_back(tmp_path: Path):
    write_examples(tmp_path, rows=[1])
    table = ItemItem(np.array([0, 0, 1]), np.array([2], np.int32), np.array([0.5], np.float32), scale=0.25)
    ExampleSet.load(tmp_path).save_item_item(table)
    found = ExampleSet.load(tmp_path).item_item
    assert found.scale == 0.25
    for name, column in table.columns().items():
        np.testing.assert_array_equal(found.columns()[name], column)
