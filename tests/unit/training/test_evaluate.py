"""What the evaluation lists, by hand."""

import numpy as np

from tests.unit.features.world import video_table
from tests.unit.models.model_world import encoded
from tests.unit.training.example_lines import example_set
from watchnext.features.batches import UserColumns
from watchnext.generation.item_item import ItemItem
from watchnext.training.evaluate import merged
from watchnext.training.example_set import Queries

NOTHING = np.zeros(0, np.int32)


def test_merged_lists_order_by_the_watches_as_of_the_split(tmp_path):
    """Of videos that nothing else tells apart."""
    asked = Queries(users=UserColumns.of([encoded(())]), seen=[NOTHING], targets=[np.array([1], np.int32)])
    videos = len(video_table())
    data = example_set(tmp_path, queries=asked, watches=np.arange(videos, dtype=np.float32))
    data.save_item_item(ItemItem(np.zeros(videos + 1, np.int64), NOTHING, np.zeros(0, np.float32)))
    found = merged(data, np.zeros((1, 2), np.float32), np.zeros((videos, 2), np.float32), dim=2, candidates=9, depth=3)
    assert found.tolist() == [[3, 2, 1]]


def test_merged_lists_take_for_similar_what_retrieval_does(tmp_path):
    """Where nobody met the last watched video: by what vectors tell of taste, not by when videos were uploaded."""
    asked = Queries(users=UserColumns.of([encoded(("film",))]), seen=[NOTHING], targets=[np.array([1], np.int32)])
    videos = len(video_table())
    data = example_set(tmp_path, queries=asked, watches=np.zeros(videos, np.float32))
    data.save_item_item(ItemItem(np.zeros(videos + 1, np.int64), NOTHING, np.zeros(0, np.float32)))
    vectors = np.array([[0, 0], [1, 5], [1, 0], [0, 5]], np.float32)  # taste, upload
    found = merged(data, np.zeros((1, 2), np.float32), vectors, dim=1, candidates=1, depth=1)
    assert found.tolist() == [[2]]
