from benchmarks import loader


def test_both_models_train_from_files_and_from_memory(monkeypatch):
    monkeypatch.setattr(loader, "EXAMPLES", 1_500)
    towers, ranker = loader.loader_verdicts(rounds=1)
    assert (towers.name, ranker.name) == ("towers: loader over memory", "ranker: loader over memory")
    for verdict in (towers, ranker):
        assert verdict.value > 0
        assert set(verdict.raw) == {"loader examples/s", "memory examples/s"}
