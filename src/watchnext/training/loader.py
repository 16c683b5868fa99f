"""Batches that are read while a model trains: row groups in another order each epoch, their lines mixed in a buffer.

The buffer holds `BUFFER` lines from all over the file; memory does not grow with the file. The batches of an epoch
depend on the seed, its number and the file alone, so that a training can enter it at any of them: what lies before is
not read. Of several processes each makes its share of every batch: together they take the steps that one would alone.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic

import numpy as np
from numpy.typing import NDArray

from watchnext.features.batches import Batch
from watchnext.training.distributed import ALONE, Share
from watchnext.training.lines import Arrays, Kind, LineFile

BUFFER: Final = 131_072  # lines that are mixed with each other
_GROUPS, _LINES = 2, 3  # what is drawn: the order of the row groups, the order of a buffer's lines


@dataclass(frozen=True)
class Streamed(Generic[Kind]):
    """The examples of a file, in batches."""

    file: LineFile[Kind]
    batch: int  # examples a step, those of all processes together
    seed: int
    make: Callable[[Kind], Batch]  # the batch of these examples
    share: Share = ALONE

    @property
    def steps(self) -> int:
        """The last one holds what is left, where that is enough for every process."""
        return len(self.file) // self.batch + (len(self.file) % self.batch >= self.share.world)

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, each made in a thread while the one before is used."""
        batches = self._batches(number, skip)
        with ThreadPoolExecutor(1, "batches") as thread:
            coming = thread.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = thread.submit(next, batches, None)
                yield batch

    def _batches(self, number: int, skip: int) -> Iterator[Batch]:
        fillings = self._fillings(number)
        sizes = [sum(self.file.groups[group] for group in groups) for groups in fillings]
        ends = np.cumsum(sizes).tolist()
        needed = [index for index, end in enumerate(ends) if end > skip * self.batch]
        groups = self.file.scan(order=[group for index in needed for group in fillings[index]])
        buffer, step = Buffer(max(sizes) + self.batch), skip
        for index in needed:
            generator = np.random.default_rng((self.seed, number, index, _LINES))
            buffer.fill(islice(groups, len(fillings[index])), generator)
            start = ends[index] - buffer.lines
            while step < self.steps and (end := min((step + 1) * self.batch, len(self.file))) <= ends[index]:
                ours = self.share.of(np.arange(step * self.batch, end))
                yield self.make(self.file.kind.of(buffer.take(ours - start)))
                step += 1
            buffer.drop(step * self.batch - start)

    def _fillings(self, number: int) -> list[list[int]]:
        """The row groups that the buffer holds, one time after the other."""
        order = np.random.default_rng((self.seed, number, 0, _GROUPS)).permutation(len(self.file.groups))
        fillings: list[list[int]] = [[]]
        lines = 0
        for group in order.tolist():
            lines += self.file.groups[group]
            if lines > BUFFER and fillings[-1]:
                fillings.append([])
                lines = self.file.groups[group]
            fillings[-1].append(group)
        return fillings


class Buffer:
    """Lines in memory that is used again and again."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._arrays: Arrays = {}
        self._order = np.zeros(0, np.int64)  # of the lines that are in it

    @property
    def lines(self) -> int:
        """How many are in it."""
        return len(self._order)

    def fill(self, parts: Iterable[Arrays], generator: np.random.Generator) -> None:
        """Add the lines of `parts` behind those that are in it, in an order drawn by `generator`."""
        kept = end = self.lines
        for part in parts:
            start, end = end, end + len(next(iter(part.values())))
            for name, column in part.items():
                if name not in self._arrays:
                    self._arrays[name] = np.empty((self._capacity, *column.shape[1:]), column.dtype)
                self._arrays[name][start:end] = column
        self._order = np.concatenate([np.arange(kept), kept + generator.permutation(end - kept)])

    def take(self, at: NDArray[np.int64]) -> Arrays:
        """Copies of the lines `at`."""
        lines = self._order[at]
        return {name: array.take(lines, axis=0) for name, array in self._arrays.items()}

    def drop(self, lines: int) -> None:
        """Keep what is behind the first `lines`."""
        for name, column in self.take(np.arange(lines, self.lines)).items():
            self._arrays[name][: len(column)] = column
        self._order = np.arange(max(self.lines - lines, 0))
