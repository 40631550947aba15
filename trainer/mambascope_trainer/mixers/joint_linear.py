"""Several projections of one input as one matrix product.

Against many tokens the joint weight costs next to nothing to put together, and the input is read once, its gradient
written once. Rows are padded to a multiple of 16: at widths such as 1545, whose rows are not aligned in memory, the
libraries fall back to kernels several times slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Below it (decoding, short prompts) putting weights together would cost more than it saves.
MANY_TOKENS = 2048
ALIGNMENT = 16


def joint_linear(u: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """[u W^T for each W (rows, D)], u (b, T, D)."""
    if u.shape[:-1].numel() < MANY_TOKENS:
        return [F.linear(u, weight) for weight in weights]
    rows = [weight.shape[0] for weight in weights]
    joint = F.linear(u, _stack(weights))
    return list(torch.split(joint, [*rows, joint.shape[-1] - sum(rows)], dim=-1)[: len(rows)])


def project(u: Tensor, projections: Sequence[nn.Module]) -> list[Tensor]:
    """Each projection of u; in one product where all are plain linear layers without bias."""
    weights = _plain_weights(projections)
    return [p(u) for p in projections] if weights is None else joint_linear(u, weights)


def project_together(u: Tensor, projections: Sequence[nn.Module]) -> Tensor:
    """All projections of u side by side (b, T, sum of rows)."""
    weights = _plain_weights(projections)
    if weights is None or sum(weight.shape[0] for weight in weights) % ALIGNMENT:
        return torch.cat([p(u) for p in projections], dim=-1)
    return F.linear(u, _stack(weights))


def _plain_weights(projections: Sequence[nn.Module]) -> list[Tensor] | None:
    plain = [cast(nn.Linear, p) for p in projections if type(p) is nn.Linear and p.bias is None]
    return [p.weight for p in plain] if len(plain) == len(projections) else None


def _stack(weights: Sequence[Tensor]) -> Tensor:
    """The rows of all weights, and zeros up to a multiple of ALIGNMENT."""
    spare = -sum(weight.shape[0] for weight in weights) % ALIGNMENT
    parts = [*weights, weights[0].new_zeros(spare, weights[0].shape[1])] if spare else list(weights)
    return torch.cat(parts) if len(parts) > 1 else parts[0]
