"""What the chart says again, since Helm reads no Python, is what the product's contracts say."""

from tests.chart.rendering import NAMESPACE, of_kind, rendered, template
from watchnext.contracts.names import Topic
from watchnext.local.router import graph_spec
from watchnext.settings import Settings
from watchnext.stream.topics import topic_configs


def test_the_graph_has_the_steps_and_the_time_out_of_the_contract(values: str) -> None:
    (graph,) = of_kind(rendered(values), "InferenceGraph")
    prefix = graph["metadata"]["name"].removesuffix("-graph")
    contract = graph_spec(
        f"http://{prefix}-retrieval-predictor.{NAMESPACE}.svc", f"http://{prefix}-ranking-transformer.{NAMESPACE}.svc"
    )

    assert graph["spec"]["nodes"] == contract["nodes"]
    if values != "all-options":  # where the time-out is another
        assert graph["spec"]["routerTimeouts"] == contract["routerTimeouts"]


def test_strimzi_makes_our_topics_with_our_partitions_and_cleaning() -> None:
    topics = of_kind(rendered("own-stores"), "KafkaTopic")
    configs = {topic["spec"]["topicName"]: topic["spec"]["config"] for topic in topics}

    assert configs == {topic.value: topic_configs(topic) or {"cleanup.policy": "delete"} for topic in Topic}


def test_the_chart_reckons_with_the_products_default_partitions_and_group() -> None:
    (scaler,) = of_kind(rendered("own-stores"), "ScaledObject")
    default = Settings().kafka
    most, more = (template(**{"materializer.replicas": default.partitions + extra}) for extra in (0, 1))

    assert scaler["spec"]["triggers"][0]["metadata"]["consumerGroup"] == default.group
    assert (most.returncode, more.returncode) == (0, 1)


def test_the_chart_reckons_with_the_products_default_deadline_and_budgets() -> None:
    default = Settings().serving
    left = default.deadline_ms - default.features_budget_ms - default.index_budget_ms
    together = default.features_budget_ms + default.index_budget_ms + default.ranker_budget_ms
    runs = [
        template(**{f"config.serving.{key}": value})
        for key, edge in (("ranker_budget_ms", left - 1), ("deadline_ms", together))
        for value in (edge, edge + 1)
    ]

    assert [run.returncode for run in runs] == [0, 1, 1, 0]
