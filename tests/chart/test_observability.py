"""Dashboards and alerts: Prometheus' own parser and engine read them, and they name what the code declares.

An alert is tried on series written by hand: such as it is there for, and such as are nearly that.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import ts
import yaml
from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from helm.generate import CHART, REPO
from tests.chart.binaries import program
from tests.chart.rendering import rendered
from watchnext.ops import metrics

RULES: Final = (CHART / "rules" / "watchnext.yaml").read_text()
ALERTS: Final = {rule["alert"]: rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]}
DASHBOARDS: Final = {path.name: json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")}
VARIABLES: Final = {"$__rate_interval": "5m", "$namespace": ".*"}  # that Grafana fills in

OURS: Final = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
FROM_PROMETHEUS: Final = {"up"}
FROM_ITS_CLIENT: Final = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
FROM_TORCHSERVE: Final = {
    metric["name"]
    for metric in yaml.safe_load((Path(ts.__file__).parent / "configs" / "metrics.yaml").read_text())["ts_metrics"][
        "counter"
    ]
}
FROM_THE_SCRAPE: Final = {"namespace", "pod", "watchnext_component", "le"}

SERVED: Final = 'watchnext_answers_total{namespace="n",code="200"} 0+600x20'  # ten a second
WORKER: Final = 'namespace="n",pod="w"'


def names_of(metric: MetricWrapperBase) -> set[str]:
    """What a scrape shows of a metric."""
    [family] = metric.describe()
    if isinstance(metric, Histogram):
        return {f"{family.name}{suffix}" for suffix in ("_bucket", "_sum", "_count")}
    return {f"{family.name}_total" if family.type == "counter" else family.name}


NAMES: Final = {name: metric for metric in OURS for name in names_of(metric)}


@cache
def look(queries: tuple[str, ...], series: tuple[str, ...] = (), at: int = 0, rules: str = "") -> dict[str, Any]:
    """What Prometheus makes of them (`tools/promql`)."""
    question = {"rules": rules, "queries": queries, "series": series, "at": at}
    run = subprocess.run([program("promql")], input=json.dumps(question), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)  # type: ignore[no-any-return]


def filled(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def queries_of(dashboard: dict[str, Any]) -> list[str]:
    return [filled(target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


QUERIES: Final = tuple(
    [rule["expr"] for rule in ALERTS.values()]
    + [query for dashboard in DASHBOARDS.values() for query in queries_of(dashboard)]
)


def test_prometheus_takes_the_rules() -> None:
    assert look((), rules=RULES)["rule_faults"] == []


def test_there_are_the_three_dashboards() -> None:
    assert set(DASHBOARDS) == {"overview.json", "stream.json", "serving.json"}


def test_every_query_can_be_read_and_names_only_metrics_and_labels_that_there_are() -> None:
    for query, read in zip(QUERIES, look(QUERIES)["queries"], strict=True):
        assert read["fault"] == "", query
        assert read["metrics"], query
        unknown = set(read["metrics"]) - NAMES.keys() - FROM_PROMETHEUS - FROM_ITS_CLIENT - FROM_TORCHSERVE
        assert unknown == set(), query
        labels = {label for name in read["metrics"] if name in NAMES for label in NAMES[name]._labelnames}
        assert set(read["labels"]) - labels - FROM_THE_SCRAPE == set(), query


def test_every_metric_is_looked_at_somewhere() -> None:
    looked_at = {name for read in look(QUERIES)["queries"] for name in read["metrics"]}
    assert [metric for metric in OURS if not names_of(metric) & looked_at] == []


def test_dashboards_and_panels_can_be_told_apart() -> None:
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS.values():
        assert duplicates(panel["id"] for panel in dashboard["panels"]) == []
        assert duplicates(panel["title"] for panel in dashboard["panels"]) == []
        assert duplicates(cell for panel in dashboard["panels"] for cell in cells(panel["gridPos"])) == []
        for panel in dashboard["panels"]:
            assert panel["description"]
            assert duplicates(target["refId"] for target in panel["targets"]) == []


def duplicates(things: Iterable[Any]) -> list[Any]:
    return [thing for thing, count in Counter(things).items() if count > 1]


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    return [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_its_runbook_is(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (REPO / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_there_is_no_runbook_without_an_alert() -> None:
    headings = re.findall(r"^## (.+)$", (REPO / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert headings == list(ALERTS)


FIRES: Final[dict[str, Sequence[str]]] = {
    "WatchnextProcessDown": ['up{watchnext_component="gateway",pod="g"} 0x20'],
    "WatchnextAnswersFail": [SERVED, 'watchnext_answers_total{namespace="n",code="500"} 0+6x20'],
    "WatchnextAnswersDegraded": [SERVED, 'watchnext_degraded_total{namespace="n",part="index"} 0+60x20'],
    "WatchnextAnswersSlow": [
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="0.5"} 0+900x20',
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="1.0"} 0+1000x20',
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="+Inf"} 0+1000x20',
    ],
    "WatchnextRequestsShed": ['watchnext_shed_total{namespace="n"} 0+1x20'],
    "WatchnextBreakerOpen": [
        'watchnext_breaker_open{namespace="n",pod="a",backend="Milvus"} 1x20',
        'watchnext_breaker_open{namespace="n",pod="b",backend="Milvus"} 0x20',
    ],
    "WatchnextRankerLate": [
        'watchnext_ranker_seconds_count{namespace="n"} 0+600x20',
        'watchnext_ranking_fallbacks_total{namespace="n",cause="late"} 0+12x20',
    ],
    "WatchnextServedListsLost": [
        'watchnext_served_dropped_total{namespace="n"} 0+1x20',
        'watchnext_impressions_dropped_total{namespace="n"} 0x20',
    ],
    "WatchnextGenerationRefused": ['watchnext_generation_refusals_total{namespace="n",pod="r"} 0x14 1x6'],
    "WatchnextGenerationsDiffer": [
        'watchnext_generation_info{namespace="n",pod="a",generation="g1",overlay="0"} 1x20',
        'watchnext_generation_info{namespace="n",pod="b",generation="g1",overlay="1"} 1x20',
    ],
    "WatchnextPointerUnread": ['watchnext_generation_pointer_read_timestamp_seconds{namespace="n",pod="r"} 900x20'],
    "WatchnextNoWorker": ['watchnext_in_flight{namespace="n"} 0x20'],
    "WatchnextStreamStalled": [
        f'watchnext_stream_lag_messages{{{WORKER},topic="watch-events"}} 3x20',
        f"watchnext_stream_commit_timestamp_seconds{{{WORKER}}} 600x20",
    ],
    "WatchnextStreamBehind": [
        f'watchnext_stream_lag_messages{{{WORKER},topic="watch-events"}} 4000x20',
        f'watchnext_stream_events_total{{{WORKER},topic="watch-events",outcome="folded"}} 0+600x20',
    ],
    "WatchnextBatchesAbandoned": ['watchnext_stream_batches_abandoned_total{namespace="n",cause="store"} 0+5x20'],
    "WatchnextDeadLetters": [
        'watchnext_stream_dead_letters_total{namespace="n",topic="watch-events",reason="key"} 0+1x20'
    ],
    "WatchnextEventsLate": [
        'watchnext_stream_events_total{namespace="n",topic="watch-events",outcome="folded"} 0+600x20',
        'watchnext_stream_events_total{namespace="n",topic="watch-events",outcome="late"} 0+12x20',
    ],
}
QUIET: Final[dict[str, Sequence[str]]] = {
    "WatchnextProcessDown": ['up{watchnext_component="gateway",pod="g"} 1x20', 'up{job="another"} 0x20'],
    "WatchnextAnswersFail": [SERVED, 'watchnext_answers_total{namespace="n",code="503"} 0+600x20'],  # shed, told apart
    "WatchnextAnswersDegraded": [
        SERVED,
        'watchnext_degraded_total{namespace="n",part="index"} 0+20x20',  # 3 in 100, and of each
        'watchnext_degraded_total{namespace="n",part="ranking"} 0+20x20',
    ],
    "WatchnextAnswersSlow": [
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="0.25"} 0+995x20',
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="0.5"} 0+1000x20',
        'watchnext_answer_seconds_bucket{namespace="n",protocol="rest",le="+Inf"} 0+1000x20',
    ],
    "WatchnextRequestsShed": ['watchnext_shed_total{namespace="n"} 7x20'],  # earlier
    "WatchnextBreakerOpen": ['watchnext_breaker_open{namespace="n",pod="a",backend="Milvus"} 1x14 0x6'],
    "WatchnextRankerLate": [
        'watchnext_ranker_seconds_count{namespace="n"} 0+600x20',
        'watchnext_ranking_fallbacks_total{namespace="n",cause="failed"} 0+600x20',
    ],
    "WatchnextServedListsLost": [
        'watchnext_served_dropped_total{namespace="n"} 7x20',
        'watchnext_impressions_dropped_total{namespace="n"} 0x20',
    ],
    "WatchnextGenerationRefused": ['watchnext_generation_refusals_total{namespace="n",pod="r"} 1x20'],
    "WatchnextGenerationsDiffer": [
        'watchnext_generation_info{namespace="n",pod="a",generation="g1",overlay="0"} 1x20',
        'watchnext_generation_info{namespace="n",pod="b",generation="g1",overlay="0"} 1x20',
        'watchnext_generation_info{namespace="m",pod="c",generation="g2",overlay="0"} 1x20',  # another installation
    ],
    "WatchnextPointerUnread": [
        'watchnext_generation_pointer_read_timestamp_seconds{namespace="n",pod="r"} 0+60x20',
        'watchnext_generation_pointer_read_timestamp_seconds{namespace="n",pod="gateway"} 0x20',  # which follows none
    ],
    "WatchnextNoWorker": [f'watchnext_stream_lag_messages{{{WORKER},topic="watch-events"}} 0x20'],
    "WatchnextStreamStalled": [
        f'watchnext_stream_lag_messages{{{WORKER},topic="watch-events"}} 0x20',  # no events, no commits
        f"watchnext_stream_commit_timestamp_seconds{{{WORKER}}} 60x20",
        'watchnext_stream_lag_messages{namespace="n",pod="busy",topic="watch-events"} 9000x20',
        'watchnext_stream_commit_timestamp_seconds{namespace="n",pod="busy"} 0+60x20',
    ],
    "WatchnextStreamBehind": [
        f'watchnext_stream_lag_messages{{{WORKER},topic="watch-events"}} 2000x20',
        f'watchnext_stream_events_total{{{WORKER},topic="watch-events",outcome="folded"}} 0+600x20',
    ],
    "WatchnextBatchesAbandoned": ['watchnext_stream_batches_abandoned_total{namespace="n",cause="broker"} 0x14 4x6'],
    "WatchnextDeadLetters": [
        'watchnext_stream_dead_letters_total{namespace="n",topic="watch-events",reason="key"} 0x14 5x6'
    ],
    "WatchnextEventsLate": [
        'watchnext_stream_events_total{namespace="n",topic="watch-events",outcome="folded"} 0+600x20',
        'watchnext_stream_events_total{namespace="n",topic="watch-events",outcome="late"} 0+3x20',
    ],
}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_for_what_it_is_there_for(alert: str) -> None:
    [read] = look((ALERTS[alert]["expr"],), tuple(FIRES[alert]), at=1_200)["queries"]
    assert (read["fault"], len(read["selected"])) == ("", 1)


def test_the_workers_of_a_release_are_missed_where_another_release_has_some() -> None:
    elsewhere = 'watchnext_stream_lag_messages{namespace="staging",pod="w",topic="watch-events"} 0x20'
    followers = [
        f'watchnext_generation_pointer_read_timestamp_seconds{{namespace="{namespace}",pod="r"}} 0+60x20'
        for namespace in ("shop", "staging")
    ]
    [read] = look((ALERTS["WatchnextNoWorker"]["expr"],), (elsewhere, *followers), at=1_200)["queries"]
    assert (read["fault"], [one["namespace"] for one in read["selected"]]) == ("", ["shop"])


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_quiet_where_it_should_be(alert: str) -> None:
    [read] = look((ALERTS[alert]["expr"],), tuple(QUIET[alert]), at=1_200)["queries"]
    assert (read["fault"], read["selected"]) == ("", [])


@pytest.mark.parametrize("alert", ALERTS)
def test_the_summary_of_an_alert_names_labels_that_it_has(alert: str) -> None:
    rule = ALERTS[alert]
    [read] = look((rule["expr"],), tuple(FIRES[alert]), at=1_200)["queries"]
    words = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", words)) - {"instance"} <= read["selected"][0].keys()


def test_the_label_that_tells_components_apart_is_put_on_by_the_chart() -> None:
    monitors = [document for document in rendered("all-options") if document["kind"] == "PodMonitor"]
    put_on = {
        (relabeling["targetLabel"], relabeling["replacement"])
        for monitor in monitors
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
        for relabeling in endpoint["relabelings"]
    }
    components = ("gateway", "materializer", "retrieval", "ranking", "ranker")
    assert put_on == {("watchnext_component", component) for component in components}


def test_the_chart_carries_rules_and_dashboards_as_they_are() -> None:
    documents = rendered("all-options")
    [rules] = [document for document in documents if document["kind"] == "PrometheusRule"]
    assert rules["spec"] == yaml.safe_load(RULES)
    shown = [document["data"] for document in documents if "grafana_dashboard" in document["metadata"]["labels"]]
    assert {name: json.loads(text) for data in shown for name, text in data.items()} == DASHBOARDS
