"""The NetworkPolicies allow the needed connections and no other: equal to tables written by hand."""

from typing import Any, Final

import pytest

from tests.chart.edges import Peer, edges, peers_of
from tests.chart.pods import pods_of
from tests.chart.rendering import NAMESPACE, VALUES, of_kind, render, rendered

STRANGER: Final = Peer("stranger", "elsewhere")
NEIGHBOUR: Final = Peer("neighbour", NAMESPACE)  # a pod in our namespace that is not the release's
CLIENT: Final = Peer("client", "shop", namespace_labels={"name": "shop"})
PROMETHEUS: Final = Peer("prometheus", "monitoring", namespace_labels={"name": "monitoring"})
PODS: Final = (STRANGER, NEIGHBOUR, CLIENT, PROMETHEUS)
STORE: Final = Peer("store", address="10.20.0.5")
INTERNET: Final = Peer("internet", address="203.0.113.7")
OUTSIDE: Final = (*PODS, STORE, INTERNET)
# What the operator labels its brokers; it makes their policies too.
STRIMZI: Final = Peer("strimzi", NAMESPACE, {"strimzi.io/cluster": "shop-watchnext-kafka", "strimzi.io/kind": "Kafka"})
# All that any process listens on: of ours, of TorchServe (management 8086, metrics 8087, gRPC 7070 and 7071), of Milvus
# (9091), of Kafka's controller (9093), and two that nobody does.
PORTS: Final = (80, 443, 6379, 7070, 7071, 8000, 8080, 8086, 8087, 9000, 9090, 9091, 9092, 9093, 19530)

Edge = tuple[str, str, int]

# The request path and its writers; test pods call what clients call, and look into the stores.
SERVING: Final[set[Edge]] = {
    ("gateway", "graph", 8080),
    ("graph", "retrieval", 8080),
    ("graph", "ranking", 8080),
    ("ranking", "ranker", 8080),
    ("test", "gateway", 8000),
    ("test", "gateway", 9000),
    ("test", "graph", 8080),
}
KAFKA_CALLERS: Final = ("gateway", "materializer", "train", "test")
KAFKA: Final[set[Edge]] = {(caller, "kafka", 9092) for caller in KAFKA_CALLERS}
VALKEY: Final[set[Edge]] = {
    (caller, "valkey", 6379) for caller in ("materializer", "retrieval", "definitions", "train", "test")
}
MILVUS: Final[set[Edge]] = {(caller, "milvus", 19530) for caller in ("retrieval", "train", "test")}
ENTRANCES: Final = (("gateway", 8000), ("gateway", 9000), ("graph", 8080))
METRICS: Final = (
    ("gateway", 8000),
    ("materializer", 9090),
    ("retrieval", 8080),
    ("ranking", 8080),
    ("ranker", 9090),
    ("ranker", 8087),
)


def entering(*peers: Peer, at: tuple[tuple[str, int], ...] = ENTRANCES) -> set[Edge]:
    return {(peer.name, callee, port) for peer in peers for callee, port in at}


TABLES: Final[dict[str, set[Edge]]] = {
    "values": SERVING | KAFKA | VALKEY | MILVUS | entering(*OUTSIDE),
    "values-small": SERVING | KAFKA | VALKEY | MILVUS | entering(*OUTSIDE),
    # Without networkPolicy.monitoring, every pod of the cluster may read /metrics.
    "values-prod": SERVING | entering(*OUTSIDE) | entering(*PODS, at=METRICS),
    "own-stores": SERVING | VALKEY | MILVUS | entering(CLIENT) | entering(PROMETHEUS, at=METRICS),
}
# Who may leave the cluster, and whereto. The graph calls its two steps only; Kafka, Valkey and Milvus call nobody.
LEAVING: Final[dict[str, set[tuple[str, str]]]] = {
    "values": set(),
    "values-small": set(),
    # To the bucket, which AWS has at public addresses, and to the stores; the guard of the ranker needs neither.
    "values-prod": {
        (caller, "internet")
        for caller in ("gateway", "materializer", "retrieval", "ranker", "definitions", "train", "test")
    },
    "own-stores": set(),
}


def allowed(name: str) -> set[Edge]:
    return edges(rendered(name), [*peers_of(pods_of(rendered(name))), *OUTSIDE], PORTS)


def test_the_tables_are_of_all_values_files_with_policies() -> None:
    with_policies = {name for name in VALUES if of_kind(rendered(name), "NetworkPolicy")}

    assert with_policies == TABLES.keys() == LEAVING.keys()


@pytest.mark.parametrize("name", TABLES)
def test_the_release_is_entered_and_crossed_by_the_needed_connections_only(name: str) -> None:
    outside = {peer.name for peer in OUTSIDE}

    assert sorted(edge for edge in allowed(name) if edge[1] not in outside) == sorted(TABLES[name])


@pytest.mark.parametrize("name", LEAVING)
def test_the_cluster_is_left_by_those_who_must(name: str) -> None:
    outside = {STORE.name, INTERNET.name}
    inside = {peer.name for peer in peers_of(pods_of(rendered(name)))}

    assert {edge[:2] for edge in allowed(name) if edge[0] in inside and edge[1] in outside} == LEAVING[name]


def test_production_reaches_its_stores_and_kubeflow_in_their_namespaces_and_no_other_pod() -> None:
    names = ("kafka", "redis", "milvus", "kubeflow", "shop")
    others = [Peer(name, name, namespace_labels={"kubernetes.io/metadata.name": name}) for name in names]
    documents = rendered("values-prod")
    found = edges(documents, [*peers_of(pods_of(documents)), *others], (9093,))

    assert {callee for caller, callee, _ in found if caller == "train"} == {"kafka", "redis", "milvus", "kubeflow"}


def test_clients_of_strimzis_brokers_may_call_them() -> None:
    documents = rendered("own-stores")
    inside = peers_of(pods_of(documents))
    calls = {edge for edge in edges(documents, [*inside, STRIMZI], PORTS) if edge[1] == STRIMZI.name}

    assert calls == {(caller, "strimzi", 9092) for caller in KAFKA_CALLERS}


@pytest.mark.parametrize("name", TABLES)
def test_connections_end_at_ports_that_the_callee_declares(name: str) -> None:
    declared = {(pod.component, port) for pod in pods_of(rendered(name)) for port in pod.ports.values()}
    silent = {("graph", 8080), ("ranker", 8087)}  # KServe's router declares none; TorchServe's metrics

    assert {edge[1:] for edge in TABLES[name]} <= declared | silent


def test_steps_in_kubeflow_may_load_vectors_into_our_milvus() -> None:
    """Their pods are Kubeflow's, which labels them so: no selector of the release knows them."""
    step = Peer("step", NAMESPACE, {"pipelines.kubeflow.org/v2_component": "true"})
    kubeflow = {"engine": "kubeflow", "kubeflow": {"host": "http://kfp:8888"}}

    assert reached_by(step, training=kubeflow) == {("milvus", 19530)}
    assert reached_by(step, training={"engine": "job"}) == set()


def test_kafka_is_opened_to_the_scaler_and_not_to_whoever_may_scrape() -> None:
    keda = Peer("keda", "keda", namespace_labels={"kubernetes.io/metadata.name": "keda"})
    scaled = {"materializer.autoscaling.enabled": True}

    assert reached_by(keda, **scaled) == {("kafka", 9092)}
    assert reached_by(STRANGER, **scaled) == set()
    assert reached_by(keda, api_versions=(), **scaled) == set()  # no KEDA: processor use asks no broker


@pytest.mark.parametrize(
    ("changes", "away"),
    [
        ({"config.features.registry": "postgresql+psycopg://feast@10.20.0.5/feast"}, True),
        ({"config.features.offline": "bigquery://project.videos"}, True),
        ({"extraEnv": [{"name": "WATCHNEXT_FEATURES__REGISTRY", "value": "mysql://10.20.0.5/feast"}]}, True),
        ({"config.features.registry": "/mnt/features/registry.db"}, False),
    ],
)
def test_a_feature_store_outside_of_the_cluster_can_be_reached(changes: dict[str, Any], away: bool) -> None:
    documents = render(**changes)
    found = edges(documents, [*peers_of(pods_of(documents)), STORE], (5432,))

    assert (("definitions", STORE.name, 5432) in found) is away


def reached_by(peer: Peer, **changes: Any) -> set[tuple[str, int]]:
    """Callee and port of what a pod beside the release may call in it, the entrances left out."""
    documents = render(**changes)
    found = edges(documents, [*peers_of(pods_of(documents)), peer], PORTS)
    return {edge[1:] for edge in found if edge[0] == peer.name} - set(ENTRANCES)


@pytest.mark.parametrize(
    ("brought", "callers"),
    [
        ({"kafka.enabled": False, "externalKafka.bootstrap": "kafka:9092"}, set(KAFKA_CALLERS)),
        ({"valkey.enabled": False, "externalRedis.hosts": "redis:6379"}, {caller for caller, _, _ in VALKEY}),
        ({"milvus.enabled": False, "externalMilvus.uri": "http://milvus:19530"}, {caller for caller, _, _ in MILVUS}),
        ({"config.ops.otlp_endpoint": "http://tempo:4318"}, {"gateway", "retrieval", "ranking"}),
        ({"config.features.offline": "bigquery://project.videos"}, {"materializer", "definitions", "train"}),
    ],
)
def test_those_leave_for_what_is_brought_who_call_it(brought: dict[str, Any], callers: set[str]) -> None:
    documents = render(**brought)
    found = edges(documents, [*peers_of(pods_of(documents)), STORE], (443,))

    assert {caller for caller, callee, _ in found if callee == STORE.name} == callers
