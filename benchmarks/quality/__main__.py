"""`watchnext bench quality`: our models beside the peers on the same split files, with the same seeds.

Splits, answers and records stay in `<home>/bench/<data>`; answers that are there of the same files, parameters and code
are not made again, so that a run which was cut off goes on. The report goes to `benchmarks/reports`.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers.environment import ROOT, run_peers
from benchmarks.quality import contender
from benchmarks.quality.contender import Contender
from benchmarks.quality.figures import Line, lines_of, read_lists
from benchmarks.quality.page import Section, records_of, write_page
from benchmarks.quality.ranking_part import ranking_section
from benchmarks.quality.report import Report
from benchmarks.quality.split_files import DESCRIPTION, read_split
from benchmarks.quality.splits import KUAIRAND, MOVIELENS, TEST_CUT_MS, VALID_CUT_MS, kuairand_split, movielens_split
from benchmarks.report import report
from benchmarks.rounds import Verdict
from watchnext.cli.main import log_to_standard_error
from watchnext.cli.output import note
from watchnext.data.fetch import ML_1M, fetch_movielens
from watchnext.errors import UsageError, WatchnextError
from watchnext.settings import Settings, load_settings

REPORTS: Final = ROOT / "benchmarks" / "reports"
PEERS: Final = "benchmarks.peers.retrieval"
SUBJECT: Final = "towers"
RETRIEVAL: Final = "retrieval"
RANKING: Final = "ranking"


@dataclass(frozen=True)
class Data:
    """A data set of the bench: how it is split, who of ours answers, and what must come out."""

    title: str
    measure: str
    contenders: tuple[Contender, ...]
    bars: dict[str, float]  # by contender, in `measure`
    find: Callable[[Settings], Path]
    split: Callable[[Path, Path, Path], None]  # the data's folder, validation, test
    parts: tuple[str, ...]


def _split_kuairand(folder: Path, valid: Path, test: Path) -> None:
    kuairand_split(folder, valid, VALID_CUT_MS, TEST_CUT_MS)
    kuairand_split(folder, test)


def _split_movielens(folder: Path, valid: Path, test: Path) -> None:
    movielens_split(folder, valid, held_back=1)
    movielens_split(folder, test)


DATA: Final = {
    KUAIRAND: Data(
        title="Retrieval on the KuaiRand-Pure slice: new long views from 28 April on",
        measure="recall@50",
        contenders=contender.KUAIRAND,
        bars={"towers": 0.34, "merged": 0.36},
        find=lambda settings: settings.shared / "data" / "kuairand-pure",
        split=_split_kuairand,
        parts=(RETRIEVAL, RANKING),
    ),
    MOVIELENS: Data(
        title="Retrieval on MovieLens-1M: each user's last watch",
        measure="hit_rate@50",
        contenders=contender.MOVIELENS,
        bars={"towers": 0.53, "towers-attention": 0.57},
        find=lambda settings: fetch_movielens(settings, ML_1M),
        split=_split_movielens,
        parts=(RETRIEVAL,),
    ),
}


def run(name: str, part: str, path: Path | None, settings: Settings) -> tuple[list[Verdict], Path]:
    """All parts of the data, or one alone; the report is written, and where.

    Raises:
        UsageError: the data has no such part.
    """
    data = DATA[name]
    if part and part not in data.parts:
        raise UsageError(f"--part {part} came for {name}, which has {' and '.join(data.parts)} alone")
    folder, home = path or data.find(settings), settings.home.absolute() / "bench" / name
    sections = []
    for one in [part] if part else data.parts:
        if one == RANKING:
            sections.append(ranking_section(folder, home / RANKING, settings.home))
        else:
            sections.append(retrieval_section(name, folder, home, settings.home))
    written = REPORTS / (f"{name}-{part}.md" if part else f"{name}.md")
    command = f"watchnext bench quality --data {name}" + (f" --part {part}" if part else "")
    write_page(written, f"Quality: {name}", command, sections)
    return [verdict for section in sections for verdict in section.verdicts], written


def retrieval_section(name: str, folder: Path, bench: Path, home: Path) -> Section:
    """Splits, lists of everybody in `bench`, figures."""
    data = DATA[name]
    valid, test, lists = bench / "valid", bench / "test", bench / "lists"
    note(f"{name}: the splits are written")
    data.split(folder, valid, test)
    lists.mkdir(parents=True, exist_ok=True)
    for one in data.contenders:
        note(f"{name}: {one.name}")
        one.run(valid, test, lists)
    note(f"{name}: the peers")
    peers = run_peers(PEERS, ["--valid", valid, "--test", test, "--out", lists], home)
    names = [*(one.name for one in data.contenders), *peers]
    lines = lines_of(read_split(test), read_lists(lists, names), SUBJECT, data.measure)
    return Report(
        title=data.title,
        split=json.loads((test / DESCRIPTION).read_text()),
        measure=data.measure,
        lines=lines,
        records=records_of(lists, names),
        verdicts=verdicts_of(data, lines),
    ).section()


def verdicts_of(data: Data, lines: list[Line]) -> list[Verdict]:
    """Each of ours against its bar, and the towers against the best peer."""
    by_name = {line.name: line for line in lines}
    verdicts = [
        Verdict(f"{name} {data.measure}", by_name[name].values[data.measure], f">= {bar}")
        for name, bar in data.bars.items()
    ]
    peers = [line for line in lines if line.name not in data.bars]
    best = max(peers, key=lambda line: line.values[data.measure])
    gap = by_name[SUBJECT].values[data.measure] - best.values[data.measure]
    assert best.difference is not None
    raw = {"95 % from": f"{best.difference.low:+.4f}", "to": f"{best.difference.high:+.4f}"}
    return [*verdicts, Verdict(f"towers over the best peer, {best.name}", gap, ">= 0", raw)]


def main() -> int:
    options = argparse.ArgumentParser(prog="watchnext bench quality")
    options.add_argument("--data", choices=list(DATA), required=True)
    options.add_argument("--path", type=Path, help="folder of the data; else it is looked for or fetched")
    options.add_argument("--part", choices=[RETRIEVAL, RANKING], default="", help="one alone, in a report of its own")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    log_to_standard_error()
    try:
        verdicts, written = run(asked.data, asked.part, asked.path, load_settings())
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return report(verdicts, {"report": str(written.relative_to(ROOT))}, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
