"""The order in which training reads numbered items: a permutation an epoch, a part a process.

The item at a place depends on the seed and the place alone: a run that resumes, or is spread over more processes, sees
what one unbroken process does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class EpochOrder:
    """Place 0, 1, 2, … -> item: every `count` places are a permutation of all items, another one each epoch."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._held: tuple[int, npt.NDArray[np.int64]] | None = None

    def __getitem__(self, place: int) -> int:
        epoch, within = divmod(place, self.count)
        if self._held is None or self._held[0] != epoch:
            self._held = (epoch, np.random.default_rng([self.seed, epoch]).permutation(self.count))
        return int(self._held[1][within])


def places(step: int, size: int, rank: int = 0, world: int = 1) -> range:
    """The places of a step's batch of `size` that process `rank` of `world` reads: equal parts, in the ranks' order.

    Raises ValueError if the batch cannot be split evenly or there is no such rank.
    """
    if not 0 <= rank < world:
        raise ValueError(f"there is no rank {rank} of {world}")
    if size % world:
        raise ValueError(f"a batch of {size} cannot be split evenly over {world} processes")
    part = size // world
    start = step * size + rank * part
    return range(start, start + part)
