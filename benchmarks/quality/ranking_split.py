"""The ranking split of KuaiRand: its events as the stream would leave them, the pipeline's own examples of them.

The log is cut by `training.split_at_ms`; `events` that come at or after an end are not in it at all. Beside the split's
files lie the `examples` that our ranker learns from. Both are made anew when the data or the code has changed.
"""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.quality.code import code_hash
from benchmarks.quality.event_log import records_of, write_records
from benchmarks.quality.impressions import TABLE, Impressions
from benchmarks.quality.split_files import Split, read_split, write_split
from benchmarks.quality.splits import KUAIRAND, TEST_CUT_MS
from watchnext.clock import FixedClock
from watchnext.data.kuairand import KuaiRand
from watchnext.data.kuairand_files import LATEST_MS, KuaiRandFiles
from watchnext.features.batches import ranker_batch
from watchnext.features.spec import RANKER_FEATURES
from watchnext.models.layers import context_embeddings
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet, RankerExamples
from watchnext.training.examples import build_examples
from watchnext.training.lines import LineFile
from watchnext.training.sizes import sizes_of
from watchnext.training.snapshot import freeze

EXAMPLES: Final = "examples"
PROFILE: Final = "small"
_STAMP: Final = "made_of"
_ROOMS: Final = ("contracts", "data", "features", "generation", "store", "stream", "training")
_RULE: Final = (
    "Impressions whose click window has closed, as the pipeline makes its examples of them: what was true just before "
    "each, counters as of the last refresh. Those before the cut are learnt from, those after it are scored, with what "
    "had become known by then; nothing is fitted on them."
)


def ranking_split(folder: Path, out: Path, cut_ms: int = TEST_CUT_MS, end_ms: int | None = None) -> Split:
    """The split at `cut_ms` of the slice in `folder`, in `out`; what comes at or after `end_ms` is in no log.

    Raises:
        DataError: the files cannot be read, or there are no labels before or after the cut.
    """
    stamp, key = out / _STAMP, _made_of(folder, cut_ms, end_ms)
    if stamp.is_file() and stamp.read_text() == key:
        return read_split(out)
    stamp.unlink(missing_ok=True)  # or a making that was cut off would leave new examples under the old split's stamp
    with TemporaryDirectory() as scratch:
        training = Training(threads=1, split_at_ms=cut_ms)
        settings = Settings(home=Path(scratch), profile=PROFILE, training=training)
        write_records(settings, records_of(KuaiRand(folder, clock=FixedClock((end_ms or LATEST_MS) - 1))))
        build_examples(settings, freeze(settings, Path(scratch) / "snapshot"), out / EXAMPLES)
    data = ExampleSet.load(out / EXAMPLES)
    tables = {"videos": pa.table({"video_id": data.videos.video_ids[1:]}), TABLE: _impressions(data)}
    split = write_split(Split(out.name, KUAIRAND, _RULE, cut_ms, end_ms, tables), out)
    stamp.write_text(key)
    return split


def examples_hash(folder: Path) -> str:
    """Of the examples beside a split."""
    digest = hashlib.sha256()
    for path in sorted((folder / EXAMPLES).iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _made_of(folder: Path, cut_ms: int, end_ms: int | None) -> str:
    files = KuaiRandFiles.find(folder)
    paths = [*files.logs, files.users, files.videos, *([files.history] if files.history else [])]
    data = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return json.dumps([data, cut_ms, end_ms, code_hash(_ROOMS, __file__)])


def _impressions(data: ExampleSet) -> pa.Table:
    """Of both files, in their order."""
    context = tuple(context_embeddings(sizes_of(data.vocabularies, data.videos)))
    parts = [_part(data, file, context) for file in (data.ranker, data.held_out)]
    return pa.concat_tables(parts)


def _part(data: ExampleSet, file: LineFile[RankerExamples], context: tuple[str, ...]) -> pa.Table:
    examples = file.read()
    candidates = data.videos.take(examples.row)
    batch = ranker_batch(examples.users, data.videos, candidates, examples.features, np.arange(len(examples)))
    names = np.array(["", *data.vocabularies.surfaces.tokens])
    return Impressions(
        held_out=np.full(len(examples), file.path == data.held_out.path),
        features=examples.features,
        context=np.column_stack([batch[name] for name in context]).astype(np.int64),
        surface=names[examples.users.surface],
        video=examples.row.astype(np.int64),
        person=examples.person,
        clicked=examples.clicked,
        seconds=examples.seconds,
        long_view=examples.completed,
        video_seconds=candidates.seconds.astype(np.float32),
    ).table(RANKER_FEATURES, context)
