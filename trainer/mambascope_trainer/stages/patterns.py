"""Which layers a step replaces: always the same ones, a random subset, or one of several named patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..run.config import RunConfig


@dataclass(frozen=True)
class NamedPattern:
    """Layers replaced together; `share` adds up to 1 over the patterns that evaluation measures."""

    name: str
    replaced: frozenset[int]
    share: float


class PatternSampler:
    """The pattern of a step is a function of the seed and the step alone: a resumed run, every micro-batch of a step
    and every process see the same."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.full = frozenset(config.layers)
        total = sum(pattern.share for pattern in config.mixture)
        #: What evaluation measures: the patterns of the mixture, or all layers replaced.
        self.named = [NamedPattern(p.name, frozenset(p.layers), p.share / total) for p in config.mixture]
        if not self.named:
            self.named = [NamedPattern("full", self.full, 1.0)]

    def at(self, step: int) -> frozenset[int]:
        """The layers that step `step` replaces."""
        config = self.config
        if config.pattern == "fixed":
            return self.full
        random = np.random.default_rng([config.seed, step])
        named_share = config.full_probability if config.pattern == "random" else 1 - config.random_share
        if random.random() < named_share:
            if len(self.named) == 1:
                return self.named[0].replaced
            return self.named[random.choice(len(self.named), p=[p.share for p in self.named])].replaced
        count = int(random.integers(1, len(config.layers) + 1))
        return frozenset(random.choice(config.layers, count, replace=False).tolist())
