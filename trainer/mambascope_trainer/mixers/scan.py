"""The Mamba-2 recurrence: a loop, a chunked form in plain PyTorch, and on CUDA our Triton kernels or those of `fla`.

All compute, a head: S_t = exp(log_decay_t) S_{t-1} + B_t v_t^T and y_t = S_t^T C_t, with heads reading the
group h // (H/G) of B. The chunked form is the block decomposition of "Transformers are SSMs" (arXiv 2405.21060,
section 6).

Shapes: C (b, T, H, N), B (b, T, G, N), v (b, T, H, P) or grouped like B, log_decay (b, T, H) <= 0, state (b, H, N, P).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .scan_triton import scan_triton, triton_applies
from .triton_launch import triton_available

Backend = Literal["auto", "loop", "chunked", "triton", "fla"]


def expand_groups(grouped: Tensor, heads: int) -> Tensor:
    """(b, T, G, N) -> (b, T, H, N): head h gets group h // (H/G)."""
    share = heads // grouped.shape[2]
    return grouped if share == 1 else grouped.repeat_interleave(share, dim=2)


def scan_loop(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Token by token: the definition, and the reference of the other two. Returns y (b, T, H, P) and the last state."""
    batch, length, heads, n = C.shape
    B, v = expand_groups(B, heads), expand_groups(v, heads)
    S = C.new_zeros(batch, heads, n, v.shape[-1]) if state is None else state
    outputs = []
    for t in range(length):
        S = torch.exp(log_decay[:, t])[..., None, None] * S + B[:, t, :, :, None] * v[:, t, :, None, :]
        # A state in float32 stays so where the inputs are bfloat16.
        outputs.append(torch.einsum("bhnp,bhn->bhp", S, C[:, t].to(S.dtype)).to(v.dtype))
    return torch.stack(outputs, dim=1), S


def scan_chunked(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None = None, chunk: int = 64
) -> tuple[Tensor, Tensor]:
    """Matrix form inside chunks, recurrence between them. Decays and states are computed in float32 or wider."""
    batch, length, heads, n = C.shape
    dtype = v.dtype
    wide = torch.promote_types(dtype, torch.float32)
    padding = -length % chunk
    # Padded tokens have v = 0 and decay 1: they leave the state as it is.
    C, B, v = (F.pad(x, (0, 0, 0, 0, 0, padding)) for x in (C, expand_groups(B, heads), expand_groups(v, heads)))
    log_decay = F.pad(log_decay.to(wide), (0, 0, 0, padding))
    count = (length + padding) // chunk
    C, B, v = (x.view(batch, count, chunk, heads, -1) for x in (C, B, v))
    total = log_decay.view(batch, count, chunk, heads).cumsum(dim=2).permute(0, 3, 1, 2)  # (b, H, c, l)

    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=C.device).tril()
    # Masked before exp: above the diagonal the difference is positive and could overflow.
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(~causal, float("-inf")).exp()
    scores = torch.einsum("bclhn,bcshn->bhcls", C, B)
    y = torch.einsum("bhcls,bcshp->bclhp", (scores * decay).to(dtype), v)

    to_end = (total[..., -1:] - total).exp().permute(0, 2, 3, 1)[..., None]  # (b, c, l, H, 1)
    own = torch.einsum("bclhn,bclhp->bchnp", (B * to_end).to(dtype), v).to(wide)
    S = C.new_zeros(batch, heads, n, v.shape[-1], dtype=wide) if state is None else state.to(wide)
    whole = total[..., -1].exp()  # (b, H, c)
    before = []
    for c in range(count):
        before.append(S)
        S = whole[:, :, c, None, None] * S + own[:, c]
    from_start = total.exp().permute(0, 2, 3, 1)[..., None]
    y = y + torch.einsum("bclhn,bchnp->bclhp", (C * from_start).to(dtype), torch.stack(before, dim=1).to(dtype))
    return y.reshape(batch, count * chunk, heads, -1)[:, :length], S.to(dtype)


_FLA = importlib.util.find_spec("fla") is not None


def fla_available() -> bool:
    """Whether the Triton kernels of flash-linear-attention can be imported."""
    return _FLA


def backward_is_right(capability: tuple[int, int], triton: str) -> bool:
    """Whether `fla`'s backward kernels are right for a GPU's compute capability and a Triton version such as "3.5.1".

    Triton 3.4 up to, not including, 3.7.1 miscompiles them for Hopper (capability 9.x), and `fla` refuses to run there.
    """
    numbers = [int(part) for part in re.findall(r"\d+", triton)[:3]]
    version = tuple(numbers + [0] * (3 - len(numbers)))
    return capability[0] != 9 or not (3, 4, 0) <= version < (3, 7, 1)


@cache
def fla_is_safe(device: int, needs_gradient: bool) -> bool:
    """Whether the kernels of `fla` are installed and right on this GPU."""
    if not fla_available():
        return False
    return not needs_gradient or backward_is_right(torch.cuda.get_device_capability(device), metadata.version("triton"))


def _mark_constant(function: Callable[[int, bool], bool]) -> Callable[[int, bool], bool]:
    """A constant to compiled code, which need not trace how it is found: the answer cannot change in a process.

    Only where it is asked: marking imports the compiler, which takes seconds.
    """
    mark: Callable[..., Callable[[int, bool], bool]] = torch.compiler.assume_constant_result
    return mark(function) if _FLA else function


@_mark_constant
def _choose_fla(device: int, needs_gradient: bool) -> bool:
    return fla_is_safe(device, needs_gradient)


def scan_fla(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The `simple_gla` kernel of flash-linear-attention: CUDA only. Decays stay in float32."""
    from fla.ops.simple_gla import chunk_simple_gla

    y, last = chunk_simple_gla(
        C.contiguous(),
        expand_groups(B, C.shape[2]).contiguous(),
        expand_groups(v, C.shape[2]).contiguous(),
        g=log_decay.float(),
        scale=1.0,
        initial_state=state,
        output_final_state=True,
    )
    return y, last


def scan(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None = None, backend: Backend = "auto"
) -> tuple[Tensor, Tensor]:
    """The recurrence by the fastest backend that is right here: on CUDA kernels that apply, else chunked PyTorch."""
    if backend == "auto":
        backend = _choose(C, B, v, log_decay)
    if backend == "triton":
        return scan_triton(C, B, v, log_decay, state)
    if backend == "fla":
        return scan_fla(C, B, v, log_decay, state)
    if backend == "loop" or C.shape[1] == 1:
        return scan_loop(C, B, v, log_decay, state)
    return scan_chunked(C, B, v, log_decay, state)


def _choose(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor) -> Backend:
    if not C.is_cuda or C.shape[1] == 1:
        return "chunked"
    if triton_applies(C, v) and triton_available():
        return "triton"
    needs_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (C, B, v, log_decay))
    return "fla" if fla_available() and _choose_fla(C.device.index or 0, needs_gradient) else "chunked"
