"""The committed YAML is what the code compiles to, and says what a cluster must give each task."""

import json
from pathlib import Path

import pytest
import yaml

from pipelines.compile import COMPILED, TARGETS, compile_all
from pipelines.shape import Shape
from pipelines.upload import compile_for
from watchnext.errors import UsageError
from watchnext.training.checkpoint import KEPT_DAYS


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    compile_all(folder)
    return folder


def load(path: Path) -> tuple[dict, dict]:
    """Pipeline and its Kubernetes part, by executor."""
    pipeline, platform = yaml.safe_load_all(path.read_text())
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.mark.parametrize("name", TARGETS)
def test_goldens_are_fresh(compiled, name):
    assert (compiled / name).read_text() == (COMPILED / name).read_text(), "run `python -m pipelines.compile`"


def test_training_steps_and_no_others_ask_for_a_gpu():
    pipeline, platform = load(COMPILED / "train.yaml")
    executors = pipeline["deploymentSpec"]["executors"]
    asking = {name for name, body in executors.items() if "accelerator" in body["container"].get("resources", {})}
    assert asking == {"exec-train-towers", "exec-train-ranker"}
    for name in asking:
        accelerator = executors[name]["container"]["resources"]["accelerator"]
        assert accelerator["resourceType"] == "nvidia.com/gpu"
        assert accelerator["resourceCount"] == "1"
        assert platform[name]["nodeSelector"]["labels"] == {"nvidia.com/gpu.present": "true"}
        assert platform[name]["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]
        assert platform[name]["emptyDirMounts"] == [
            {"mountPath": "/dev/shm", "medium": "Memory", "volumeName": "shared-memory"}
        ]


def test_what_holds_examples_models_or_the_video_table_has_the_resources_of_training(tmp_path):
    """The step that encodes has a process for each processor: without a limit those of the whole node."""
    amounts = {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "16Gi"}}
    path = compile_for(
        "train", Shape.read(json.dumps({"resources": amounts})), "registry.example/pipelines:7", tmp_path
    )
    pipeline, _ = load(path)
    executors = pipeline["deploymentSpec"]["executors"]
    limited = {
        name: body["container"]["resources"] for name, body in executors.items() if "resources" in body["container"]
    }
    steps = ("examples", "train-towers", "train-ranker", "evaluate", "build-generation")
    assert set(limited) == {f"exec-{step}" for step in steps}
    assert {one["resourceCpuLimit"] for one in limited.values()} == {"4"}
    assert {one["resourceMemoryLimit"] for one in limited.values()} == {"16Gi"}


def test_one_switch_leaves_out_every_gpu():
    assert "gpu" not in (COMPILED / "train-cpu.yaml").read_text()


@pytest.mark.parametrize("name", TARGETS)
def test_every_task_has_settings_state_and_no_pip(name):
    pipeline, platform = load(COMPILED / name)
    executors = pipeline["deploymentSpec"]["executors"]
    assert set(platform) == set(executors)
    for task, body in executors.items():
        assert "pip install" not in " ".join(body["container"]["command"])
        assert {entry["name"] for entry in body["container"]["env"]} == {"WATCHNEXT_CONFIG", "WATCHNEXT_HOME"}
        assert platform[task]["configMapAsVolume"][0]["configMapName"] == "watchnext-config"


def tasks_of_train(path: Path = COMPILED / "train.yaml") -> dict[str, dict]:
    """All tasks but the groups, by name."""
    pipeline, _ = load(path)
    tasks = dict(pipeline["root"]["dag"]["tasks"])
    for component in pipeline["components"].values():
        tasks |= component.get("dag", {}).get("tasks", {})
    return {name: task for name, task in tasks.items() if not name.startswith("condition-")}


def test_what_reads_the_world_as_it_is_now_or_writes_outside_its_artifacts_is_never_cached():
    cached = {name for name, task in tasks_of_train().items() if task.get("cachingOptions", {}).get("enableCache")}
    assert cached == {"examples", "train-towers", "train-ranker", "evaluate"}


def test_a_changed_gate_or_epoch_count_in_the_config_map_is_no_cached_verdict():
    """The cache key is the arguments: the settings as the snapshot found them, not what the run's form left empty."""
    for name in ("examples", "train-towers", "train-ranker", "evaluate"):
        parameters = tasks_of_train()[name]["inputs"]["parameters"]
        found = {key: parameters[key].get("taskOutputParameter") for key in ("snapshot_id", "settings")}
        assert found == {
            key: {"producerTask": "snapshot", "outputParameterKey": key} for key in ("snapshot_id", "settings")
        }


def test_every_task_is_tried_again_but_the_one_that_tells_a_refusal():
    tried = {name: task.get("retryPolicy", {}) for name, task in tasks_of_train().items()}
    assert {name for name, policy in tried.items() if not policy} == {"refuse"}
    policy = tried["train-towers"]
    assert policy["maxRetryCount"] == 2
    # Argo counts it from the first try's start, and a long training may be killed late: as long as a checkpoint is kept
    assert policy["backoffMaxDuration"] == f"{KEPT_DAYS * 24 * 3600}s"
    # and what a try has left is found by the next one: checkpoints lie in the home, which is the claim
    pipeline, platform = load(COMPILED / "train.yaml")
    for name in ("exec-train-towers", "exec-train-ranker"):
        env = {one["name"]: one["value"] for one in pipeline["deploymentSpec"]["executors"][name]["container"]["env"]}
        assert env["WATCHNEXT_HOME"] == platform[name]["pvcMount"][0]["mountPath"]


def test_tensorboard_files_are_an_artifact_of_each_training():
    pipeline, _ = load(COMPILED / "train.yaml")
    for model in ("towers", "ranker"):
        artifacts = pipeline["components"][f"comp-train-{model}"]["outputDefinitions"]["artifacts"]
        assert {name: kind["artifactType"]["schemaTitle"] for name, kind in artifacts.items()} == {
            model: "system.Model",
            "tensorboard": "system.Artifact",
        }


def test_a_training_of_several_nodes_is_a_train_job_each(tmp_path):
    shape = Shape.read('{"nodes": 3, "runtime": "mine-train", "gpu": true}')
    path = compile_for("train", shape, "registry.example/pipelines:7", tmp_path)
    pipeline, platform = load(path)
    tasks = [task for task in tasks_of_train(path).values() if task["taskInfo"]["name"].startswith("train-")]
    told = []
    for task in tasks:
        parameters = task["inputs"]["parameters"]
        constants = {name: one["runtimeValue"]["constant"] for name, one in parameters.items() if "runtimeValue" in one}
        told.append({name: constants[name] for name in ("model", "nodes", "runtime")})
        assert parameters["image"] == {"componentInputParameter": "image"}
        executor = pipeline["components"][task["componentRef"]["name"]]["executorLabel"]
        assert "accelerator" not in pipeline["deploymentSpec"]["executors"][executor]["container"].get("resources", {})
        assert platform[executor]["pvcMount"][0]["constant"] == "watchnext-state"
    assert told == [{"model": model, "nodes": 3.0, "runtime": "mine-train"} for model in ("towers", "ranker")]
    assert [task["taskInfo"]["name"] for task in tasks] == ["train-towers", "train-ranker"]


def test_a_cluster_shapes_the_training_steps(tmp_path):
    shape = Shape.read(
        '{"resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "16Gi"}},'
        ' "gpu": true, "accelerator": "amd.com/gpu", "accelerators": 2, "node_selector": {"pool": "gpu"},'
        ' "tolerations": [{"key": "gpu", "operator": "Exists"}], "shared_memory": "8Gi", "config_map": "mine-config",'
        ' "state_claim": "mine-state", "secrets": {'
        '  "WATCHNEXT_FEATURES__ONLINE_PASSWORD": {"name": "mine", "key": "password"},'
        '  "WATCHNEXT_KAFKA__SASL_PASSWORD": {"name": "mine", "key": "password"}}}'
    )
    pipeline, platform = load(compile_for("train", shape, "registry.example/pipelines:7", tmp_path))
    assert pipeline["root"]["inputDefinitions"]["parameters"]["image"]["defaultValue"] == "registry.example/pipelines:7"
    training = platform["exec-train-towers"]
    resources = pipeline["deploymentSpec"]["executors"]["exec-train-towers"]["container"]["resources"]
    accelerator = resources.pop("accelerator")
    assert {name: resources[name] for name in resources if name.startswith("resource")} == {
        "resourceCpuRequest": "2",
        "resourceMemoryRequest": "4Gi",
        "resourceMemoryLimit": "16Gi",
    }
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("amd.com/gpu", "2")
    assert training["nodeSelector"]["labels"] == {"pool": "gpu"}
    assert training["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert training["emptyDirMounts"][0]["sizeLimit"] == "8Gi"
    for task in platform.values():
        assert task["configMapAsVolume"][0]["configMapName"] == "mine-config"
        assert task["pvcMount"][0]["constant"] == "mine-state"
        assert task["securityContext"]["runAsNonRoot"] is True
        assert {secret["secretName"] for secret in task["secretAsEnv"]} == {"mine"}
        assert [pair for secret in task["secretAsEnv"] for pair in secret["keyToEnv"]] == [
            {"secretKey": "password", "envVar": "WATCHNEXT_FEATURES__ONLINE_PASSWORD"},
            {"secretKey": "password", "envVar": "WATCHNEXT_KAFKA__SASL_PASSWORD"},
        ]


def test_every_task_may_pull_its_image_from_a_private_registry(tmp_path):
    shape = Shape.read('{"pull_secrets": ["registry"]}')
    for name in ("train", "refresh-index"):
        _, platform = load(compile_for(name, shape, "registry.example/pipelines:2", tmp_path))
        pulled = {executor: task.get("imagePullSecret") for executor, task in platform.items()}

        assert pulled
        assert [executor for executor, by in pulled.items() if not by or by[0]["secretName"] != "registry"] == []


@pytest.mark.parametrize("text", ['{"gpus": 1}', "[]", "abc", ""])
def test_a_shape_that_is_none_is_refused(text: str):
    with pytest.raises(UsageError, match="came as a shape; wanted a JSON object of accelerator"):
        Shape.read(text)
