"""What a benchmark prints: a table for people or JSON, with the machine it ran on; and its exit code."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks.rounds import Verdict
from watchnext.cli.output import next_step, print_json, print_table, say


def report(verdicts: Sequence[Verdict], notes: Mapping[str, object], *, as_json: bool) -> int:
    """Print everything; 0 where every bar was met."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": round(os.getloadavg()[0], 2)}
    if as_json:
        lines = [asdict(verdict) | {"outcome": verdict.outcome} for verdict in verdicts]
        print_json({"verdicts": lines, "notes": notes, "machine": machine})
    else:
        print_table(
            ("what", "value", "must", "outcome", "control", "raw"),
            (
                (
                    verdict.name,
                    f"{verdict.value:.3g}",
                    verdict.wanted,
                    f"{verdict.outcome}: {verdict.spoilt}" if verdict.spoilt else verdict.outcome,
                    "-" if verdict.control is None else f"{verdict.control:.2f}",
                    ", ".join(f"{name} {value}" for name, value in verdict.raw.items()),
                )
                for verdict in verdicts
            ),
        )
        for name, value in {**notes, **machine}.items():
            say(f"{name}: {value}")
        next_step("docs/benchmarks.md tells what each line means")
    return 0 if all(verdict.outcome == "met" for verdict in verdicts) else 1
