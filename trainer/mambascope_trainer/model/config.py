"""The Mamba-2 mixer's shape (docs/contracts.md, section 3)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..bundle.manifest import Architecture


class Mamba2Config(BaseModel):
    """One Mamba-2 mixer (docs/contracts.md, section 3).

    `form="ssd"` is the layout of arXiv 2408.15237 (dt by softplus, A per head); `form="discrete"` is MOHAWK's
    discrete Mamba-2 (arXiv 2408.10189): a decay a token and head, no dt on the input.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: Literal["ssd", "discrete"] = "ssd"
    num_heads: int = Field(gt=0)
    num_kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    state_size: int = Field(gt=0)
    conv_kernel: Literal[0, 4] = 4
    conv_activation: Literal["silu", "identity"] = "silu"
    gate: bool = True
    norm: Literal["none", "rms"] = "rms"
    norm_groups: int = Field(default=1, gt=0)
    norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Mamba2Config:
        if self.num_heads % self.num_kv_heads:
            raise ValueError("num_heads must be a multiple of num_kv_heads")
        if self.norm_groups not in (1, self.num_heads):
            raise ValueError("norm_groups must be 1 or num_heads")
        return self

    @property
    def inner_size(self) -> int:
        """Width of y, z and the input of out_proj: H * P."""
        return self.num_heads * self.head_dim

    @property
    def conv_size(self) -> int:
        """Channels of [x, B, C]: G*P + G*N + H*N."""
        return self.num_kv_heads * (self.head_dim + self.state_size) + self.num_heads * self.state_size

    @property
    def in_proj_rows(self) -> int:
        return (self.inner_size if self.gate else 0) + self.conv_size + self.num_heads

    @classmethod
    def like_attention(cls, arch: Architecture, **options: object) -> Mamba2Config:
        """The mixer whose x, B, C have the shapes of the teacher's v, k, q (arXiv 2408.15237, section 2.2)."""
        return cls.model_validate(
            {
                "num_heads": arch.num_attention_heads,
                "num_kv_heads": arch.num_key_value_heads,
                "head_dim": arch.head_dim,
                "state_size": arch.head_dim,
                **options,
            }
        )
