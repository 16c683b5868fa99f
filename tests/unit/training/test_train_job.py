"""What is told of nodes that failed; jobs from their making to their result are in `tests/local/test_train_job.py`."""

from datetime import UTC, datetime
from types import SimpleNamespace

from kubernetes.client import (
    ApiException,
    V1ContainerState,
    V1ContainerStateTerminated,
    V1ContainerStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodStatus,
)

from watchnext.training.train_job import TrainJobs


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
