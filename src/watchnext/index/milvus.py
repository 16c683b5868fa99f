"""The vector index: one Milvus collection per generation and overlay, addressed by its own name, never by an alias.

The URI decides between Milvus Lite's server, a standalone server and a cluster. The primary key is the generation's
video row. A collection is written once; nothing updates it in place.

>>> index = VideoIndex("http://127.0.0.1:19530")                                        # doctest: +SKIP
>>> index.create("videos_0123456789abcdef_0", rows, vectors)                            # doctest: +SKIP
>>> index.search("videos_0123456789abcdef_0", user_vectors, 500)                        # doctest: +SKIP
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient, MilvusException

from watchnext.contracts.names import COLLECTION_PREFIX
from watchnext.errors import VectorIndexError
from watchnext.index.exact import NO_SCORE
from watchnext.settings import Settings

INSERT_ROWS: Final = 2_000  # a message of 2,000 × 256 floats is 2 MB, far below Milvus' limit of 64 MB
EXACT_ROWS: Final = 10_000  # up to here exact search costs no more than a graph, and misses nothing
# Wide, since cold videos of one channel lie close together: of such crowds 16 links find two thirds, 48 nearly all.
HNSW: Final = {"M": 48, "efConstruction": 400}
MIN_EF: Final = 256  # breadth of a search; k where k is larger
CONNECT_TIMEOUT_S: Final = 5.0
WRITE_TIMEOUT_S: Final = 300.0
READ_TIMEOUT_S: Final = 5.0
# pymilvus pings an idle connection every 10 s; a gRPC server that allows one ping in 5 minutes, as Milvus Lite's does,
# then drops the connection ("too many pings"), and the next search fails.
_GRPC_OPTIONS: Final = {"grpc.keepalive_time_ms": 330_000}
_NOT_LOADED: Final = 101  # Milvus' code for a collection that a restarted server has not loaded again

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs a traceback for each error that it also raises

Answer = TypeVar("Answer")


class VideoIndex:
    """Client of one Milvus. Connects at the first call, so that a server may start while Milvus is down."""

    def __init__(self, uri: str, *, token: str = ""):
        self.uri = uri
        self._token = token
        self._client: MilvusClient | None = None
        self._connecting = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "VideoIndex":
        """The index that the settings name."""
        return cls(settings.milvus.uri, token=settings.milvus.token.get_secret_value())

    def create(self, collection: str, rows: NDArray[np.int32], vectors: NDArray[np.float32]) -> None:
        """Write, flush and load `collection`; what a killed writer left of it is replaced.

        Args:
            collection: the name, from `contracts.names.collection_name`.
            rows: `[videos]`, the primary keys.
            vectors: `[videos, dim]`.

        Raises:
            VectorIndexError: Milvus is down or refuses.
        """
        self._call("drop", collection, lambda client: client.drop_collection(collection, timeout=WRITE_TIMEOUT_S))
        self._call("create", collection, lambda client: _create(client, collection, *vectors.shape))
        for start in range(0, len(rows), INSERT_ROWS):
            stop = start + INSERT_ROWS
            batch = [
                {"row": int(row), "vector": vector}
                for row, vector in zip(rows[start:stop], vectors[start:stop], strict=True)
            ]
            self._call("insert", collection, partial(_insert, collection, batch))
        self._call("flush", collection, lambda client: client.flush(collection, timeout=WRITE_TIMEOUT_S))
        self.load(collection)

    def load(self, collection: str) -> None:
        """Load `collection` into Milvus' memory: needed after Milvus Lite's server has restarted.

        Raises:
            VectorIndexError: Milvus is down or has no such collection.
        """
        self._call("load", collection, lambda client: client.load_collection(collection, timeout=WRITE_TIMEOUT_S))

    def warm_up(self) -> None:
        """Connect, which takes longer than the budget of a request.

        Raises:
            VectorIndexError: Milvus is down.
        """
        self.list()

    def search(
        self, collection: str, vectors: NDArray[np.float32], k: int, *, timeout_s: float = READ_TIMEOUT_S
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The `k` nearest rows of each vector by inner product, best first.

        Args:
            collection: of the generation that made `vectors`.
            vectors: `[queries, dim]`.
            k: how many; shorter answers are padded with row 0 and minus infinity.
            timeout_s: of the call, in seconds.

        Returns:
            Rows and scores, `[queries, k]` each.

        Raises:
            VectorIndexError: Milvus is down, late, or has no such collection.
        """
        hits = self._read(
            "search",
            collection,
            lambda client: client.search(
                collection,
                data=vectors,
                limit=k,
                output_fields=["row"],  # the default answers with the vectors
                search_params={"metric_type": "IP", "params": {"ef": max(k, MIN_EF)}},
                # A collection never changes once it is loaded. "Strong" makes a Milvus server wait for its next time
                # tick, every 200 ms, before it searches.
                consistency_level="Eventually",
                timeout=timeout_s,
            ),
        )
        rows = np.zeros((len(vectors), k), np.int32)
        scores = np.full((len(vectors), k), NO_SCORE, np.float32)
        for query, found in enumerate(hits):
            rows[query, : len(found)] = found.ids
            scores[query, : len(found)] = found.distances
        return rows, scores

    def vectors(self, collection: str, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Stored vectors `[rows, dim]` in the order asked for.

        Raises:
            VectorIndexError: Milvus is down, or a row is not there.
        """
        found = self._read(
            "get",
            collection,
            lambda client: client.get(
                collection, ids=rows.tolist(), output_fields=["row", "vector"], timeout=READ_TIMEOUT_S
            ),
        )
        by_row = {hit["row"]: hit["vector"] for hit in found}
        missing = [row for row in rows.tolist() if row not in by_row]
        if missing:
            raise VectorIndexError(
                f"collection {collection} has no row {missing[0]} ({len(missing)} of {len(rows)} are missing): "
                "publish the generation again"
            )
        return np.array([by_row[row] for row in rows.tolist()], np.float32)

    def count(self, collection: str) -> int:
        """Rows in `collection`; 0 where there is no such collection.

        Raises:
            VectorIndexError: Milvus is down.
        """
        if collection not in self.list():
            return 0
        answer = self._read(
            "count",
            collection,
            lambda client: client.query(collection, filter="", output_fields=["count(*)"], timeout=READ_TIMEOUT_S),
        )
        return int(answer[0]["count(*)"])

    def drop(self, collection: str) -> None:
        """Forget `collection`; no error where there is none.

        Raises:
            VectorIndexError: Milvus is down.
        """
        self._call("drop", collection, lambda client: client.drop_collection(collection, timeout=WRITE_TIMEOUT_S))

    def list(self) -> list[str]:
        """Names of our collections, sorted.

        Raises:
            VectorIndexError: Milvus is down.
        """
        names = self._call("list", "collections", lambda client: client.list_collections(timeout=READ_TIMEOUT_S))
        return sorted(name for name in names if name.startswith(COLLECTION_PREFIX))

    def _read(self, verb: str, collection: str, call: Callable[[MilvusClient], Answer]) -> Answer:
        """`call`, once more after loading where a restarted server has the collection on disk only."""
        try:
            return self._call(verb, collection, call)
        except VectorIndexError as error:
            if not isinstance(error.__cause__, MilvusException) or error.__cause__.code != _NOT_LOADED:
                raise
        self.load(collection)
        return self._call(verb, collection, call)

    def _call(self, verb: str, collection: str, call: Callable[[MilvusClient], Answer]) -> Answer:
        try:
            return call(self._connected())
        except MilvusException as error:
            raise VectorIndexError(
                f"Milvus at {self.uri} could not {verb} {collection}: {error.message} "
                "(is it up? `watchnext status`; another address: milvus.uri)"
            ) from error

    def _connected(self) -> MilvusClient:
        with self._connecting:
            if self._client is None:
                self._client = MilvusClient(
                    self.uri, token=self._token, timeout=CONNECT_TIMEOUT_S, grpc_options=_GRPC_OPTIONS
                )
            return self._client


def _create(client: MilvusClient, collection: str, count: int, dim: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    if count <= EXACT_ROWS:
        index.add_index("vector", index_type="FLAT", metric_type="IP")
    else:
        index.add_index("vector", index_type="HNSW", metric_type="IP", params=HNSW)
    return client.create_collection(
        collection, schema=schema, index_params=index, consistency_level="Strong", timeout=WRITE_TIMEOUT_S
    )


def _insert(collection: str, batch: list[dict[str, Any]], client: MilvusClient) -> Any:
    return client.insert(collection, batch, timeout=WRITE_TIMEOUT_S)
