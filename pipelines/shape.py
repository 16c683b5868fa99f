"""What a task needs of the cluster: settings, secrets, state, image; resources; for training steps a GPU and nodes.

Nothing of it holds on a laptop, where `LOCAL` leaves the tasks as they are. The chart says it as JSON (`Shape.read`).
"""

import json
from dataclasses import dataclass, field, fields
from typing import Any

from kfp import dsl, kubernetes

from watchnext.errors import UsageError

CONFIG_FOLDER = "/etc/watchnext"
STATE_FOLDER = "/var/lib/watchnext"
USER = 10001  # of our images
RETRIES = 2
RETRIED_FOR = "604800s"  # since the step began: as long as a checkpoint is kept


@dataclass(frozen=True)
class Shape:
    """Where a pipeline runs."""

    cluster: bool
    config_map: str = "watchnext-config"  # the chart's `config:` as config.yaml
    state_claim: str = "watchnext-state"  # archive, offline log and generations, where they are no buckets
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)  # variable: {name: of a Secret, key: in it}
    pull_secrets: list[str] = field(default_factory=list)  # names of Secrets, for an image of a private registry
    resources: dict[str, dict[str, str]] = field(default_factory=dict)  # requests and limits of what holds examples
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[dict[str, Any]] = field(default_factory=list)
    gpu: bool = False
    accelerator: str = "nvidia.com/gpu"
    accelerators: int = 1
    shared_memory: str = ""  # size limit of /dev/shm, where there is a GPU; empty: half of the node's memory
    nodes: int = 1  # of a training; of several, each is a pod of `runtime`, which has all of the above
    runtime: str = "watchnext-train"  # the chart's TrainingRuntime

    @classmethod
    def read(cls, text: str) -> "Shape":
        """The shape of a cluster that a JSON object describes.

        Raises:
            UsageError: it has a key that is no field, is no object, or no JSON.
        """
        known = {entry.name for entry in fields(cls)} - {"cluster"}
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, dict) or not found.keys() <= known:
            raise UsageError(f"{text[:200]!r} came as a shape; wanted a JSON object of {', '.join(sorted(known))}")
        return cls(cluster=True, **found)

    def task(self, task: dsl.PipelineTask, image: str, retries: int = RETRIES) -> dsl.PipelineTask:
        """Any task: image, settings, secrets and state; tried again where it fails, since all may be repeated."""
        if self.cluster:
            task.set_container_image(image)
            if retries:
                task.set_retry(retries, backoff_duration="30s", backoff_factor=4, backoff_max_duration=RETRIED_FOR)
            kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
            kubernetes.use_config_map_as_volume(task, self.config_map, CONFIG_FOLDER)
            for variable, secret in self.secrets.items():
                kubernetes.use_secret_as_env(task, secret["name"], {secret["key"]: variable})
            if self.pull_secrets:
                kubernetes.set_image_pull_secrets(task, self.pull_secrets)
            kubernetes.mount_pvc(task, self.state_claim, STATE_FOLDER)
            task.set_env_variable("WATCHNEXT_CONFIG", f"{CONFIG_FOLDER}/config.yaml")
            task.set_env_variable("WATCHNEXT_HOME", STATE_FOLDER)
        return task

    def sized(self, task: dsl.PipelineTask, image: str) -> dsl.PipelineTask:
        """A task that holds examples, models or the table of videos: with the resources of training."""
        self.task(task, image)
        requests, limits = self.resources.get("requests", {}), self.resources.get("limits", {})
        for amounts, of_cpu, of_memory in (
            (requests, task.set_cpu_request, task.set_memory_request),
            (limits, task.set_cpu_limit, task.set_memory_limit),
        ):
            if "cpu" in amounts:
                of_cpu(amounts["cpu"])
            if "memory" in amounts:
                of_memory(amounts["memory"])
        return task

    def training(self, task: dsl.PipelineTask, image: str) -> dsl.PipelineTask:
        """A training step: resources, nodes, the accelerator, and shared memory for the data loader.

        Tried again, it goes on from its checkpoint, which lies with the state.
        """
        self.sized(task, image)
        for label, value in self.node_selector.items():
            kubernetes.add_node_selector(task, label, value)
        for toleration in self.tolerations:
            kubernetes.add_toleration(task, **toleration)
        if self.gpu:
            task.set_accelerator_type(self.accelerator).set_accelerator_limit(self.accelerators)
            kubernetes.empty_dir_mount(
                task, "shared-memory", "/dev/shm", medium="Memory", size_limit=self.shared_memory or None
            )
        return task


LOCAL = Shape(cluster=False)
CPU = Shape(cluster=True)
GPU = Shape(
    cluster=True,
    gpu=True,
    node_selector={"nvidia.com/gpu.present": "true"},
    tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
)
