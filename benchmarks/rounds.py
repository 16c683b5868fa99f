"""Interleaved rounds with an A-against-A control, so that a drifting machine moves both sides of a ratio.

Every round runs each contender once, in an order that is drawn anew; the first contender runs twice (`A` and its
control). Where each always ran behind the same one, it found the machine as that had left it. A run whose control's
median ratio falls outside 0.9 to 1.1 says nothing and is void.
"""

import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from watchnext.cli.output import note

CONTROL: Final = "control (A again)"
CONTROL_RANGE: Final = (0.9, 1.1)
SEED: Final = 1  # of the orders


@dataclass(frozen=True, slots=True)
class Measured:
    """One contender's figures, one a round, all in the unit that the bench names."""

    figures: dict[str, list[float]]
    subject: str

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])

    def ratio(self, over: str, of: str | None = None) -> float:
        """Median of the paired ratios `of` / `over`."""
        pairs = zip(self.figures[of or self.subject], self.figures[over], strict=True)
        return statistics.median(a / b for a, b in pairs)

    @property
    def control(self) -> float:
        return self.ratio(self.subject, of=CONTROL)

    @property
    def void(self) -> bool:
        low, high = CONTROL_RANGE
        return not low <= self.control <= high


def interleave(contenders: Mapping[str, Callable[[], float]], *, rounds: int, title: str) -> Measured:
    """Run all contenders in turn, `rounds` times; the first is the subject. One warm-up round is not counted.

    A terminal sees `title` with the number of the round.
    """
    subject = next(iter(contenders))
    runs: list[tuple[str, Callable[[], float]]] = [*contenders.items(), (CONTROL, contenders[subject])]
    figures: dict[str, list[float]] = {name: [] for name, _ in runs}
    note(f"{title}: warm-up")
    for _, run in runs:
        run()
    draw = random.Random(SEED)
    for turn in range(rounds):
        note(f"{title}: round {turn + 1} of {rounds}")
        for name, run in draw.sample(runs, len(runs)):
            figures[name].append(run())
    return Measured(figures, subject)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a report: a measured value against its bar."""

    name: str
    value: float
    wanted: str  # such as "<= 4"
    raw: dict[str, Any] = field(default_factory=dict)
    control: float | None = None
    spoilt: str = ""  # why the bar is missed whatever the value: what was promised beside it did not hold

    @property
    def outcome(self) -> str:
        """`met`, `missed`, or `void` where the control was unsteady."""
        if self.control is not None and not CONTROL_RANGE[0] <= self.control <= CONTROL_RANGE[1]:
            return "void"
        if self.spoilt:
            return "missed"
        sign, bar = self.wanted.split()
        return "met" if (self.value <= float(bar) if sign == "<=" else self.value >= float(bar)) else "missed"
