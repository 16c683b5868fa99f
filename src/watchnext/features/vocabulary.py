"""Vocabularies: tokens to indices, the top N by frequency; 0 is whatever is not in it (paper, section 4.1).

Videos have two index spaces. A generation's *row* numbers every video of the catalogue (`Vocabularies.videos`,
`VideoTable`, Milvus's primary key). An *embedding id* numbers only the most frequent ones; `VideoTable.embedding` maps
rows to it, and the rest to 0, whose embedding is the zero vector.

>>> vocabulary = Vocabulary.fit({"a": 3, "b": 5, "c": 5, "d": 1}, top=3)
>>> vocabulary.tokens, vocabulary.index("a"), vocabulary.index("d")
(('b', 'c', 'a'), 3, 0)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Vocabulary:
    """Tokens by index; indices begin at 1."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens: tuple[str, ...] = tuple(tokens)
        self._index = {token: index for index, token in enumerate(self.tokens, start=1)}
        if len(self._index) != len(self.tokens):
            raise ValueError(f"{len(self.tokens)} tokens came with {len(self._index)} distinct ones; wanted no doubles")

    @classmethod
    def fit(cls, counts: Mapping[str, int], top: int) -> "Vocabulary":
        """The `top` most frequent tokens: by falling count, then by token."""
        return cls(sorted(counts, key=lambda token: (-counts[token], token))[:top])

    @property
    def size(self) -> int:
        """Rows of an embedding of it: the tokens and the unknown."""
        return len(self.tokens) + 1

    def index(self, token: str) -> int:
        """The token's index, or 0."""
        return self._index.get(token, 0)

    def indices(self, tokens: Iterable[str]) -> NDArray[np.int32]:
        """Index of each token, 0 where unknown; shape `[tokens]`."""
        return np.fromiter(map(self._index.get, tokens, repeat(0)), dtype=np.int32)

    def extended(self, tokens: Iterable[str]) -> "Vocabulary":
        """With those of `tokens` that are new appended; no index changes (an overlay's new videos)."""
        return Vocabulary((*self.tokens, *(token for token in dict.fromkeys(tokens) if token not in self._index)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Vocabularies:
    """All vocabularies of a generation. `videos` numbers rows of the video table, not embedding ids."""

    videos: Vocabulary
    channels: Vocabulary
    topics: Vocabulary
    languages: Vocabulary
    countries: Vocabulary
    devices: Vocabulary
    genders: Vocabulary
    surfaces: Vocabulary
    search_tokens: Vocabulary

    def to_json(self) -> dict[str, list[str]]:
        """Name to tokens in order of index."""
        return {field.name: list(getattr(self, field.name).tokens) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Vocabularies":
        """What `to_json` gave.

        Raises:
            ValueError: a vocabulary is missing or one too many.
        """
        names = {field.name for field in fields(cls)}
        if names != set(value):
            raise ValueError(f"vocabularies {sorted(value)} came; wanted {sorted(names)}")
        return cls(**{name: Vocabulary(value[name]) for name in names})
