"""A real S3-compatible server of a test's own, on a free port: versitygw, which keeps each object as a file."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from watchnext.local.cache import go_program
from watchnext.local.downloads import build_go

MODULE: Final = Path(__file__).parent / "versitygw"
REGION: Final = "eu-test-1"
BUCKET: Final = "watchnext"
ACCESS, SECRET = "owner", "owner-secret"


def program() -> Path:
    """The server, built where it is not there yet: four minutes on two cores."""
    binary = go_program("versitygw", MODULE)
    build_go("github.com/versity/versitygw/cmd/versitygw", MODULE, binary)
    return binary


class BucketServer:
    """Started, killed and started again on one folder and port, with one bucket."""

    def __init__(self, folder: Path):
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = "{}:{}".format(*probe.getsockname())
        self.endpoint = f"http://{address}"
        self.client = client(self.endpoint, ACCESS, SECRET)
        options = ["--quiet", "--access", ACCESS, "--secret", SECRET, "--region", REGION, "--port", address]
        self._command = [str(program()), *options, "--iam-dir", str(folder / "users"), "posix", str(folder / "buckets")]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for name in ("users", "buckets"):
            (self._folder / name).mkdir(exist_ok=True)
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while True:
            try:
                known = [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]
            except BotoCoreError:
                assert time.monotonic() < deadline, (self._folder / "server.log").read_text()
                time.sleep(0.1)
            else:
                break
        if BUCKET not in known:
            self.client.create_bucket(Bucket=BUCKET)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def add_user(self, name: str, secret: str, *rights: str) -> None:
        """A user who may list the bucket and has these rights on its objects, and no others; he replaces the last."""
        of_server = ["--access", ACCESS, "--secret", SECRET, "--region", REGION, "--endpoint-url", self.endpoint]
        user = ["create-user", "--access", name, "--secret", secret, "--role", "user"]
        subprocess.run([str(program()), "admin", *of_server, *user], check=True, capture_output=True)
        allow = {"Effect": "Allow", "Principal": {"AWS": [name]}}
        statements: list[dict[str, Any]] = [
            {**allow, "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{BUCKET}"]},
            {**allow, "Action": list(rights), "Resource": [f"arn:aws:s3:::{BUCKET}/*"]},
        ]
        self.client.put_bucket_policy(
            Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
        )


def client(endpoint: str, access: str, secret: str) -> BaseClient:
    """The plain client: an independent look at what is in the bucket, and another writer to it."""
    return Session().create_client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=access, aws_secret_access_key=secret
    )
