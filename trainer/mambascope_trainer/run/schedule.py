"""Learning-rate schedules: cosine, and warm-up, stable, decay."""

from __future__ import annotations

import math
from typing import Any

from .config import OptimiserConfig


def learning_rate(step: int, optimiser: OptimiserConfig) -> float:
    """The rate of step `step`, from 0: linear warm-up, then the schedule down to `final_fraction` of the peak.

    cosine: half a period over the remaining steps. wsd: the peak, then a straight line over the last
    `decay_fraction` of all steps (arXiv 2404.06395, section 4).
    """
    o = optimiser
    if step < o.warmup:
        return o.learning_rate * (step + 1) / o.warmup
    if o.schedule == "cosine":
        progress = (step - o.warmup) / max(1, o.steps - o.warmup)
        height = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        decay = max(1.0, o.decay_fraction * o.steps)
        height = min(1.0, (o.steps - step) / decay)
    return o.learning_rate * (o.final_fraction + (1 - o.final_fraction) * height)


def set_learning_rates(groups: list[dict[str, Any]], step: int, optimiser: OptimiserConfig) -> None:
    """Give each parameter group the rate of a step; a group's own `peak` scales the schedule."""
    share = learning_rate(step, optimiser) / optimiser.learning_rate
    for group in groups:
        group["lr"] = share * group["peak"]
