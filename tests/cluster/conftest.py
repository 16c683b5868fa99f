"""One release a session, installed as an evaluator would: small values, the first generation from the simulator."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, connect
from tests.cluster.images import CODE, STORES, archives
from tests.cluster.release import CLIENTS, NAME, NAMESPACE, ROOT, TAG, Release, until

CHART = ROOT / "helm" / "watchnext"


def make_images(cluster: Cluster, checkout: Path, tag: str, names: Sequence[str]) -> None:
    """Fill and load the images of a checkout."""
    folder = ROOT / ".watchnext-cluster" / f"images-{tag}"
    shutil.rmtree(folder, ignore_errors=True)
    with archives(checkout, folder, tag, names, with_packages=not cluster.shares_files) as made:
        for archive in made:
            cluster.load_image(archive)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """A real cluster with KServe."""
    return connect()


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Release:
    """The installed release, ready, with its first generation live, and a client outside of it."""
    made = Release(cluster)
    remove(made)
    make_images(cluster, ROOT, TAG, (*CODE, *STORES))
    made.make_client(TAG)
    made.install(CHART, TAG)
    for job in cluster.list("job", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=train"):
        made.wait_for_job(job["metadata"]["name"])
    made.wait_until_ready()
    return made


def remove(release: Release) -> None:
    """What an earlier run has left."""
    cluster = release.cluster
    if NAME in cluster.helm("list", "-n", NAMESPACE, "-q").split():
        cluster.helm("uninstall", NAME, "-n", NAMESPACE, "--wait")
    cluster.kubectl("delete", "namespace", NAMESPACE, CLIENTS, "--ignore-not-found")
    volumes = ("watchnext-state", f"packages-{NAMESPACE}", f"packages-{CLIENTS}")
    cluster.kubectl("delete", "pv", *volumes, "--ignore-not-found")
    until(lambda: not cluster.list("pod", "-n", NAMESPACE), 120, f"the pods in {NAMESPACE} are gone")
    shutil.rmtree(ROOT / ".watchnext-cluster" / "state", ignore_errors=True)


@pytest.fixture(scope="session")
def previous(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The chart of the release before this one, its images loaded: the newest tag, else the commit before."""
    git = ("git", "-C", str(ROOT))
    described = subprocess.run([*git, "describe", "--tags", "--abbrev=0", "HEAD^"], capture_output=True, text=True)
    commit = described.stdout.strip() or "HEAD^"
    if subprocess.run([*git, "rev-parse", "--verify", "--quiet", commit], capture_output=True, check=False).returncode:
        pytest.skip("this clone has no commit before the newest: fetch its history")
    checkout = tmp_path_factory.mktemp("previous") / "checkout"
    subprocess.run([*git, "worktree", "add", "--detach", str(checkout), commit], check=True, capture_output=True)
    try:
        make_images(cluster, checkout, "previous", CODE)
        yield checkout / "helm" / "watchnext"
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(checkout)], check=True)
