"""Sequence mixers as matrices over the tokens, a block of rows at a time (MOHAWK, arXiv 2408.10189, section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..mixers.scan import expand_groups

#: Rows (queries) of the matrices that exist at a time.
ROWS = 256


class SsdTerms(NamedTuple):
    """What a Mamba-2 mixer's matrix is made of: C (b, T, H, N), B (b, T, G, N), log_decay (b, T, H), D (H,), and the
    input's scale d (b, T, H), None in the discrete form."""

    C: Tensor
    B: Tensor
    log_decay: Tensor
    d: Tensor | None
    D: Tensor

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows start..stop of M with y = M x, columns 0..stop: (b, H, stop - start, stop), float32 or wider.

        M_ts = C_t.B_s exp(sum of log_decay over s < r <= t) d_s for s <= t, and D on the diagonal besides.
        """
        wide = torch.promote_types(self.C.dtype, torch.float32)
        C, B = self.C[:, start:stop].to(wide), expand_groups(self.B[:, :stop], self.C.shape[2]).to(wide)
        total = self.log_decay[:, :stop].to(wide).cumsum(dim=1).transpose(1, 2)
        future = _future(start, stop, C.device)
        decay = (total[:, :, start:, None] - total[:, :, None, :]).masked_fill(future, float("-inf")).exp()
        matrix = torch.einsum("bthn,bshn->bhts", C, B) * decay
        if self.d is not None:
            matrix = matrix * self.d[:, :stop].to(wide).transpose(1, 2)[:, :, None, :]
        here = torch.eye(stop, dtype=wide, device=C.device)[start:]
        return matrix + self.D.to(wide)[:, None, None] * here


def attention_rows(queries: Tensor, keys: Tensor, start: int, stop: int) -> Tensor:
    """Rows start..stop of causal softmax attention, columns 0..stop: (b, H, stop - start, stop), float32 or wider.

    queries (b, H, T, P) and keys (b, G, T, P), rotated.
    """
    wide = torch.promote_types(queries.dtype, torch.float32)
    heads, groups = queries.shape[1], keys.shape[1]
    q = queries[:, :, start:stop].to(wide)
    k = keys[:, :, :stop].to(wide).repeat_interleave(heads // groups, dim=1)
    scores = q @ k.mT * q.shape[-1] ** -0.5
    rows: Tensor = scores.masked_fill(_future(start, stop, q.device), float("-inf")).softmax(dim=-1)
    return rows


def _future(start: int, stop: int, device: torch.device) -> Tensor:
    """True where a row (query) may not look."""
    rows, columns = torch.arange(start, stop, device=device), torch.arange(stop, device=device)
    return columns > rows[:, None]
