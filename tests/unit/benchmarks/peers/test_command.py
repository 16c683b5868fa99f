import json
from pathlib import Path

import pytest

from benchmarks.peers import command
from benchmarks.peers.choice import grid
from benchmarks.peers.command import Peer
from benchmarks.peers.contest import retrieval_task


def test_the_peers_that_were_asked_are_named_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "compete", lambda name, *_, **__: print(f"what {name}'s library says"))
    folders = ["--valid", str(tmp_path), "--test", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["peers", *folders, "--peers", "knn", "ease"])
    peer = Peer(lambda split, parameters, seed: iter([]), retrieval_task(), (), grid(a=[1]))

    command.run({"ease": peer, "knn": peer, "sasrec": peer}, None)

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == ["knn", "ease"]
