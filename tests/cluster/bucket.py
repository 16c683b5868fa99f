"""An S3-compatible server in a pod outside of the release, with one bucket: versitygw, as in `tests/local`."""

import json
from pathlib import Path
from typing import Any, Final

from tests.cluster.images import of_program
from tests.cluster.release import CLIENTS, NAMESPACE, RESTRICTED, Release
from tests.local.bucket_server import ACCESS, BUCKET, REGION, SECRET, program

POD: Final = "bucket"
IMAGE: Final = "localhost/versitygw:test"
ENDPOINT: Final = f"http://{POD}.{CLIENTS}.svc:9000"
KEYS: Final = "watchnext-bucket"  # the Secret
PREFIX: Final = "generations"
MAKE: Final = """
import sys
from botocore.session import Session
endpoint, region, access, secret, bucket = sys.argv[1:]
asked = Session().create_client("s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access,
    aws_secret_access_key=secret)
"""
MAKE_BUCKET: Final = MAKE + "asked.create_bucket(Bucket=bucket)"
LIST: Final = (
    MAKE
    + """
import json
print(json.dumps([one["Key"] for one in asked.list_objects_v2(Bucket=bucket).get("Contents", [])]))
"""
)
VALUES: Final[dict[str, Any]] = {  # of the release
    "generations": {
        "url": f"s3://{BUCKET}/{PREFIX}",
        "endpoint": ENDPOINT,
        "region": REGION,
        "existingSecret": KEYS,
    },
    "networkPolicy": {
        "external": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": CLIENTS}}}],
    },
}


def start(release: Release, folder: Path) -> None:
    """The server, its empty bucket, and the Secret that the release reads; `folder` is for what is made on the way."""
    cluster = release.cluster
    cluster.load_image(of_program(program(), folder, IMAGE, "versitygw"))
    port = ["--port", ":9000"]
    command = ["/versitygw", "--access", ACCESS, "--secret", SECRET, "--region", REGION, *port, "posix", "/data"]
    container = {
        "name": "server",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": command,
        "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "512Mi"}},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "containers": [container],
        "securityContext": {"fsGroup": 65532},
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    here = {"name": POD, "namespace": CLIENTS}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": here | {"labels": {"app": POD}}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here,
            "spec": {"selector": {"app": POD}, "ports": [{"port": 9000}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEYS, "namespace": NAMESPACE},
            "stringData": {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET},
        },
    )
    cluster.kubectl("-n", CLIENTS, "wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=120s")
    _ask(release, MAKE_BUCKET)


def objects(release: Release) -> list[str]:
    """The keys in the bucket, as another client lists them."""
    keys: list[str] = json.loads(_ask(release, LIST))
    return keys


def _ask(release: Release, script: str) -> str:
    return release.python(script, ENDPOINT, REGION, ACCESS, SECRET, BUCKET)
