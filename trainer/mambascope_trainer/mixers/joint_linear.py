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
    spare = -sum(rows) % ALIGNMENT
    parts = [*weights, weights[0].new_zeros(spare, weights[0].shape[1])] if spare else list(weights)
    joint = torch.cat(parts) if len(parts) > 1 else parts[0]
    return list(torch.split(F.linear(u, joint), [*rows, spare], dim=-1)[: len(rows)])


def project(u: Tensor, projections: Sequence[nn.Module]) -> list[Tensor]:
    """Each projection of u; in one product where all are plain linear layers without bias."""
    plain = [cast(nn.Linear, p) for p in projections if type(p) is nn.Linear and p.bias is None]
    if len(plain) < len(projections):
        return [p(u) for p in projections]
    return joint_linear(u, [p.weight for p in plain])
