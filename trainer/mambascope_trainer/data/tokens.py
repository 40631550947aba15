"""Packed token rows on disk, and the order in which training reads them.

A data folder holds `rows-*.npy` (uint16 or uint32, (rows, length)) and `recipe.json`, which says how they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .errors import DataError
from .ids import STORED, Ids, id_type
from .order import EpochOrder, places

__all__ = ["DataError", "TokenRows", "shards_of", "write_rows", "write_shard"]


def write_rows(folder: Path, name: str, rows: npt.NDArray[np.integer[Any]], recipe: dict[str, Any]) -> None:
    """Write one shard and the recipe. Raises as `write_shard`."""
    write_shard(folder, name, rows)
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=1))


def write_shard(folder: Path, name: str, rows: npt.NDArray[np.integer[Any]]) -> None:
    """Write rows-<name>.npy, in 16 bits an id if they fit. Raises DataError for ids that are none."""
    if rows.min() < 0 or rows.max() > 0xFFFFFFFF:
        raise DataError("token ids must be from 0 to 2^32 - 1")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"rows-{name}.npy", rows.astype(id_type(int(rows.max()))))


def _load(path: Path) -> Ids:
    try:
        rows: Ids = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not a NumPy array ({error})") from None
    if rows.ndim != 2 or rows.dtype not in STORED or len(rows) == 0:
        raise DataError(f"{path} holds {rows.dtype} of shape {rows.shape}, not rows of uint16 or uint32 tokens")
    return rows


def shards_of(folder: Path) -> list[Ids]:
    """The arrays (rows, length) of a data folder, memory-mapped, in order. Raises DataError if there is none."""
    shards = sorted(folder.glob("rows-*.npy"))
    if not shards:
        raise DataError(f"no rows-*.npy in {folder}: make data with `python -m mambascope_trainer generate`")
    return [_load(path) for path in shards]


class TokenRows:
    """All rows of a data folder, cut into windows.

    `batch(step)` depends on the step alone, so a resumed run sees what an unbroken one does.
    """

    def __init__(self, folder: Path, seq_len: int, seed: int) -> None:
        arrays = shards_of(folder)
        length = arrays[0].shape[1]
        if any(a.shape[1] != length for a in arrays):
            raise DataError(f"the shards in {folder} differ in row length")
        if seq_len >= length:
            raise DataError(
                f"seq_len {seq_len} needs rows of {seq_len + 1} tokens, those of {folder} have {length}",
                "Lower seq_len, or name another folder.",
            )
        self.shards = arrays
        self.ends = np.cumsum([len(a) for a in arrays])
        # A window is seq_len inputs and one more label; the rest of a row that does not fill one is left out.
        self.per_row: int = (length - 1) // seq_len
        self.seq_len, self.seed = seq_len, seed
        self.order = EpochOrder(len(self), seed)

    def __len__(self) -> int:
        """Number of windows."""
        return int(self.ends[-1]) * self.per_row

    @property
    def tokens(self) -> int:
        return len(self) * self.seq_len

    def window(self, index: int) -> Ids:
        row, part = divmod(index, self.per_row)
        shard = int(np.searchsorted(self.ends, row, side="right"))
        rows = self.shards[shard]
        line = rows[row - int(self.ends[shard]) + len(rows)]
        return np.asarray(line[part * self.seq_len : (part + 1) * self.seq_len + 1])

    def at(self, place: int) -> Ids:
        """The window at a place of the training order; every epoch permutes all windows anew."""
        return self.window(self.order[place])

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        """Token ids (size / world, seq_len + 1), int64: inputs and next tokens, the part of process `rank` of `world`.

        The ranks' parts, one after another, are the batch of one process. Raises ValueError if size is not a multiple.
        """
        return self._gather(places(step, size, rank, world))

    def once(self, size: int, limit: int | None = None) -> Iterator[torch.Tensor]:
        """The first epoch's windows, at most `limit` of them, each once; the last batch may be smaller than `size`."""
        count = len(self) if limit is None else min(limit, len(self))
        for start in range(0, count, size):
            yield self._gather(range(start, min(start + size, count)))

    def _gather(self, numbers: range) -> torch.Tensor:
        return torch.from_numpy(np.stack([self.at(number) for number in numbers]).astype(np.int64))
