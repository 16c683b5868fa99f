"""A real Milvus Lite server of a test's own, on a free port."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from watchnext.errors import VectorIndexError
from watchnext.index.milvus import VideoIndex


class MilvusServer:
    """Started, killed and started again on one data folder and port."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "milvus-lite"), "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self.folder / "data")]
        with (self.folder / "milvus.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while True:
            try:
                VideoIndex(self.uri).list()
            except VectorIndexError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
