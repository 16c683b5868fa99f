import json

import pytest

from benchmarks.report import report
from benchmarks.rounds import Verdict

MET = Verdict("a / b", 0.5, "<= 1", {"a ms": 1.0}, 1.02)
SPOILT = Verdict("c", 0.5, "<= 1", spoilt="only 700 events/s were sent beside it")


def test_a_missed_line_fails_the_bench_and_tells_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([MET, SPOILT], {}, as_json=True) == 1

    lines = json.loads(capsys.readouterr().out)["verdicts"]
    assert [(line["outcome"], line["spoilt"]) for line in lines] == [
        ("met", ""),
        ("missed", "only 700 events/s were sent beside it"),
    ]


def test_where_every_bar_is_met_it_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([MET], {"answers": 400}, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == {"answers": 400}
