"""The names: what Prometheus asks of them, and labels whose values stay few."""

import re

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from watchnext.ops import metrics

DECLARED = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)}
FEW = {  # every label, and how many values it may have
    "protocol": 2,
    "code": 30,
    "part": 6,
    "backend": 5,
    "stage": 4,
    "cause": 6,
    "generation": 1,  # the series before is removed
    "overlay": 1,
    "topic": 7,
    "outcome": 3,
    "reason": 3,
    "view": 7,
}


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_a_metric_is_ours_is_explained_and_has_few_series(metric: MetricWrapperBase):
    [family] = metric.describe()
    assert re.fullmatch(r"watchnext_[a-z_]+", family.name)
    assert len(family.documentation) > 10
    series = 1
    for label in metric._labelnames:
        series *= FEW[label]
    assert series <= 100


def test_durations_and_times_are_in_seconds():
    histograms = {metric.describe()[0].name for metric in DECLARED.values() if isinstance(metric, Histogram)}
    assert {name for name in histograms if not name.endswith("_seconds")} == {"watchnext_retrieval_candidates"}
    gauges = {metric.describe()[0].name for metric in DECLARED.values() if isinstance(metric, Gauge)}
    assert {name for name in gauges if "time" in name} == {
        name for name in gauges if name.endswith("_timestamp_seconds")
    }


def test_counters_do_not_say_total_twice():
    assert not [name for name, metric in DECLARED.items() if isinstance(metric, Counter) and "total" in metric._name]
