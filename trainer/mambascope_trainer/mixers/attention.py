"""Causal grouped-query attention with rotary embeddings, the teacher's mixer (Hugging Face Llama convention)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundle.manifest import Architecture
from .elementwise import kernels_serve, rotary_triton
from .joint_linear import project, project_together


def rotary_table(arch: Architecture, length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """cos and sin of shape (length, head_dim), half-split form, float32."""
    inverse = arch.rope_theta ** (
        -torch.arange(0, arch.head_dim, 2, dtype=torch.float64, device=device) / arch.head_dim
    )
    angles = torch.outer(torch.arange(length, dtype=torch.float64, device=device), inverse)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (..., T, head_dim) by the table's rows."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return (x * cos + turned * sin).to(x.dtype)


class Attention(nn.Module):
    """u (b, T, D) -> (b, T, D). The cache is (keys, values), each (b, G, S, P), keys already rotated."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.heads, self.groups, self.head_dim = arch.num_attention_heads, arch.num_key_value_heads, arch.head_dim
        self.q_proj = nn.Linear(arch.hidden_size, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(arch.hidden_size, self.groups * self.head_dim, bias=False)
        self.v_proj = nn.Linear(arch.hidden_size, self.groups * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, arch.hidden_size, bias=False)

    def project(self, u: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (b, H, T, P), keys and values (b, G, T, P); queries and keys rotated."""
        batch, length, _ = u.shape
        projections = (self.q_proj, self.k_proj, self.v_proj)
        if kernels_serve(u):
            return rotary_triton(project_together(u, projections), *rotary, self.heads, self.groups)
        parts = project(u, projections)
        q, k, v = (part.view(batch, length, -1, self.head_dim).transpose(1, 2) for part in parts)
        return rotate(q, *rotary), rotate(k, *rotary), v

    def queries_and_keys(self, u: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What attention's matrix over the tokens of u (b, T, D) is made of."""
        queries, keys, _ = self.project(u, rotary)
        return queries, keys

    def forward(
        self, u: Tensor, rotary: tuple[Tensor, Tensor], cache: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        batch, length, _ = u.shape
        q, k, v = self.project(u, rotary)
        mask = None
        if cache is not None:
            past = cache[0].shape[2]
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
            mask = torch.ones(length, past + length, dtype=torch.bool, device=u.device).tril(past)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1)), (k, v)
