"""Chooses each peer's parameters on the validation split, fits it on the test split, writes its lists. Runs inside the
peers' environment (`benchmarks.peers.environment`).

Out come `<peer>-seed<n>.npz` (`ranked` `[queries, 200]`) and `<peer>.json` (`benchmarks.peers.choice.Record`). A peer
whose splits, grid and packages are those of the JSON that is there is not run again.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers import rectools_peers as rectools
from benchmarks.peers.choice import SEEDS, Parameters, grid
from benchmarks.peers.contest import Answers, compete, retrieval_task
from benchmarks.peers.youtube_dnn import youtube_dnn


@dataclass(frozen=True)
class Peer:
    """A contender; `lists` yields ranked lists: one, or one after each so many epochs."""

    lists: Answers
    packages: tuple[str, ...]
    grid: tuple[Parameters, ...]
    seeds: tuple[int, ...] = SEEDS[:1]


PEERS: Final = {
    "popular": Peer(rectools.popular, ("rectools",), grid(days=[0, 14, 7, 3, 2])),
    "popular-last-day": Peer(rectools.popular, ("rectools",), grid(days=[1])),
    "item-knn": Peer(
        rectools.item_knn, ("rectools", "pm-implicit"), grid(neighbours=[100, 500, 5_000], last=[[20, 5, 0]])
    ),
    "ease": Peer(rectools.ease, ("rectools",), grid(regularization=[200, 1_000], last=[[20, 5, 0]])),
    "ials": Peer(
        rectools.ials,
        ("rectools", "pm-implicit"),
        grid(factors=[64], alpha=[1, 10, 40], regularization=[1, 30], iterations=[15]),
        SEEDS,
    ),
    "lightfm": Peer(
        rectools.lightfm,
        ("rectools", "rectools-lightfm"),
        grid(no_components=[64], loss=["warp"], learning_rate=[0.05], epochs=[30], every=[3]),
        SEEDS,
    ),
    "youtube-dnn": Peer(
        youtube_dnn,
        ("torch-rechub", "torch"),
        grid(
            width=[64],
            hidden=[[128]],
            temperature=[0.05, 0.1],
            negatives=[60],
            batch=[1_024],
            lr=[2e-3],
            weight_decay=[1e-6],
            epochs=[10],
        ),
        SEEDS,
    ),
    # Its epochs are what a few minutes on one core allow; longer sequences cost time in proportion.
    "sasrec": Peer(
        rectools.sasrec,
        ("rectools", "torch", "pytorch-lightning"),
        grid(
            session_max_len=[{"kuairand": 20, "movielens-1m": 50}],
            n_blocks=[2],
            n_heads=[1],
            n_factors=[64],
            dropout_rate=[0.2],
            loss=["gBCE"],
            gbce_t=[0.75],
            n_negatives=[32],
            lr=[1e-3],
            batch_size=[32],
            epochs=[24],
            every=[3],
        ),
        SEEDS,
    ),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    for folder in ("valid", "test", "out"):
        options.add_argument(f"--{folder}", type=Path, required=True)
    options.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.peers:
        peer = PEERS[name]
        compete(
            name,
            peer.lists,
            peer.grid,
            peer.seeds,
            task=retrieval_task(),
            valid=asked.valid,
            test=asked.test,
            out=asked.out,
            packages=peer.packages,
        )


if __name__ == "__main__":
    main()
