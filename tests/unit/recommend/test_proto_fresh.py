"""The committed gRPC stubs are what `make proto` makes of `proto/` today."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = ("recommend_pb2.py", "recommend_pb2.pyi", "recommend_pb2_grpc.py")


def test_the_stubs_are_fresh(tmp_path: Path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed: `uv sync --extra dev`")
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    source = "proto/watchnext/v1/recommend.proto"
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-Iproto", *outputs, source], cwd=ROOT, check=True)
    stale = [
        name
        for name in FILES
        if (tmp_path / "watchnext/v1" / name).read_bytes() != (ROOT / "src/watchnext/v1" / name).read_bytes()
    ]
    assert stale == [], "run `make proto` and commit what changed"
