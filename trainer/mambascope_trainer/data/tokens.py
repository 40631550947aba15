"""Packed token rows on disk, and the order in which training reads them.

A data folder holds `rows-*.npy` (uint16, (rows, length)) and `recipe.json`, which says how they were made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import MambascopeError


class DataError(MambascopeError):
    """Data that cannot be used; the message says why and what to do."""

    def __init__(self, message: str, action: str = "Make the data again, or name another folder.") -> None:
        super().__init__("data-unusable", message, action)


def write_rows(folder: Path, name: str, rows: np.ndarray, recipe: dict[str, Any]) -> None:
    """Write one shard and the recipe. Raises DataError if an id does not fit 16 bits."""
    if rows.min() < 0 or rows.max() > 0xFFFF:
        raise DataError("token ids do not fit 16 bits: the vocabulary is larger than 65,536")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"rows-{name}.npy", rows.astype(np.uint16))
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=1))


class TokenRows:
    """All rows of a data folder; `batch(step)` depends on the step alone, so a resumed run sees what an unbroken one does."""

    def __init__(self, folder: Path, seq_len: int, seed: int) -> None:
        shards = sorted(folder.glob("rows-*.npy"))
        if not shards:
            raise DataError(f"no rows-*.npy in {folder}: make data with `python -m mambascope_trainer generate`")
        arrays = [np.load(path, mmap_mode="r") for path in shards]
        length = arrays[0].shape[1]
        if any(a.ndim != 2 or a.shape[1] != length or a.dtype != np.uint16 for a in arrays):
            raise DataError(f"the shards in {folder} differ in row length or are not uint16")
        if seq_len >= length:
            raise DataError(f"seq_len {seq_len} needs rows of {seq_len + 1} tokens, those of {folder} have {length}: lower seq_len")
        self.rows = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        # A row is cut into windows of seq_len inputs and one more label; the rest of a row that does not fill one is left out.
        self.per_row = (length - 1) // seq_len
        self.seq_len, self.seed = seq_len, seed
        self._held: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.rows) * self.per_row

    @property
    def tokens(self) -> int:
        return len(self) * self.seq_len

    def window(self, index: int) -> np.ndarray:
        row, part = divmod(index, self.per_row)
        return np.asarray(self.rows[row, part * self.seq_len : (part + 1) * self.seq_len + 1])

    def batch(self, step: int, size: int) -> torch.Tensor:
        """Token ids (size, seq_len + 1), int64: inputs and next tokens. Every epoch is a new permutation of all windows."""
        picks = []
        for number in range(step * size, (step + 1) * size):
            epoch, place = divmod(number, len(self))
            picks.append(self.window(self._order(epoch)[place]))
        return torch.from_numpy(np.stack(picks).astype(np.int64))

    def _order(self, epoch: int) -> np.ndarray:
        if self._held is None or self._held[0] != epoch:
            self._held = (epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self)))
        return self._held[1]
