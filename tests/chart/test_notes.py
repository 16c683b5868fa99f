"""What `helm install` prints last, which `helm template` leaves out: read by way of an object that holds it."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from helm.generate import CHART
from tests.chart.rendering import PREFIX, template


def notes(folder: Path, **changes: Any) -> str:
    """NOTES.txt for `changes`, of a copy of the chart in `folder`."""
    chart = shutil.copytree(CHART, folder / "chart")
    written = (chart / "templates" / "NOTES.txt").rename(chart / "templates" / "_notes.tpl")
    written.write_text('{{- define "notes" -}}' + written.read_text() + "{{- end -}}")
    (chart / "templates" / "notes.yaml").write_text('notes: |\n  {{- include "notes" . | nindent 2 }}\n')
    run = template(chart=chart, **changes)
    assert run.returncode == 0, run.stderr
    (found,) = (one["notes"] for one in yaml.load_all(run.stdout, yaml.CSafeLoader) if one and "notes" in one)
    return str(found).rstrip()


def test_the_claims_that_an_uninstall_leaves_are_named(tmp_path: Path) -> None:
    stores = ", ".join(f"data-{PREFIX}-{store}-0" for store in ("kafka", "valkey", "milvus"))

    assert notes(tmp_path).endswith(f"leaves the claim {PREFIX}-state, and the stores' claims ({stores}).")


def test_the_claims_of_strimzis_brokers_are_found_by_their_label(tmp_path: Path) -> None:
    written = notes(tmp_path, **{"kafka.mode": "strimzi"})

    assert f"data-{PREFIX}-kafka-0" not in written
    assert f"the brokers' claims (kubectl -n videos get pvc -l strimzi.io/cluster={PREFIX}-kafka)" in written


def test_one_of_each_on_a_claim_of_one_node_is_warned_of_other_nodes(tmp_path: Path) -> None:
    one = {f"{part}.replicas": 1 for part in ("gateway", "materializer")}
    one |= {f"{part}.minReplicas": 1 for part in ("retrieval", "ranking", "ranker", "graph")}
    written = notes(tmp_path, **one, **{"state.accessModes": ["ReadWriteOnce"]})

    assert "all pods share the state claim and state.accessModes is ReadWriteOnce" in written
