"""Start a Mamba-2 mixer from the attention layer that it replaces (arXiv 2408.15237, section 2.2, figure 1)."""

from __future__ import annotations

import torch

from .attention import Attention
from .mamba2 import Mamba2


@torch.no_grad()
def init_from_attention(mamba: Mamba2, attention: Attention) -> None:
    """x <- W_v, B <- W_k, C <- W_q / sqrt(head_dim), out <- W_o; the gate starts small, everything else as constructed.

    C carries attention's own 1/sqrt(head_dim), so C.B has the scale of the attention logits.
    Raises ValueError if the shapes of the mixer are not those of the attention layer.
    """
    config = mamba.config
    shapes = (attention.heads, attention.groups, attention.head_dim, attention.head_dim)
    if shapes != (config.num_heads, config.num_kv_heads, config.head_dim, config.state_size):
        raise ValueError(
            f"cannot initialise from attention: it has (heads, groups, head_dim, head_dim) = {shapes}, the mixer "
            f"{(config.num_heads, config.num_kv_heads, config.head_dim, config.state_size)}"
        )
    weight = mamba.in_proj.weight
    rows = iter(torch.split(weight, _row_sizes(mamba)))
    if config.gate:
        z = next(rows)
        z.normal_(std=0.02)
    next(rows).copy_(attention.v_proj.weight)
    next(rows).copy_(attention.k_proj.weight)
    next(rows).copy_(attention.q_proj.weight * config.head_dim**-0.5)
    next(rows).normal_(std=0.005)
    mamba.out_proj.weight.copy_(attention.o_proj.weight)


def _row_sizes(mamba: Mamba2) -> list[int]:
    config = mamba.config
    sizes = [
        config.num_kv_heads * config.head_dim,
        config.num_kv_heads * config.state_size,
        config.num_heads * config.state_size,
        config.num_heads,
    ]
    return [config.inner_size, *sizes] if config.gate else sizes
