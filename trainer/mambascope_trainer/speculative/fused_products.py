"""Launches of the kernels in `product_kernels`: products of few rows with a layer's weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..mixers.triton_launch import device_of

#: Rows of a tile (product_kernels.ROWS): how many a pass can have.
ROWS = 16
#: Entries of a weight's row that a program can hold.
WIDEST = 2048
NARROWEST = 64
#: Columns of a product that a program takes.
NARROW, WIDE, MANY_COLUMNS = 8, 16, 1152


@dataclass(frozen=True)
class Norm:
    """An RMS norm's weight (K,) and eps; group: entries that are normed together, None for all."""

    weight: Tensor
    eps: float
    group: int | None = None


@dataclass(frozen=True)
class Launch:
    """Launches the kernels of products. interpreted: by Triton's interpreter, on the CPU."""

    interpreted: bool = os.environ.get("TRITON_INTERPRET") == "1"

    def options(self, warps: int, stages: int = 2) -> dict[str, Any]:
        """Keyword arguments of a kernel's launch."""
        return {"num_warps": warps, "num_stages": stages}

    def product(self, x: Tensor, width: int, norm: Norm | None, weight: Tensor, out: Tensor, add: bool) -> None:
        """out (rows, N) = norm(x) weight^T, added (add) to what it was. Rows of x (rows, K) and out may lie apart."""
        from .product_kernels import GROUP_NORM, NO_NORM, ROW_NORM, product_kernel

        kind = NO_NORM if norm is None else ROW_NORM if norm.group is None else GROUP_NORM
        columns, blocks = weight.shape[0], _blocks(width)
        # Narrow outputs are cut finer, so that more of the GPU's multiprocessors read weights.
        share = NARROW if columns < MANY_COLUMNS else WIDE
        with device_of(x):
            product_kernel[(-(-columns // share),)](
                x, weight if norm is None else norm.weight, weight, out, x.shape[0], columns, x.stride(0),
                out.stride(0), 0.0 if norm is None else norm.eps, **blocks, BN=share, NORM=kind.value,
                GROUP=width if norm is None or norm.group is None else norm.group, ADD=add,
                GPU=not self.interpreted, **self.options(blocks["S"]),
            )  # fmt: skip

    def gated(self, x: Tensor, norm: Norm, gate: Tensor, up: Tensor, out: Tensor) -> None:
        """out (rows, M) = silu(norm(x) gate^T) norm(x) up^T."""
        from .product_kernels import gated_kernel

        blocks = _blocks(x.shape[1])
        with device_of(x):
            gated_kernel[(-(-gate.shape[0] // WIDE),)](
                x, norm.weight, gate, up, out, x.shape[0], gate.shape[0], x.stride(0), out.stride(0), norm.eps,
                **blocks, BN=WIDE, GPU=not self.interpreted, **self.options(blocks["S"]),
            )  # fmt: skip

    def rotary(
        self, x: Tensor, norm: Norm, weights: tuple[Tensor, Tensor, Tensor], table: tuple[Tensor, Tensor],
        position: Tensor, shift: int, q: Tensor, keys: Tensor, values: Tensor,
    ) -> None:  # fmt: skip
        """Rotated queries of norm(x) to q (rows, H P); rotated keys and values to keys, values (1, G, length, P)."""
        from .product_kernels import rotary_product_kernel

        blocks, (_, groups, length, size) = _blocks(x.shape[1]), keys.shape
        heads = q.shape[1] // size
        with device_of(x):
            rotary_product_kernel[((heads + 2 * groups) * (size // 2 // NARROW),)](
                x, norm.weight, *weights, *table, position, q, keys, values, x.shape[0], shift, heads, groups, length,
                x.stride(0), norm.eps, **blocks, BN=NARROW, P=size, GPU=not self.interpreted,
                **self.options(blocks["S"]),
            )  # fmt: skip

    def head(self, x: Tensor, norm: Norm, weight: Tensor, hidden: Tensor, logits: Tensor | None, best: Best) -> None:
        """hidden (rows, D) = norm(x); logits (rows, n) of it in float32, or for None each program's largest to best."""
        from .product_kernels import head_kernel

        blocks, columns = _blocks(x.shape[1], Best.PIECES), weight.shape[0]
        with device_of(x):
            head_kernel[(-(-columns // Best.COLUMNS),)](
                x, norm.weight, weight, hidden, best.values if logits is None else logits, best.values, best.places,
                x.shape[0], columns, x.stride(0), norm.eps, **blocks, BN=Best.COLUMNS, GREEDY=logits is None,
                GPU=not self.interpreted, **self.options(blocks["S"]),
            )  # fmt: skip


class Best:
    """Each head program's largest logit of each row, and its place: (programs, ROWS)."""

    COLUMNS, PIECES = 32, 4

    def __init__(self, columns: int, device: torch.device) -> None:
        self.parts = -(-columns // self.COLUMNS)
        self.values = torch.empty(self.parts, ROWS, device=device)
        self.places = torch.empty(self.parts, ROWS, dtype=torch.int32, device=device)

    def pick(self, rows: int, out: Tensor, shortlist: Tensor | None, launch: Launch) -> None:
        """The likeliest tokens of the last of `rows` rows, as many as `out` (n,) has room for."""
        from .cycle_kernels import pick_kernel

        first = rows - out.shape[0]
        with device_of(out):
            pick_kernel[(out.shape[0],)](
                self.values[:, first:], self.places[:, first:], out if shortlist is None else shortlist, out,
                self.parts, ROWS=ROWS, SHORT=shortlist is not None, PARTS=_power(self.parts), **launch.options(4),
            )  # fmt: skip


def _blocks(width: int, pieces: int | None = None) -> dict[str, int]:
    """How `product_kernels` cuts a weight's row, into `pieces` at most."""
    pieces = min(pieces or (8 if width >= 1024 else 4), width // 16)
    first = 1 << (width.bit_length() - 1)
    rest = width - first
    return {"K": width, "A": first, "C": max(16 * pieces, _power(rest)) if rest else 0, "S": pieces}


def _power(count: int) -> int:
    """The smallest power of two that is no smaller."""
    return 1 << max(0, (count - 1).bit_length())
