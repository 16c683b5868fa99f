import pytest
from typer.testing import CliRunner

from watchnext.cli import bench
from watchnext.errors import PrerequisiteError


def test_an_installation_without_the_benchmarks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda _: None)

    with pytest.raises(PrerequisiteError, match="not in this installation: run `watchnext bench` in a checkout"):
        CliRunner().invoke(bench.app, ["stream"], catch_exceptions=False)
