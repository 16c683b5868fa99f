"""One release a session, installed as an evaluator would: small values, the first generation from the simulator."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, connect, start
from tests.cluster.images import CODE, STORES, archive
from tests.cluster.release import CLIENTS, NAME, NAMESPACE, ROOT, TAG, Release, until

CHART = ROOT / "helm" / "watchnext"


class Ahead:
    """What tests want, made beside those that come before them: images are filled and pods start while others wait."""

    def __init__(self, wanted: set[str], folder: Path):
        self._cluster = connect()
        self._checkout = folder / "previous"
        self._threads = ThreadPoolExecutor(4)
        self.cluster = self._threads.submit(start, self._cluster)
        if "release" in wanted:
            self._installed = self._threads.submit(self._install)
            self.release = self._threads.submit(self._wait)
        if "previous" in wanted:
            self.previous: Future[Path | None] = self._threads.submit(self._load_previous)

    def end(self) -> None:
        """Wait for what nobody has asked for; remove the checkout."""
        self._threads.shutdown()
        if self._checkout.exists():
            subprocess.run([*_git(), "worktree", "remove", "--force", str(self._checkout)], check=True)

    def _install(self) -> Release:
        made = Release(self._cluster)
        with archive(ROOT, _images(TAG), TAG, (*CODE, *STORES), with_packages=not self._cluster.shares_files) as images:
            self.cluster.result()
            remove(made)
            self._cluster.load_image(images)
        made.make_client(TAG)
        made.install(CHART, TAG)
        return made

    def _wait(self) -> Release:
        made = self._installed.result()
        for job in self._cluster.list("job", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=train"):
            made.wait_for_job(job["metadata"]["name"])
        made.wait_until_ready()
        return made

    def _load_previous(self) -> Path | None:
        """The chart of the release before, once its images are loaded; none where the clone has no such commit."""
        self._installed.result()  # the first training is what tests wait for: its pod comes first
        described = subprocess.run(
            [*_git(), "describe", "--tags", "--abbrev=0", "HEAD^"], capture_output=True, text=True, check=False
        )
        commit = described.stdout.strip() or "HEAD^"
        if subprocess.run([*_git(), "rev-parse", "--verify", "--quiet", commit], capture_output=True).returncode:
            return None
        subprocess.run([*_git(), "worktree", "add", "--detach", str(self._checkout), commit], check=True)
        packages = not self._cluster.shares_files
        with archive(self._checkout, _images("previous"), "previous", CODE, with_packages=packages) as images:
            self._cluster.load_image(images)
        return self._checkout / "helm" / "watchnext"


@pytest.fixture(scope="session", autouse=True)
def ahead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ahead]:
    """Begun with the first test."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    begun = Ahead(wanted, tmp_path_factory.mktemp("ahead"))
    yield begun
    begun.end()


@pytest.fixture(scope="session")
def cluster(ahead: Ahead) -> Cluster:
    """A real cluster with KServe."""
    return ahead.cluster.result()


@pytest.fixture(scope="session")
def release(ahead: Ahead) -> Release:
    """The installed release, ready, with its first generation live, and a client outside of it."""
    return ahead.release.result()


@pytest.fixture(scope="session")
def previous(ahead: Ahead) -> Path:
    """The chart of the release before this one, its images loaded: the newest tag, else the commit before."""
    chart = ahead.previous.result()
    if chart is None:
        pytest.skip("this clone has no commit before the newest: fetch its history")
    return chart


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


def _git() -> tuple[str, ...]:
    return ("git", "-C", str(ROOT))


def _images(tag: str) -> Path:
    """An empty place for the images of a tag."""
    folder = ROOT / ".watchnext-cluster" / f"images-{tag}"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
