"""Sticky A/B arms: a hash of experiment and user decides, so that no state is kept and no draw is repeated."""

import hashlib
from collections.abc import Mapping


def arm_of(user_id: str, *, experiment: str, arms: Mapping[str, float]) -> str:
    """The user's arm; shares are relative to their sum. Empty where no experiment runs.

    >>> arm_of("u1", experiment="", arms={})
    ''
    """
    total = sum(arms.values())
    if not experiment or total <= 0:
        return ""
    digest = hashlib.blake2b(f"{experiment}\0{user_id}".encode(), digest_size=8).digest()
    point = int.from_bytes(digest, "big") / 2**64 * total
    for arm in sorted(arms):
        point -= arms[arm]
        if point < 0:
            return arm
    return max(arm for arm in arms if arms[arm] > 0)
