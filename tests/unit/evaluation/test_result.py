import math

from watchnext.evaluation.result import Evaluation


def test_survives_saving_and_leaves_out_what_is_not_finite(tmp_path):
    result = Evaluation(
        snapshot="s",
        split_ms=1,
        end_ms=2,
        counts={"queries": 3},
        retrieval={"towers": {"recall@50": 0.5}},
        ranking={"ranker": {"auc": math.nan, "xauc": 0.6}},
        curves={"calibration": [[1.0], [2.0]]},
    )
    assert result.flat() == {"towers recall@50": 0.5, "ranker xauc": 0.6}
    result.save(tmp_path / "evaluation.json")
    loaded = Evaluation.load(tmp_path / "evaluation.json")
    assert loaded.flat() == result.flat()
    assert loaded.curves == result.curves
