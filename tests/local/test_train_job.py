"""A training by a TrainJob, from the object that Trainer's SDK sends to the model that the step hands on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubeflow.common.types import KubernetesBackendConfig
from kubeflow.trainer.backends.kubernetes.backend import KubernetesBackend

from tests.chart.test_static import unfit
from tests.local.trainable import write_examples
from tests.local.trainer_server import TrainerServer, serving
from watchnext.errors import TrainingError
from watchnext.settings import Settings, Training
from watchnext.training import train_job
from watchnext.training.main import Model
from watchnext.training.train_job import COMMAND, Nodes, TrainJobs, train_on_nodes

TRAINING = Training(threads=1, tower_epochs=1, epochs=1, batch=64, negatives=100)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=home, profile="tiny", training=TRAINING)


@pytest.fixture
def server(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainerServer]:
    made = TrainerServer(settings.home)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(train_job, "POLL_S", 0.2)
    with serving(made, tmp_path / "kubeconfig"):
        yield made


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(count=2, runtime="mine-train", image="registry.example/pipelines:7")


def interrupted(step: Callable[..., object], *arguments: object) -> None:
    """Run a step that is killed as it begins to wait."""

    def killed(self: TrainJobs, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainJobs, "wait", killed)
        with pytest.raises(KeyboardInterrupt):
            step(*arguments)


def test_a_train_job_trains_what_the_step_hands_on(
    server: TrainerServer, nodes: Nodes, settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_examples(tmp_path / "examples")
    told = train_on_nodes(settings, Model.TOWERS, tmp_path / "examples", tmp_path / "towers", nodes)

    assert told["examples"] == 600
    assert {"weights.safetensors", "config.json", "curve.json", "tensorboard"} <= {
        path.name for path in (tmp_path / "towers").iterdir()
    }
    assert "towers_epoch" in capfd.readouterr().out  # the first node's line
    assert server.jobs == {}
    assert list((settings.home / "train-jobs").iterdir()) == []


def test_the_object_fits_the_schema_of_trainers_own_definition(
    server: TrainerServer, nodes: Nodes, tmp_path: Path
) -> None:
    jobs = TrainJobs(KubernetesBackend(KubernetesBackendConfig()))
    jobs.create("towers-7", nodes, ["towers", "/no/examples", "/no/model"], {"WATCHNEXT_PROFILE": "full"})
    (made,) = server.made

    assert unfit((made,)) == []
    assert made["apiVersion"] == "trainer.kubeflow.org/v1alpha1"
    assert made["kind"] == "TrainJob"
    assert made["metadata"]["name"] == "towers-7"
    assert made["spec"] == {
        "runtimeRef": {"name": "mine-train", "kind": "TrainingRuntime"},
        "trainer": {
            "numNodes": 2,
            "image": "registry.example/pipelines:7",
            "command": [*COMMAND, "towers", "/no/examples", "/no/model"],
            "env": [{"name": "WATCHNEXT_PROFILE", "value": "full"}],
        },
    }
    made["spec"]["trainer"]["nodes"] = 2
    (refusal,) = unfit((made,))
    assert "'nodes' not allowed" in refusal


def test_a_job_that_fails_ends_the_step_with_its_message_and_is_made_anew_the_next_time(
    server: TrainerServer, nodes: Nodes, settings: Settings, tmp_path: Path
) -> None:
    torn = tmp_path / "examples"
    torn.mkdir()
    (torn / "meta.json").write_text(json.dumps({"snapshot": "torn"}))
    with pytest.raises(TrainingError) as failure:
        train_on_nodes(settings, Model.RANKER, torn, tmp_path / "ranker", nodes)
    (job,) = server.jobs  # for whoever looks
    interrupted(train_on_nodes, settings, Model.RANKER, torn, tmp_path / "ranker", nodes)

    assert [one["metadata"]["name"] for one in server.made] == [job, job]
    assert "failed: jobset failed due to one or more job failures; the end of the log of ranker-" in str(failure.value)
    assert "No such file or directory" in str(failure.value)


def test_a_step_that_is_tried_again_waits_for_the_job_that_it_has_made(
    server: TrainerServer, nodes: Nodes, settings: Settings, tmp_path: Path
) -> None:
    write_examples(tmp_path / "examples")
    interrupted(train_on_nodes, settings, Model.TOWERS, tmp_path / "examples", tmp_path / "towers", nodes)
    train_on_nodes(settings, Model.TOWERS, tmp_path / "examples", tmp_path / "towers", nodes)

    assert len(server.made) == 1
    assert (tmp_path / "towers" / "weights.safetensors").is_file()


def test_a_cluster_that_refuses_is_told_with_what_mends_it(
    server: TrainerServer, nodes: Nodes, settings: Settings, tmp_path: Path
) -> None:
    server.refused = True
    write_examples(tmp_path / "examples")
    with pytest.raises(
        TrainingError,
        match=r"cannot be made of TrainingRuntime \S+: .*is forbidden.*training\.kubeflow\.serviceAccount of the chart",
    ):
        train_on_nodes(settings, Model.TOWERS, tmp_path / "examples", tmp_path / "towers", nodes)
    assert server.made == []
