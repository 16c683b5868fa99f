"""One training by several nodes of a cluster: a TrainJob of Kubeflow Trainer, from its making to its result.

    <home>/train-jobs/<name>/examples    what every node reads
    <home>/train-jobs/<name>/model       what the first one writes

All nodes mount `<home>`: the chart's TrainingRuntime says so, and all else of their pods but image, command and number.
A job is named after what it trains. The step that made it, tried again, waits for it, or makes it anew where it has
failed; the training then goes on from its checkpoint.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from kubeflow.common.types import KubernetesBackendConfig
from kubeflow.trainer import CustomTrainerContainer, Runtime, RuntimeTrainer, TrainerType
from kubeflow.trainer.backends.kubernetes.backend import KubernetesBackend
from kubeflow.trainer.constants import constants
from kubeflow.trainer.options import Name, TrainerCommand
from kubeflow.trainer.types.types import RuntimeKind
from kubernetes.client import ApiException
from kubernetes.watch import Watch
from urllib3.exceptions import HTTPError

from watchnext.errors import TrainingError
from watchnext.settings import Settings
from watchnext.training.main import Model, summary_of, variables_of

POLL_S: Final = 5.0
LOGGED_LINES: Final = 40  # of a node that failed
COMMAND: Final = ("python3.11", "-m", "torch.distributed.run", "-m", "watchnext.training.main")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Nodes:
    """Who trains: pods of a TrainingRuntime in the namespace of this one."""

    count: int
    runtime: str
    image: str


def train_on_nodes(settings: Settings, model: Model, examples: Path, folder: Path, nodes: Nodes) -> dict[str, float]:
    """Fit a model as `train_towers` and `train_ranker` do, by processes on several nodes.

    Args:
        settings: their `training`, `profile` and `home`.
        model: which.
        examples: folder of an `ExampleSet`.
        folder: where the result goes.
        nodes: who trains.

    Returns:
        What the training tells of itself.

    Raises:
        TrainingError: it failed, or the cluster refuses it.
    """
    variables = variables_of(settings)
    made_of = (examples / "meta.json").read_text()
    name = job_name(model, [made_of, variables, nodes.count, nodes.image])
    work = settings.home / "train-jobs" / name
    jobs = TrainJobs(KubernetesBackend(KubernetesBackendConfig()))
    if jobs.state(name) == constants.TRAINJOB_FAILED:
        jobs.delete(name)
    if jobs.state(name) is None:
        _copy(examples, work / "examples")
        jobs.create(name, nodes, [model, f"{work}/examples", f"{work}/model"], variables)
    jobs.wait(name)
    shutil.copytree(work / "model", folder, dirs_exist_ok=True)
    jobs.delete(name)
    (work / "examples").rename(work / "examples.part")  # half removed, a step tried again would take them for whole
    shutil.rmtree(work)
    return summary_of(folder)


def job_name(model: Model, depends_on: Sequence[Any]) -> str:
    """The name of the job that trains a model on these; equal ones, equal name."""
    identity = json.dumps(depends_on, sort_keys=True)
    return f"{model}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


class TrainJobs:
    """The TrainJobs of a namespace, by Trainer's SDK."""

    def __init__(self, backend: KubernetesBackend) -> None:
        self._backend = backend
        self._at = (constants.GROUP, constants.VERSION, backend.namespace, constants.TRAINJOB_PLURAL)

    def create(self, name: str, nodes: Nodes, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start `watchnext.training.main` with these arguments on all nodes.

        Raises:
            TrainingError: the cluster refuses it.
        """
        # Given by name, the SDK would look for a device in its limits, and knows no AMD and no "memory alone".
        of_torch = RuntimeTrainer(trainer_type=TrainerType.CUSTOM_TRAINER, framework="torch", image=nodes.image)
        runtime = Runtime(name=nodes.runtime, kind=RuntimeKind.TRAINING_RUNTIME, trainer=of_torch)
        trainer = CustomTrainerContainer(image=nodes.image, num_nodes=nodes.count, env=dict(variables))
        options = [Name(name), TrainerCommand([*COMMAND, *arguments])]
        try:
            self._backend.train(runtime, trainer=trainer, options=options)
        except RuntimeError as error:
            raise _refused(
                f"cannot be made of TrainingRuntime {nodes.runtime}", name, error.__cause__ or error
            ) from error

    def state(self, name: str) -> str | None:
        """`Created`, `Running`, `Suspended`, `Complete` or `Failed`; None where there is no such job.

        Raises:
            TrainingError: the cluster does not say.
        """
        job = self._find(name)
        return None if job is None else _state(job)

    def wait(self, name: str) -> None:
        """Until a job is complete; tells its states, and the lines of its first node.

        Raises:
            TrainingError: it failed, or is gone.
        """
        state, followed = "", False
        while state != constants.TRAINJOB_COMPLETE:
            job = self._find(name)
            if job is None:
                raise TrainingError(f"TrainJob {name} is gone before its end; run the step again to make it anew")
            before, state = state, _state(job)
            if state != before:
                _log.info("train_job", name=name, state=state)
            if state == constants.TRAINJOB_FAILED:
                raise TrainingError(f"TrainJob {name} failed: {_condition(job)['message']}{self._last_words(name)}")
            if state == constants.TRAINJOB_RUNNING and not followed:
                followed = self._follow(name)
            if state != constants.TRAINJOB_COMPLETE:
                time.sleep(POLL_S)

    def delete(self, name: str) -> None:
        """Remove a job and its pods; returns once they are gone.

        Raises:
            TrainingError: the cluster refuses it.
        """
        try:
            self._backend.custom_api.delete_namespaced_custom_object(*self._at, name, propagation_policy="Foreground")
        except ApiException as error:
            raise _refused("cannot be deleted", name, error) from error
        while self._find(name) is not None:
            time.sleep(POLL_S)

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._backend.custom_api.get_namespaced_custom_object(*self._at, name)
        except ApiException as error:
            if error.status == 404:
                return None
            raise _refused("cannot be read", name, error) from error
        return found

    def _follow(self, name: str) -> bool:
        """Print the first node's lines as they come; whether there were any."""
        lines, first = 0, f"{constants.JOBSET_NAME_LABEL}={name},{constants.JOB_INDEX_LABEL}=0"
        core, namespace = self._backend.core_api, self._backend.namespace
        try:
            for pod in core.list_namespaced_pod(namespace, label_selector=first).items:
                log = Watch().stream(core.read_namespaced_pod_log, pod.metadata.name, namespace)
                for line in log:
                    print(line, flush=True)
                    lines += 1
        except (ApiException, HTTPError) as error:
            _log.warning("train_job_log_broke_off", name=name, error=str(error))
        return lines > 0

    def _last_words(self, name: str) -> str:
        """The end of the log of the node that failed first; empty where no pod is left."""
        core, namespace = self._backend.core_api, self._backend.namespace
        label = f"{constants.JOBSET_NAME_LABEL}={name}"
        failed = core.list_namespaced_pod(namespace, label_selector=label, field_selector="status.phase=Failed").items
        if not failed:
            return ""
        first = min(failed, key=_ended_at)
        try:
            log = core.read_namespaced_pod_log(first.metadata.name, namespace, tail_lines=LOGGED_LINES)
        except ApiException as error:  # of a pod that is gone, or whose containers never ran
            return f"; the log of {first.metadata.name} cannot be read: {error.reason}"
        return f"; the end of the log of {first.metadata.name}:\n{log}"


def _ended_at(pod: Any) -> datetime:
    """When a pod's container ended; last of all where it never ran, as of one that the node evicted."""
    ended = [one.state.terminated for one in pod.status.container_statuses or () if one.state.terminated]
    return ended[0].finished_at if ended else datetime.max.replace(tzinfo=UTC)


def _condition(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest that holds; empty where none does."""
    holding = [one for one in job.get("status", {}).get("conditions", ()) if one["status"] == "True"]
    return holding[-1] if holding else {}


def _state(job: Mapping[str, Any]) -> str:
    parts = job.get("status", {}).get("jobsStatus", ())
    running = any(part["ready"] for part in parts)
    return str(_condition(job).get("type") or (constants.TRAINJOB_RUNNING if running else constants.TRAINJOB_CREATED))


def _refused(what: str, name: str, error: BaseException) -> TrainingError:
    told = (error.body or error.reason) if isinstance(error, ApiException) else error
    return TrainingError(
        f"TrainJob {name} {what}: {told}; may the step's service account make TrainJobs "
        "(training.kubeflow.serviceAccount of the chart), and does Kubeflow Trainer run?"
    )


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all, whenever the process is killed."""
    unfinished = target.with_suffix(".part")
    if not target.exists():
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        unfinished.rename(target)
