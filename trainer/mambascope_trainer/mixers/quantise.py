"""Fake quantisation: train the mixers through the block codec they will ship in (straight-through estimator)."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 32


def fake_q4_0(weight: Tensor) -> Tensor:
    """Round to the `q4_0` grid of docs/contracts.md: a float16 scale a block of 32, levels -8..7.

    The scale maps the entry of largest magnitude to level -8, so encoding the result again returns it unchanged.
    """
    blocks = torch.unflatten(weight.float(), -1, (-1, BLOCK))
    extreme = blocks.gather(-1, blocks.abs().argmax(dim=-1, keepdim=True))
    scale = (extreme / -8).to(torch.float16).float()
    inverse = torch.where(scale == 0, torch.zeros_like(scale), 1 / scale)
    rounded: Tensor = (blocks * inverse).round().clamp(-8, 7) * scale
    return rounded.flatten(-2).to(weight.dtype)


def fake_q8_0(weight: Tensor) -> Tensor:
    """Round to the `q8_0` grid: a float16 scale a block of 32, levels -127..127."""
    blocks = torch.unflatten(weight.float(), -1, (-1, BLOCK))
    scale = (blocks.abs().amax(dim=-1, keepdim=True) / 127).to(torch.float16).float()
    inverse = torch.where(scale == 0, torch.zeros_like(scale), 1 / scale)
    rounded: Tensor = (blocks * inverse).round().clamp(-127, 127) * scale
    return rounded.flatten(-2).to(weight.dtype)


def straight_through(weight: Tensor, codec: str | None) -> Tensor:
    """Quantised value forward, identity gradient backward. `codec` is "q4_0", "q8_0" or None (no quantisation)."""
    if codec is None:
        return weight
    rounded = {"q4_0": fake_q4_0, "q8_0": fake_q8_0}[codec](weight.detach())
    # The difference is exactly zero, so the value is the rounded one to the last bit.
    return rounded + (weight - weight.detach())
