"""The Mamba-2 mixer, grouped-query aware, in the paper's form and in MOHAWK's discrete form.

arXiv 2408.15237, section 2.2 (attention-initialised Mamba) and arXiv 2408.10189, section 4 (discrete Mamba-2).
Layout and formulas: docs/contracts.md, section 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundle.manifest import Architecture
from ..model.config import Mamba2Config
from .elementwise import conv_triton, kernels_serve
from .joint_linear import joint_linear
from .quantise import straight_through
from .scan import Backend, scan

State = tuple[Tensor, Tensor]


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor, past: Tensor | None = None) -> Tensor:
    """Depthwise causal convolution of (b, T, channels) with weight (channels, kernel); the last tap is the current one.

    A sum of shifted products rather than a convolution call: it fuses, and cuDNN's depthwise kernels are slower here.
    `past` (b, channels, kernel-1) holds the inputs before the first token.
    """
    if past is None and kernels_serve(x):
        return conv_triton(x, weight, bias)
    kernel, length = weight.shape[1], x.shape[1]
    padded = (
        F.pad(x, (0, 0, kernel - 1, 0)) if past is None else torch.cat([past.transpose(1, 2).to(x.dtype), x], dim=1)
    )
    total = padded[:, 0:length] * weight[:, 0] + bias
    for tap in range(1, kernel):
        total = total + padded[:, tap : tap + length] * weight[:, tap]
    return total.to(x.dtype)


class Taps(nn.Module):
    """Weights of a depthwise convolution, the identity at the start: x, B, C are then the teacher's v, k, q."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        weight = torch.zeros(channels, kernel)
        weight[:, -1] = 1.0
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))


class Scale(nn.Module):
    """The per-channel weight of a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))


class Mamba2(nn.Module):
    """u (b, T, D) -> (b, T, D). The state is (conv inputs (b, channels, kernel-1), S (b, H, N, P))."""

    def __init__(self, arch: Architecture, config: Mamba2Config) -> None:
        super().__init__()
        self.config = config
        self.codec: str | None = None  # set to train through a block codec
        self.backend: Backend = "auto"
        self.in_proj = nn.Linear(arch.hidden_size, config.in_proj_rows, bias=False)
        self.out_proj = nn.Linear(config.inner_size, arch.hidden_size, bias=False)
        if config.conv_kernel:
            self.conv1d = Taps(config.conv_size, config.conv_kernel)
        # Time constants spread over the heads from about 4 to about 500 tokens.
        rates = torch.logspace(-2.7, -0.6, config.num_heads)
        if config.form == "ssd":
            dt = torch.full((config.num_heads,), 0.1)
            self.A_log = nn.Parameter((rates / dt).log())
            self.dt_bias = nn.Parameter(dt.expm1().log())
        else:
            self.dt_bias = nn.Parameter(rates.expm1().log())
        self.D = nn.Parameter(torch.zeros(config.num_heads))
        if config.norm == "rms":
            self.norm = Scale(config.inner_size)

    def project(self, u: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """in_proj, split into z (b, T, H*P) or None, the convolution's input (b, T, channels), and dt (b, T, H)."""
        config = self.config
        sizes = [config.inner_size if config.gate else 0, config.conv_size, config.num_heads]
        (joint,) = joint_linear(u, [straight_through(self.in_proj.weight, self.codec)])
        z, xbc, dt = torch.split(joint, sizes, dim=-1)
        return (z if config.gate else None), xbc, dt

    def mix(self, xbc: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Convolution and activation; returns x (b, T, G, P), B (b, T, G, N), C (b, T, H, N)."""
        config, (batch, length, _) = self.config, xbc.shape
        if config.conv_kernel:
            xbc = causal_conv(xbc, self.conv1d.weight, self.conv1d.bias, past)
        if config.conv_activation == "silu":
            xbc = F.silu(xbc)
        groups, heads = config.num_kv_heads, config.num_heads
        sizes = [groups * config.head_dim, groups * config.state_size, heads * config.state_size]
        x, B, C = torch.split(xbc, sizes, dim=-1)
        return (
            x.view(batch, length, groups, config.head_dim),
            B.view(batch, length, groups, config.state_size),
            C.view(batch, length, heads, config.state_size),
        )

    def decays(self, dt: Tensor) -> tuple[Tensor, Tensor | None]:
        """log_decay (b, T, H) and the input scale d (b, T, H), None in the discrete form; float32 or wider."""
        wide = torch.promote_types(dt.dtype, torch.float32)
        d = F.softplus(dt.to(wide) + self.dt_bias)
        return (-d, None) if self.config.form == "discrete" else (-self.A_log.exp() * d, d)

    def combine(self, y: Tensor, z: Tensor | None) -> Tensor:
        """Gate, grouped RMS norm and output projection of y (b, T, H*P)."""
        config = self.config
        if z is not None:
            y = y * F.silu(z)
        if config.norm == "rms":
            wide = torch.unflatten(y.to(torch.promote_types(y.dtype, torch.float32)), -1, (config.norm_groups, -1))
            wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + config.norm_eps)
            y = (wide.flatten(-2) * self.norm.weight).to(y.dtype)
        return F.linear(y, straight_through(self.out_proj.weight, self.codec))

    def matrix_terms(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """What the mixer's matrix over the tokens of u (b, T, D) is made of: C, B, log_decay, d and D."""
        _, xbc, dt = self.project(u)
        _, B, C = self.mix(xbc, None)
        # A copy: where parameters are sharded, D itself is there for this call only.
        return C, B, *self.decays(dt), self.D.clone()

    def values(self, x: Tensor, d: Tensor | None) -> Tensor:
        """What the state takes in of x (b, T, G, P): d x, a head (b, T, H, P); x itself in the discrete form."""
        if d is None:
            return x
        # Groups meet their heads by broadcasting: x is never expanded in memory.
        scale = torch.unflatten(d, 2, (self.config.num_kv_heads, -1))[..., None]
        return (x[:, :, :, None] * scale).to(x.dtype).flatten(2, 3)

    def with_skip(self, y: Tensor, x: Tensor) -> Tensor:
        """y (b, T, H, P) with D x, flat (b, T, H*P)."""
        skip = torch.unflatten(self.D, 0, (self.config.num_kv_heads, -1))[..., None] * x[:, :, :, None]
        return (y + skip.to(y.dtype).flatten(2, 3)).flatten(2)

    def forward(self, u: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        z, xbc, dt = self.project(u)
        x, B, C = self.mix(xbc, None if state is None else state[0])
        log_decay, d = self.decays(dt)
        y, ssm = scan(C, B, self.values(x, d), log_decay, None if state is None else state[1], self.backend)
        return self.combine(self.with_skip(y, x), z), (self._conv_state(xbc, state), ssm)

    def _conv_state(self, xbc: Tensor, state: State | None) -> Tensor:
        """The last kernel-1 inputs of the convolution, zeros before the first token."""
        keep = max(self.config.conv_kernel - 1, 0)
        inputs = xbc.transpose(1, 2)
        if state is not None:
            inputs = torch.cat([state[0].to(inputs.dtype), inputs], dim=2)
        return F.pad(inputs, (keep, 0))[..., inputs.shape[2] :]
