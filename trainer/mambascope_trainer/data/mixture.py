"""What a run trains on: one data folder, or several that are mixed in given shares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from .ids import Ids
from .order import places
from .tokens import TokenRows

#: Windows over which the shares are exact.
BLOCK = 1000


class DataSource(BaseModel):
    """One data folder of a mixture. The shares of a mixture are relative: they need not add up to one."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(description="Data folder with rows-*.npy")
    share: float = Field(default=1.0, gt=0, description="Share of the windows that are drawn from this folder")


class TrainingData(Protocol):
    """What the loop reads: `batch(step, …)` depends on its arguments alone."""

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        """Token ids (size / world, seq_len + 1), int64; the ranks' parts together are what one process gets."""
        ...


def open_training_data(data: str | Sequence[DataSource], seq_len: int, seed: int) -> TrainingData:
    """The rows of a run config's `data.train`. Raises DataError as TokenRows does."""
    if isinstance(data, str):
        return TokenRows(Path(data), seq_len, seed)
    return Mixture(data, seq_len, seed)


class Mixture:
    """Windows of several folders in given shares, each folder walked by permutations of its own.

    Every block of BLOCK windows holds each folder's share, rounded to 1/BLOCK (but at least one window), spread evenly
    through the block, so that a batch comes as near to the shares as its size allows.
    """

    def __init__(self, sources: Sequence[DataSource], seq_len: int, seed: int) -> None:
        if not sources:
            raise ValueError("a mixture needs at least one folder")
        self.seed = seed
        # A seed each: two folders of as many windows must not be walked in step.
        self.folders = [TokenRows(Path(s.folder), seq_len, seed + k) for k, s in enumerate(sources)]
        self.counts = whole_shares([s.share for s in sources], BLOCK)
        self._held: tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        """As TrainingData.batch."""
        return torch.from_numpy(np.stack([self._window(n) for n in places(step, size, rank, world)]).astype(np.int64))

    def _window(self, place: int) -> Ids:
        block, within = divmod(place, BLOCK)
        if self._held is None or self._held[0] != block:
            self._held = (block, *spread(self.counts, np.random.default_rng([self.seed, block])))
        source, number = int(self._held[1][within]), int(self._held[2][within])
        return self.folders[source].at(block * self.counts[source] + number)


def whole_shares(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers, at least 1 each, that add up to `total`, in proportion to `shares` (largest remainders)."""
    exact = np.array(shares) / sum(shares) * total
    counts = np.floor(exact + 1e-9).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    for k in np.flatnonzero(counts == 0):
        counts[k] += 1
        counts[counts.argmax()] -= 1
    return [int(count) for count in counts]


def spread(counts: Sequence[int], random: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """An order in which source k comes counts[k] times, one in each of counts[k] equal stretches, at a random place.

    Returns each place's source, and how often that source came before.
    """
    source = np.repeat(np.arange(len(counts)), counts)
    number = np.concatenate([np.arange(count) for count in counts])
    at = (number + random.random(len(number))) / np.repeat(counts, counts)
    order = np.argsort(at, kind="stable")
    return source[order], number[order]
