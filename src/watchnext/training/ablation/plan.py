"""What one run of the ablation trains: every row with every seed.

>>> trials_of("no-log-q", 2)[2:]
[{'row': 'no-log-q', 'seed': 0}, {'row': 'no-log-q', 'seed': 1}]
"""

import json
from typing import Any

from watchnext.errors import UsageError
from watchnext.training.ablation.variations import ALL, chosen


def trials_of(rows: str, seeds: int) -> list[dict[str, Any]]:
    """The loop's items: a `row` and a `seed` each, the bases first.

    Args:
        rows: names of variations, divided by commas; empty: all.
        seeds: how many times each is trained.

    Raises:
        UsageError: there is no such variation, or no seed.
    """
    if seeds < 1:
        raise UsageError(f"{seeds} seeds came; wanted 1 or more")
    return [{"row": variation.name, "seed": seed} for variation in chosen(rows) for seed in range(seeds)]


def uncapped(settings: str) -> str:
    """The settings of a run (`snapshot.settings_of_run`) with all examples of a user."""
    run = json.loads(settings)
    run["training"]["cap_per_user"] = ALL
    return json.dumps(run, sort_keys=True)
