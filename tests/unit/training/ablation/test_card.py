import json
import re
from pathlib import Path

import pytest

from watchnext.training.ablation.card import AblationCard
from watchnext.training.ablation.freshness import Curve
from watchnext.training.ablation.trial import Trial


@pytest.fixture
def card(tmp_path: Path) -> AblationCard:
    """Two seeds of everything but of depth-0; a row without its base's seed."""
    trials = [
        towers("towers", 0, 0.5, curve=[0.0, 3.0]),
        towers("towers", 1, 0.4, curve=[0.0, 1.0]),
        towers("no-example-age", 0, 0.3, curve=[1.0, 1.0]),
        towers("no-example-age", 1, 0.35, curve=[1.0, 1.0]),
        towers("depth-0", 1, 0.45),
        towers("depth-0", 2, 0.9),
        Trial(variation="plain-logistic", seed=0, figures={"weighted_per_user_loss": 0.3, "auc": 0.7}),
    ]
    paths = [tmp_path / str(number) for number in range(len(trials))]
    for trial, path in zip(trials, paths, strict=True):
        trial.save(path)
    return AblationCard.of("abc<", {"queries": 1_234}, paths)


def towers(name: str, seed: int, recall: float, curve: list[float] | None = None) -> Trial:
    figures = {"recall@50": recall, "map@50": 0.1}
    if curve is None:
        return Trial(variation=name, seed=seed, figures=figures)
    shape = Curve(days=[-1, 0], observed=[0.0, 2.0], predicted=curve)
    return Trial(variation=name, seed=seed, figures={**figures, "freshness error": shape.error}, curve=shape)


def test_differences_are_paired_by_seed(card):
    rows = {(row.name, row.metric): row for row in card.rows()}
    recall = rows["no-example-age", "recall@50"]
    assert recall.base == pytest.approx(0.45)
    assert recall.differences == pytest.approx([-0.2, -0.05])
    assert recall.difference == pytest.approx(-0.125)
    assert rows["depth-0", "recall@50"].differences == pytest.approx([0.05]), "seed 2 has no base"
    assert ("plain-logistic", "auc") not in rows, "its base has not run"


def test_the_error_of_a_curve_is_in_means_of_what_was_observed():
    """Off by 1 and by 1, where 1 was observed on average."""
    assert Curve(days=[-1, 0], observed=[0.0, 2.0], predicted=[1.0, 1.0]).error == pytest.approx(1.0)


def test_markdown_has_a_line_a_figure(card):
    text = card.markdown()
    assert "Snapshot `abc<`: 1,234 queries." in text
    assert (
        "| no-example-age | without the age of an example | recall@50 | 0.4500 | -0.1250 | -0.2000 | -0.0500 | 2 |"
    ) in text
    assert "| depth-0 | hidden layers () | recall@50 | 0.4000 | +0.0500 | +0.0500 | +0.0500 | 1 |" in text


def test_the_page_holds_tables_and_plots_and_nothing_outside_it(card):
    page = card.html()
    assert "abc&lt;" in page
    assert "<td>-0.1250</td>" in page
    assert len(re.findall(r'src="data:image/png;base64,[A-Za-z0-9+/=]+"', page)) == 2, "differences, popularity by age"
    assert not re.findall(r'(src|href)="(?!data:)', page)


def test_json_has_rows_and_trials(card):
    found = json.loads(card.json())
    assert found["rows"][0]["name"] == "no-example-age"
    assert len(found["trials"]) == 7
