"""What only a cluster knows: Helm tells of a Secret that is not there before any pod waits for it."""

import pytest

from tests.cluster.cluster import Cluster, CommandError
from tests.cluster.conftest import CHART

DRY = ("install", "shop", str(CHART), "-n", "default", "--dry-run=server", "-f", str(CHART / "values-small.yaml"))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (("gateway.apiKeysSecret.name=nowhere",), "gateway.apiKeysSecret.name"),
        (("valkey.enabled=false", "externalRedis.hosts=r:6379", "externalRedis.existingSecret=nowhere"),
         "externalRedis.existingSecret"),
    ],
)  # fmt: skip
def test_a_secret_that_is_not_there_is_named(cluster: Cluster, values: tuple[str, ...], key: str) -> None:
    sets = [word for value in values for word in ("--set", value)]
    with pytest.raises(
        CommandError, match=f"{key} names the Secret nowhere, which is not in namespace default. Create it first"
    ):
        cluster.helm(*DRY, *sets)


def test_a_secret_that_is_there_will_do(cluster: Cluster) -> None:
    cluster.kubectl("-n", "default", "create", "secret", "generic", "keys", "--from-literal=api-keys=[]")
    try:
        told = cluster.helm(*DRY, "--set", "gateway.apiKeysSecret.name=keys")
    finally:
        cluster.kubectl("-n", "default", "delete", "secret", "keys")
    assert "name: WATCHNEXT_GATEWAY__API_KEYS" in told
