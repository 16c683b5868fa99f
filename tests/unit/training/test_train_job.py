"""What is told of nodes that failed, and a step that is killed at its end.

All else of jobs, from their making to their result, is in `tests/local/test_train_job.py`.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import (
    ApiException,
    V1ContainerState,
    V1ContainerStateTerminated,
    V1ContainerStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodStatus,
)

from watchnext.settings import Settings
from watchnext.training import train_job
from watchnext.training.main import Model
from watchnext.training.train_job import Nodes, TrainJobs, train_on_nodes


def pod(name: str, minute: int | None) -> V1Pod:
    """A failed pod whose container ended at `minute`, or that was evicted before it had one."""
    statuses = None
    if minute is not None:
        ended = V1ContainerStateTerminated(exit_code=1, finished_at=datetime(2026, 1, 1, 0, minute, tzinfo=UTC))
        state = V1ContainerState(terminated=ended)
        statuses = [V1ContainerStatus(name="c", image="i", image_id="i", ready=False, restart_count=0, state=state)]
    return V1Pod(metadata=V1ObjectMeta(name=name), status=V1PodStatus(phase="Failed", container_statuses=statuses))


def last_words(*pods: V1Pod) -> str:
    def log(name: str, namespace: str, tail_lines: int) -> str:
        if name == "evicted":
            raise ApiException(status=404, reason="Not Found")
        return f"{name} says why"

    core = SimpleNamespace(
        list_namespaced_pod=lambda *given, **named: SimpleNamespace(items=list(pods)), read_namespaced_pod_log=log
    )
    return TrainJobs(SimpleNamespace(namespace="ns", core_api=core))._last_words("towers-1")


def test_the_node_that_failed_first_is_heard_beside_one_that_was_evicted():
    assert "second says why" in last_words(pod("evicted", None), pod("third", 3), pod("second", 2))


def test_of_an_evicted_node_alone_it_is_told_that_its_log_cannot_be_read():
    assert last_words(pod("evicted", None)) == "; the log of evicted cannot be read: Not Found"


def test_a_step_killed_while_it_tidied_up_trains_on_whole_examples_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []

    class Jobs:
        def __init__(self, backend: Any) -> None: ...

        def state(self, name: str) -> None: ...

        def create(self, name: str, nodes: Nodes, arguments: list[str], variables: dict[str, str]) -> None:
            seen.append(sorted(path.name for path in Path(arguments[1]).iterdir()))
            Path(arguments[2]).mkdir(exist_ok=True)
            (Path(arguments[2]) / "summary.json").write_text("{}")

        def wait(self, name: str) -> None: ...

        def delete(self, name: str) -> None: ...

    def killed(folder: Path) -> None:
        for examples in folder.glob("**/towers.parquet"):
            examples.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(train_job, "TrainJobs", Jobs)
    monkeypatch.setattr(train_job, "KubernetesBackend", lambda config: None)
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "meta.json").write_text("{}")
    (examples / "towers.parquet").write_text("lines")
    asked = (Settings(home=tmp_path), Model.TOWERS, examples, tmp_path / "out", Nodes(count=2, runtime="r", image="i"))
    with monkeypatch.context() as during:
        during.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            train_on_nodes(*asked)
    assert train_on_nodes(*asked) == {}
    assert seen == [["meta.json", "towers.parquet"]] * 2
    assert not list((tmp_path / "train-jobs").iterdir())
