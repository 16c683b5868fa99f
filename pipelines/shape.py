"""What a task needs of the cluster: settings, state, image, and a GPU for the training steps.

Nothing of it holds on a laptop, where `LOCAL` leaves the tasks as they are.
"""

from dataclasses import dataclass

from kfp import dsl, kubernetes

CONFIG_MAP = "watchnext-config"  # the chart's `config:` as config.yaml
CONFIG_FOLDER = "/etc/watchnext"
STATE_CLAIM = "watchnext-state"  # archive, offline log and generations, where they are no buckets
STATE_FOLDER = "/var/lib/watchnext"


@dataclass(frozen=True)
class Shape:
    """Where a pipeline runs."""

    cluster: bool
    gpu: bool = False
    accelerator: str = "nvidia.com/gpu"
    accelerators: int = 1
    node_label: tuple[str, str] = ("nvidia.com/gpu.present", "true")

    def task(self, task: dsl.PipelineTask, image: str) -> dsl.PipelineTask:
        """Any task: image, settings and state."""
        if self.cluster:
            task.set_container_image(image)
            kubernetes.use_config_map_as_volume(task, CONFIG_MAP, CONFIG_FOLDER)
            kubernetes.mount_pvc(task, STATE_CLAIM, STATE_FOLDER)
            task.set_env_variable("WATCHNEXT_CONFIG", f"{CONFIG_FOLDER}/config.yaml")
            task.set_env_variable("WATCHNEXT_HOME", STATE_FOLDER)
        return task

    def training(self, task: dsl.PipelineTask, image: str) -> dsl.PipelineTask:
        """A training step: the accelerator, its nodes, and shared memory for the data loader."""
        self.task(task, image)
        if self.gpu:
            task.set_accelerator_type(self.accelerator).set_accelerator_limit(self.accelerators)
            kubernetes.add_node_selector(task, *self.node_label)
            kubernetes.add_toleration(task, key=self.accelerator, operator="Exists", effect="NoSchedule")
            kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory")
        return task


LOCAL = Shape(cluster=False)
CPU = Shape(cluster=True)
GPU = Shape(cluster=True, gpu=True)
