"""Start a Mamba-2 mixer from the attention layer that it replaces (arXiv 2408.15237, section 2.2, figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.config import Mamba2Config
from .attention import Attention
from .mamba2 import Mamba2


@torch.no_grad()
def init_from_attention(mamba: Mamba2, attention: Attention) -> None:
    """x <- W_v, B <- W_k, C <- W_q / sqrt(head_dim), out <- W_o; the gate starts small, everything else as constructed.

    C carries attention's own 1/sqrt(head_dim), so C.B has the scale of the attention logits. A mixer may have a
    multiple of attention's heads (each copy gets its share of W_o, and its own decay) and of its key/value groups
    (copies that training sets free). Raises ValueError if the shapes do not go together.
    """
    config = mamba.config
    heads, groups = head_sources(config, attention)
    size = config.head_dim
    rows = iter(torch.split(mamba.in_proj.weight, segment_rows(config)))
    if config.gate:
        next(rows).normal_(std=0.02)
    next(rows).copy_(_pick(attention.v_proj.weight, groups, size))
    next(rows).copy_(_pick(attention.k_proj.weight, groups, size))
    next(rows).copy_(_pick(attention.q_proj.weight, heads, size) * size**-0.5)
    next(rows).normal_(std=0.005)
    copies = config.num_heads // attention.heads
    mamba.out_proj.weight.copy_(_pick(attention.o_proj.weight.T, heads, size).T / copies)


def head_sources(config: Mamba2Config, attention: Attention) -> tuple[list[int], list[int]]:
    """The attention head that each mixer head starts from, and the attention group of each mixer group."""
    fits = (
        config.head_dim == config.state_size == attention.head_dim
        and config.num_heads % attention.heads == 0
        and config.num_kv_heads % attention.groups == 0
        and config.num_heads % config.num_kv_heads == 0
    )
    if not fits:
        raise ValueError(
            f"cannot initialise from attention with {attention.heads} heads of {attention.head_dim} in "
            f"{attention.groups} groups: the mixer has {config.num_heads} heads of {config.head_dim} with states of "
            f"{config.state_size} in {config.num_kv_heads} groups; it needs the same sizes and multiples of the counts"
        )
    a_group = attention.heads // attention.groups
    m_group = config.num_heads // attention.groups
    heads = [(j // m_group) * a_group + (j % m_group) % a_group for j in range(config.num_heads)]
    groups = [g // (config.num_kv_heads // attention.groups) for g in range(config.num_kv_heads)]
    return heads, groups


def segment_rows(config: Mamba2Config) -> list[int]:
    """Rows of in_proj's segments: z (if it has a gate), x, B, C, dt."""
    sizes = [
        config.num_kv_heads * config.head_dim,
        config.num_kv_heads * config.state_size,
        config.num_heads * config.state_size,
        config.num_heads,
    ]
    return [config.inner_size, *sizes] if config.gate else sizes


def _pick(weight: Tensor, blocks: list[int], size: int) -> Tensor:
    """Rows of `weight` taken in blocks of `size`."""
    return weight.reshape(-1, size, *weight.shape[1:])[blocks].flatten(0, 1)
