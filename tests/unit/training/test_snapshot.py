import json

import pytest

from watchnext.errors import ConfigError
from watchnext.settings import Generations, Milvus, Serving, Settings, Training, load_settings
from watchnext.training.snapshot import settings_of_run, settings_with

PLAIN = Settings(profile="tiny")


@pytest.mark.parametrize(
    "changed",
    [
        {"profile": "small"},
        {"training": Training(epochs=9)},
        {"training": Training(gate_min_auc=0.6)},
        {"generations": Generations(refresh_minutes=30)},
        {"serving": Serving(candidates=100)},  # the evaluation's merged lists are of so many
    ],
)
def test_what_decides_the_models_changes_the_settings_of_a_run(changed):
    assert settings_of_run(PLAIN.model_copy(update=changed)) != settings_of_run(PLAIN)


@pytest.mark.parametrize(
    "changed",
    [{"milvus": Milvus(token="secret")}, {"generations": Generations(url="memory://elsewhere", poll_s=2)}],
)
def test_what_decides_nothing_leaves_them_and_no_secret_is_told(changed):
    assert settings_of_run(PLAIN.model_copy(update=changed)) == settings_of_run(PLAIN)


def test_a_task_gets_the_settings_of_its_run_whatever_its_own_environment_says(monkeypatch):
    run = PLAIN.model_copy(update={"training": Training(epochs=9), "generations": Generations(refresh_minutes=30)})
    monkeypatch.setenv("WATCHNEXT_TRAINING__EPOCHS", "4")
    monkeypatch.setenv("WATCHNEXT_GENERATIONS__URL", "memory://ours")

    of_task = load_settings(**json.loads(settings_of_run(run)))

    assert (of_task.profile, of_task.training.epochs, of_task.generations.refresh_minutes) == ("tiny", 9, 30)
    assert of_task.generations.url == "memory://ours"


def test_a_runs_parameters_lie_on_top_of_the_settings(monkeypatch):
    monkeypatch.setenv("WATCHNEXT_PROFILE", "tiny")
    monkeypatch.setenv("WATCHNEXT_TRAINING__BATCH", "64")
    run = settings_with("", '{"epochs": 9}')
    assert (run.profile, run.training.epochs, run.training.batch) == ("tiny", 9, 64)
    assert settings_with("small", "").profile == "small"  # as a form that was emptied gives it
    with pytest.raises(ConfigError, match=r"training is 'epochs: 9'; wanted a JSON object of settings, such as"):
        settings_with("", "epochs: 9")
