"""The ranking half of the bench: splits, the scores of everybody, figures."""

import json
from pathlib import Path
from typing import Final

from benchmarks.peers.environment import run_peers
from benchmarks.quality.impressions import Impressions
from benchmarks.quality.page import Section, records_of
from benchmarks.quality.ranking import RANKER, UNWEIGHTED, run_rankers
from benchmarks.quality.ranking_figures import lines_of, read_scores
from benchmarks.quality.ranking_report import RankingReport
from benchmarks.quality.ranking_split import ranking_split
from benchmarks.quality.split_files import DESCRIPTION
from benchmarks.quality.splits import TEST_CUT_MS, VALID_CUT_MS
from watchnext.cli.output import note

PEERS: Final = "benchmarks.peers.ranking"
TITLE: Final = "Ranking on the KuaiRand-Pure slice: impressions from 28 April on"


def ranking_section(folder: Path, bench: Path, home: Path) -> Section:
    """What is there of the same data, parameters and code is not made again.

    Args:
        folder: of the data.
        bench: where splits and scores stay.
        home: with the peers' environment.
    """
    valid, test, scores = bench / "valid", bench / "test", bench / "scores"
    note("ranking: the splits and their examples")
    ranking_split(folder, valid, VALID_CUT_MS, TEST_CUT_MS)
    split = ranking_split(folder, test)
    scores.mkdir(parents=True, exist_ok=True)
    note("ranking: our rankers")
    run_rankers(valid, test, scores)
    note("ranking: the peers")
    peers = run_peers(PEERS, ["--valid", valid, "--test", test, "--out", scores], home)
    note("ranking: figures and their intervals")
    names = [RANKER, UNWEIGHTED, *peers]
    asked, found = Impressions.of(split).asked, read_scores(scores, names)
    return RankingReport(
        title=TITLE,
        split=json.loads((test / DESCRIPTION).read_text()),
        asked=asked,
        scores=found,
        lines=lines_of(asked, found),
        records=records_of(scores, names),
    ).section()
