"""Values that cannot work together end Helm with the sentence that mends them. Keys and types: `test_generated.py`."""

from typing import Any, Final

import pytest

from helm.generate import OPERATORS
from tests.chart.rendering import VALUES, template

CLUSTER: Final = "apps/v1/Deployment"  # kinds are told by a real cluster only, `helm template` knows groups
KSERVE: Final = "serving.kserve.io/v1beta1/InferenceService"

Values = dict[str, Any]


@pytest.mark.parametrize(
    ("values", "problem", "mended_by"),
    [
        ({"externalKafka.bootstrap": "kafka:9092"}, "two Kafkas", {"kafka.enabled": False}),
        ({"kafka.enabled": False}, "no Kafka", {"externalKafka.bootstrap": "kafka:9092"}),
        ({"externalRedis.hosts": "redis:6379"}, "two online stores", {"valkey.enabled": False}),
        ({"valkey.enabled": False}, "no online store", {"externalRedis.hosts": "redis:6379"}),
        ({"externalMilvus.uri": "http://milvus:19530"}, "two vector indexes", {"milvus.enabled": False}),
        ({"milvus.enabled": False}, "no vector index", {"externalMilvus.uri": "https://milvus:19530"}),
        (
            {
                "kafka.enabled": False,
                "externalKafka": {
                    "bootstrap": "kafka:9093",
                    "securityProtocol": "SASL_SSL",
                    "saslMechanism": "PLAIN",
                },
            },
            "externalKafka.securityProtocol is SASL_SSL and externalKafka.existingSecret is empty",
            {"externalKafka.existingSecret": "kafka-user"},
        ),
        (
            {
                "kafka.enabled": False,
                "externalKafka": {
                    "bootstrap": "kafka:9093",
                    "securityProtocol": "SASL_SSL",
                    "existingSecret": "kafka-user",
                },
            },
            "externalKafka.securityProtocol is SASL_SSL and externalKafka.saslMechanism is empty",
            {"externalKafka.saslMechanism": "SCRAM-SHA-512"},
        ),
        *(
            (
                {f"generations.{key}": value},
                "generations.url names no bucket",
                {"generations.url": "s3://bucket/prefix"},
            )
            for key, value in {
                "endpoint": "http://minio:9000",
                "region": "eu-west-1",
                "existingSecret": "bucket",
            }.items()
        ),
        (
            {"training.engine": "kubeflow"},
            "training.engine is kubeflow and training.kubeflow.host is empty",
            {"training.kubeflow.host": "http://ml-pipeline.kubeflow:8888"},
        ),
        (
            {
                "training.engine": "kubeflow",
                "training.kubeflow.host": "http://kfp:8888",
                "training.first.enabled": True,
            },
            "training.first.enabled works with training.engine=job only",
            {"training.first.enabled": False},
        ),
        (
            {"training.nodes": 2, "training.kubeflow.host": "http://kfp:8888"},
            "training.nodes is 2 and training.engine is job: only a step of Kubeflow Pipelines makes TrainJobs",
            {"training.engine": "kubeflow"},
        ),
        ({"training.nodes": 2}, "training.nodes is 2 and training.engine is job", {"training.nodes": 1}),
        ({"materializer.replicas": 5}, "5 materializers for 4 partitions", {"config.kafka.partitions": 5}),
        (
            {"materializer.autoscaling": {"enabled": True, "maxReplicas": 9}},
            "9 materializers for 4 partitions",
            {"config.kafka.partitions": 9},
        ),
        (
            {"gateway.service.restPort": 9000},
            "gateway.service.restPort and gateway.service.grpcPort are both 9000",
            {"gateway.service.grpcPort": 9001},
        ),
        ({"config.serving.deadline_ms": 750}, "inner budgets are 750 together", {"config.serving.deadline_ms": 751}),
        (
            {"config.serving.ranker_budget_ms": 1_000_000},
            "config.serving.deadline_ms is 1000, and its inner budgets are 1000350 together",
            {"config.serving.deadline_ms": 1_000_351},
        ),
        *(
            (
                {f"{part}.minReplicas": 5},
                f"{part}.minReplicas is 5 and {part}.maxReplicas is 4",
                {f"{part}.maxReplicas": 5},
            )
            for part in ("retrieval", "ranking", "ranker", "graph")
        ),
        (
            {"gateway.replicas": 11, "gateway.autoscaling.enabled": True},
            "gateway.replicas is 11 and gateway.autoscaling.maxReplicas is 10",
            {"gateway.autoscaling.maxReplicas": 11},
        ),
        (
            {"materializer.replicas": 5, "materializer.autoscaling.enabled": True, "config.kafka.partitions": 8},
            "materializer.replicas is 5 and materializer.autoscaling.maxReplicas is 4",
            {"materializer.autoscaling.maxReplicas": 5},
        ),
        (
            {"training.schedule": "0 0 3 * * *"},
            "training.schedule is '0 0 3 * * *', and cron has 5 fields where training.engine is job",
            {"training.schedule": "0 3 * * *"},
        ),
        (
            {
                "training": {
                    "engine": "kubeflow",
                    "kubeflow": {"host": "http://kfp:8888"},
                    "refreshSchedule": "15 * * * *",
                }
            },
            "training.refreshSchedule is '15 * * * *', and cron has 6 fields where training.engine is kubeflow",
            {"training.refreshSchedule": "0 15 * * * *"},
        ),
        (
            {
                "training": {
                    "engine": "kubeflow",
                    "kubeflow": {"host": "http://kfp:8888"},
                    "affinity": {"nodeAffinity": {}},
                }
            },
            "training.affinity reaches no step of Kubeflow Pipelines",
            {"training.nodes": 2},
        ),
    ],
)
def test_what_cannot_work_together_is_told_with_what_mends_it(values: Values, problem: str, mended_by: Values) -> None:
    wrong, right = template(**values), template(**values | mended_by)

    assert wrong.returncode == 1
    assert problem in wrong.stderr
    assert [key for key in mended_by if key not in wrong.stderr] == []
    assert right.returncode == 0, right.stderr


@pytest.mark.parametrize("release", ["2shops", "shop.videos"])
def test_a_release_whose_services_no_api_server_would_take_is_told_of(release: str) -> None:
    wrong = template(release=release)
    right = template(release=release, fullnameOverride="shop")

    assert (wrong.returncode, right.returncode) == (1, 0), right.stderr
    assert f"the names of Services would begin with {release}-watchnext" in wrong.stderr
    assert "Set fullnameOverride" in wrong.stderr


@pytest.mark.parametrize("values", ["commonLabels", "monitoring.labels", "monitoring.dashboardLabels"])
@pytest.mark.parametrize("label", ["app.kubernetes.io/instance", "app.kubernetes.io/part-of", "helm.sh/chart"])
def test_a_label_that_the_chart_sets_is_refused(values: str, label: str) -> None:
    wrong = template(**{values: {label: "ours"}})
    right = template(**{values: {"app.kubernetes.io/created-by": "ours"}})

    assert (wrong.returncode, right.returncode) == (1, 0), right.stderr
    assert f"{values} has {label}, which the chart sets" in wrong.stderr


@pytest.mark.parametrize("peers", ["keda", "external"])
def test_no_peers_are_refused_since_the_api_takes_none_for_all(peers: str) -> None:
    run = template(**{f"networkPolicy.{peers}": []})

    assert run.returncode == 1
    assert f"at '/networkPolicy/{peers}': minItems: got 0, want 1" in run.stderr


@pytest.mark.parametrize("address", ["feast:hunter2@db/feast", "db/feast?user=feast&password=hunter2"])
def test_a_password_in_the_address_of_the_registry_is_refused_and_not_printed(address: str) -> None:
    wrong = template(**{"config.features.registry": f"postgresql://{address}"})
    right = template(**{"config.features.registry": "postgresql://feast@db/feast"})

    assert (wrong.returncode, right.returncode) == (1, 0), right.stderr
    assert "config.features.registry holds a password" in wrong.stderr
    assert "WATCHNEXT_FEATURES__REGISTRY" in wrong.stderr
    assert "hunter2" not in wrong.stderr


@pytest.mark.parametrize(
    ("apis", "values", "missing", "ways_out"),
    [
        ([], {}, "serving.kserve.io/v1beta1", ["Install KServe first"]),
        (
            [KSERVE],
            {"kafka.mode": "strimzi"},
            "kafka.strimzi.io",
            ["Install the Strimzi operator first", "kafka.mode=broker"],
        ),
        (
            [KSERVE],
            {"monitoring.enabled": True},
            "monitoring.coreos.com/v1",
            ["Install the Prometheus operator first", "monitoring.enabled=false"],
        ),
        (
            [KSERVE],
            {"training": {"engine": "kubeflow", "nodes": 2, "kubeflow": {"host": "http://kfp:8888"}}},
            "trainer.kubeflow.org/v1alpha1",
            ["Install Kubeflow Trainer first", "training.nodes=1"],
        ),
    ],
)
def test_an_operator_that_the_cluster_lacks_is_told_with_the_ways_out(
    apis: list[str], values: Values, missing: str, ways_out: list[str]
) -> None:
    run = template(api_versions=[CLUSTER, *apis], **values)

    assert run.returncode == 1
    assert f"this cluster has no {missing}" in run.stderr
    assert [way for way in ways_out if way not in run.stderr] == []


@pytest.mark.parametrize(("version", "old"), [("1.29.14", True), ("1.30.2-eks-1552ad0", False)])
def test_a_cluster_that_would_refuse_the_pods_is_told_so_first(version: str, old: bool) -> None:
    run = template(api_versions=[CLUSTER, KSERVE], kubernetes=version)

    assert (f"this cluster is Kubernetes v{version}" in run.stderr) is old
    assert (run.returncode == 1) is old, run.stderr


def test_a_cluster_with_all_operators_is_content() -> None:
    strimzi = ["kafka.strimzi.io/v1beta2", "kafka.strimzi.io/v1"]
    run = template(VALUES["own-stores"], api_versions=[CLUSTER, KSERVE, *strimzi, *OPERATORS])

    assert run.returncode == 0, run.stderr
