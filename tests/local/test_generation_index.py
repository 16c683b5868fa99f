"""The vector index against a real Milvus Lite server."""

from pathlib import Path

import numpy as np
import pytest

from tests.local.milvus_server import MilvusServer
from watchnext.errors import VectorIndexError
from watchnext.index import milvus
from watchnext.index.exact import exact_top_k, recall
from watchnext.index.milvus import VideoIndex

VECTORS = np.random.default_rng(3).standard_normal((2_501, 16)).astype(np.float32)
ROWS = np.arange(1, len(VECTORS), dtype=np.int32)


@pytest.fixture
def index(milvus_server: MilvusServer) -> VideoIndex:
    index = VideoIndex(milvus_server.uri)
    index.create("videos_a_0", ROWS, VECTORS[1:])
    return index


def test_search_finds_what_exact_search_finds(index: VideoIndex):
    queries = VECTORS[5:25]
    rows, scores = index.search("videos_a_0", queries, 100)
    expected, products = exact_top_k(VECTORS, queries, 100)
    assert recall(rows, expected) >= 0.98
    np.testing.assert_allclose(scores[:, 0], products[:, 0], rtol=1e-5)


@pytest.mark.parametrize(("exact_rows", "least"), [(10_000, 1.0), (0, 0.98)])
def test_near_duplicates_are_found(
    milvus_server: MilvusServer, monkeypatch: pytest.MonkeyPatch, exact_rows: int, least: float
):
    """Cold videos of one channel: twenty crowds of vectors that differ in length and hardly in direction."""
    draw = np.random.default_rng(0)
    crowds = draw.standard_normal((20, 32))
    vectors = crowds[draw.integers(0, 20, 2_001)] * np.exp(draw.standard_normal((2_001, 1)) * 0.5)
    vectors = (vectors + 0.05 * draw.standard_normal(vectors.shape)).astype(np.float32)
    queries = (crowds + 0.5 * draw.standard_normal(crowds.shape)).astype(np.float32)
    monkeypatch.setattr(milvus, "EXACT_ROWS", exact_rows)
    index = VideoIndex(milvus_server.uri)
    index.create("videos_crowds_0", np.arange(1, 2_001, dtype=np.int32), vectors[1:])
    rows, _ = index.search("videos_crowds_0", queries, 100)
    assert recall(rows, exact_top_k(vectors, queries, 100)[0]) >= least


def test_more_than_there_is_is_padded(index: VideoIndex):
    index.create("videos_small_0", ROWS[:3], VECTORS[1:4])
    rows, scores = index.search("videos_small_0", VECTORS[1:2], 5)
    assert sorted(rows[0].tolist()) == [0, 0, 1, 2, 3]
    assert np.isneginf(scores[0, 3:]).all()


def test_vectors_come_in_the_order_asked_for(index: VideoIndex):
    rows = np.array([7, 2_500, 3], np.int32)
    np.testing.assert_array_equal(index.vectors("videos_a_0", rows), VECTORS[rows])
    with pytest.raises(VectorIndexError, match="has no row 9999"):
        index.vectors("videos_a_0", np.array([1, 9_999], np.int32))


def test_count_list_and_drop(index: VideoIndex):
    assert index.count("videos_a_0") == 2_500
    assert index.count("videos_nothing_0") == 0
    index.create("videos_a_0", ROWS[:10], VECTORS[1:11])  # what a killed writer left is replaced
    assert index.count("videos_a_0") == 10
    index.drop("videos_a_0")
    index.drop("videos_a_0")
    assert "videos_a_0" not in index.list()


def test_a_missing_collection_is_one_error(index: VideoIndex):
    with pytest.raises(VectorIndexError, match="could not search videos_gone_0"):
        index.search("videos_gone_0", VECTORS[:1], 3)


def test_a_restarted_server_answers_the_same_client(tmp_path: Path):
    server = MilvusServer(tmp_path)
    server.start()
    index = VideoIndex(server.uri)
    index.create("videos_a_0", ROWS[:50], VECTORS[1:51])
    before = index.search("videos_a_0", VECTORS[:2], 10)
    server.kill()
    with pytest.raises(VectorIndexError, match="is it up"):
        index.search("videos_a_0", VECTORS[:2], 10)
    server.start()
    try:
        after = index.search("videos_a_0", VECTORS[:2], 10)
        assert index.count("videos_a_0") == 50
    finally:
        server.kill()
    np.testing.assert_array_equal(after[0], before[0])


def test_an_index_can_be_named_while_milvus_is_down(tmp_path: Path):
    index = VideoIndex(MilvusServer(tmp_path).uri)
    with pytest.raises(VectorIndexError, match="could not list"):
        index.list()
