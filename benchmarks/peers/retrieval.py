"""Chooses each peer's parameters on the validation split, fits it on the test split, writes its lists. Runs inside the
peers' environment (`benchmarks.peers.environment`).

Out come `<peer>-seed<n>.npz` (`ranked` `[queries, 200]`) and `<peer>.json` (`benchmarks.peers.choice.Record`).
"""

from typing import Final

from benchmarks.peers import rectools_peers as rectools
from benchmarks.peers.choice import SEEDS, grid
from benchmarks.peers.command import Peer, run
from benchmarks.peers.contest import retrieval_task
from benchmarks.peers.youtube_dnn import youtube_dnn

LISTS: Final = retrieval_task()
PEERS: Final = {
    "popular": Peer(rectools.popular, LISTS, ("rectools",), grid(days=[0, 14, 7, 3, 2])),
    "popular-last-day": Peer(rectools.popular, LISTS, ("rectools",), grid(days=[1])),
    "item-knn": Peer(
        rectools.item_knn, LISTS, ("rectools", "pm-implicit"), grid(neighbours=[100, 500, 5_000], last=[[20, 5, 0]])
    ),
    "ease": Peer(rectools.ease, LISTS, ("rectools",), grid(regularization=[200, 1_000], last=[[20, 5, 0]])),
    "ials": Peer(
        rectools.ials,
        LISTS,
        ("rectools", "pm-implicit"),
        grid(factors=[64], alpha=[1, 10, 40], regularization=[1, 30], iterations=[15]),
        SEEDS,
    ),
    "lightfm": Peer(
        rectools.lightfm,
        LISTS,
        ("rectools", "rectools-lightfm"),
        grid(no_components=[64], loss=["warp"], learning_rate=[0.05], epochs=[30], every=[3]),
        SEEDS,
    ),
    # The epochs of the last two are what some minutes on one core allow: an epoch of MovieLens-1M takes YoutubeDNN two
    # minutes and SASRec a third of one, and longer sequences cost time in proportion.
    "youtube-dnn": Peer(
        youtube_dnn,
        LISTS,
        ("torch-rechub", "torch"),
        grid(
            width=[64],
            hidden=[[128]],
            temperature=[0.05, 0.1],
            negatives=[60],
            batch=[1_024],
            lr=[2e-3],
            weight_decay=[1e-6],
            epochs=[{"kuairand": 10, "movielens-1m": 2}],
        ),
        SEEDS,
    ),
    "sasrec": Peer(
        rectools.sasrec,
        LISTS,
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
            every=[6],
        ),
        SEEDS,
    ),
}


if __name__ == "__main__":
    run(PEERS, __doc__)
