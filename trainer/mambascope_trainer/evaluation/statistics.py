"""Means with their standard errors, and paired differences of two models on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    value: float
    error: float


def mean(values: Sequence[float]) -> Estimate:
    """Mean of at least one value; the error is that of independent draws (for 0/1 values, the binomial one)."""
    count, value = len(values), math.fsum(values) / len(values)
    spread = math.fsum((x - value) ** 2 for x in values)
    return Estimate(value, math.sqrt(spread / (count * (count - 1))) if count > 1 else math.inf)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Mean of ours - theirs, item by item.

    The items are the same for both, so the error is that of the paired differences: far smaller than that of two
    independent means where the models mostly agree.
    """
    return mean([a - b for a, b in zip(ours, theirs, strict=True)])
