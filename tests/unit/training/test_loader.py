import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.example_lines import tower_examples, written
from watchnext.features.spec import HISTORY
from watchnext.training import lines, loader
from watchnext.training.distributed import ALONE, Share
from watchnext.training.example_set import TowerExamples
from watchnext.training.lines import Arrays, LineFile
from watchnext.training.loader import Streamed

LINES, GROUP, BUFFER, BATCH = 1_003, 16, 128, 50


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> LineFile[TowerExamples]:
    """Rows from 0 on in their order, so that a row tells where its line is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "GROUP", GROUP)
        return written(tmp_path_factory.mktemp("loader") / "lines.parquet", tower_examples(range(LINES)))


@pytest.fixture(autouse=True)
def _small_buffer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loader, "BUFFER", BUFFER)


def rows_of(examples: TowerExamples) -> Arrays:
    return {"row": examples.row, "hour": examples.users.hour, "history": examples.users.history}


def batches(file: LineFile[TowerExamples], *, share: Share = ALONE, batch: int = BATCH) -> Streamed[TowerExamples]:
    return Streamed(file, batch, seed=7, make=rows_of, share=share)


def epoch(streamed: Streamed[TowerExamples], number: int, skip: int = 0) -> list[list[int]]:
    return [batch["row"].tolist() for batch in streamed.epoch(number, skip)]


@pytest.mark.parametrize("batch", [1, 50, 128, 300, 5_000])
def test_an_epoch_has_every_example_once_in_an_order_of_its_own(file, batch):
    streamed = batches(file, batch=batch)
    first = epoch(streamed, 0)
    assert len(first) == streamed.steps
    assert {len(rows) for rows in first[:-1]} <= {batch}
    assert sorted(row for rows in first for row in rows) == list(range(LINES))
    assert epoch(streamed, 0) == first
    assert epoch(streamed, 1) != first


def test_a_line_stays_whole(file):
    for batch in batches(file).epoch(0):
        assert batch["hour"].tolist() == (batch["row"] % 24).tolist()
        assert batch["history"].shape == (len(batch["row"]), HISTORY)
        assert (batch["history"][:, :3] == [1, 2, 0]).all()


def test_a_batch_stays_as_it_is_when_the_buffer_is_filled_anew(file):
    kept = list(batches(file).epoch(0))
    assert [batch["row"].tolist() for batch in kept] == epoch(batches(file), 0)


@pytest.mark.parametrize("skip", [1, 2, 7, 19, 20, 21])
def test_an_epoch_can_be_entered_at_any_batch(file, skip):
    assert epoch(batches(file), 3, skip) == epoch(batches(file), 3)[skip:]


@dataclass(frozen=True)
class Noted(LineFile[TowerExamples]):
    """A file that notes what is read of it."""

    read_groups: list[int] = field(default_factory=list)

    def scan(self, *names: str, order: Iterable[int] | None = None) -> Iterator[Arrays]:
        for group in order or ():
            self.read_groups.append(group)
            yield from super().scan(*names, order=[group])


def test_what_lies_before_the_entered_batch_is_not_read(file):
    noted = Noted(file.path, file.kind)
    left = epoch(batches(noted), 0, skip=18)
    assert sum(map(len, left)) == LINES - 18 * BATCH
    assert len(noted.read_groups) <= 2 * BUFFER // GROUP


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_out_the_batches_that_one_would_have(file, world):
    alone = epoch(batches(file), 0)
    shares = [epoch(batches(file, share=Share(rank, world)), 0) for rank in range(world)]
    for step, rows in enumerate(alone):
        parts = [share[step] for share in shares]
        assert sorted(row for part in parts for row in part) == sorted(rows)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_last_batch_that_is_too_small_for_all_processes_is_left_out(file):
    streamed = batches(file, share=Share(0, 4))  # 3 lines are left
    assert streamed.steps == LINES // BATCH
    assert len(epoch(streamed, 0)) == streamed.steps


def test_lines_that_lie_together_are_parted(file):
    order = np.array([row for rows in epoch(batches(file), 0) for row in rows])
    assert abs(np.corrcoef(order, np.arange(LINES))[0, 1]) < 0.2
    assert (np.abs(np.diff(order)) < GROUP).mean() < 0.25, "an eighth of a full buffer is of the same group"
    groups = [len({row // GROUP for row in rows}) for rows in epoch(batches(file), 0)[:-1]]
    assert min(groups) >= BUFFER // GROUP // 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lines, "GROUP", 250)
    monkeypatch.setattr(loader, "BUFFER", 2_000)
    short = written(tmp_path / "short.parquet", tower_examples(range(5_000)))
    long = written(tmp_path / "long.parquet", *[tower_examples(range(5_000))] * 10)
    assert peak_of_epoch(long) < 1.1 * peak_of_epoch(short)


def peak_of_epoch(file: LineFile[TowerExamples]) -> int:
    tracemalloc.start()
    for _ in batches(file).epoch(0):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_an_epoch_that_is_left_leaves_no_thread(file):
    running = batches(file).epoch(0)
    next(running)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
    running.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_what_goes_wrong_in_the_thread_is_raised(file):
    def broken(_: TowerExamples) -> Arrays:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(Streamed(file, BATCH, seed=0, make=broken).epoch(0))


def test_a_file_without_lines_has_no_batches(tmp_path):
    streamed = batches(written(tmp_path / "lines.parquet", tower_examples([])))
    assert streamed.steps == 0
    assert epoch(streamed, 0) == []
