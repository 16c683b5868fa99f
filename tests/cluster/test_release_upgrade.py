"""From the release before to this one, back again, and away: the last tests of the release."""

import json
from pathlib import Path

from tests.cluster.cluster import CommandError
from tests.cluster.conftest import CHART
from tests.cluster.release import CLIENTS, NAME, NAMESPACE, OURS, TAG, Release, until


def test_an_upgrade_from_the_release_before_and_its_rollback_lose_no_request(release: Release, previous: Path) -> None:
    release.install(previous, "previous", verb="upgrade")
    release.wait_until_ready()
    revision = _revision(release)
    with release.load(3) as load:
        release.install(CHART, TAG, verb="upgrade")
        release.wait_until_ready()
        assert load.failed == []
        release.cluster.helm("rollback", NAME, str(revision), "-n", NAMESPACE, "--timeout", "10m")
        release.wait_until_ready()
    assert load.failed == []


def _revision(release: Release) -> int:
    (listed,) = json.loads(release.cluster.helm("list", "-n", NAMESPACE, "-o", "json"))
    return int(listed["revision"])


def test_uninstall_leaves_nothing_of_ours(release: Release) -> None:
    release.cluster.helm("uninstall", NAME, "-n", NAMESPACE, "--wait", "--timeout", "5m")
    kinds = release.cluster.kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name").split()
    listed = ",".join(kind for kind in kinds if not kind.startswith("events"))

    def left() -> list[str]:
        told = release.cluster.kubectl("-n", NAMESPACE, "get", listed, "-l", OURS, "-o", "name", "--ignore-not-found")
        return told.split()

    try:
        until(lambda: not left(), 120, "all objects of the release are gone")
    except CommandError as error:
        raise AssertionError(f"{left()} are left") from error
    assert release.cluster.list("pod", "-n", CLIENTS) != []
