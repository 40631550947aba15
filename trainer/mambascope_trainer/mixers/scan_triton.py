"""The Mamba-2 scan by Triton kernels, as an operator that autograd and torch.compile know.

C (b, T, H, N), B (b, T, G, N), v (b, T, H, P) or grouped (b, T, Gv, P), log_decay (b, T, H), state (b, H, N, P); heads
read group h // (H/G) inside the kernels, so that nothing is expanded in memory. N and P are 16, 32, 64 or 128. The
state is float32. CUDA, or Triton's interpreter on the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .triton_launch import device_of

SIZES = (16, 32, 64, 128)
CHUNK = 64
#: Launch options of the three kernels.
FORWARD = {"num_warps": 4, "num_stages": 2}
ADJOINT = {"num_warps": 4, "num_stages": 2}
BACKWARD = {"num_warps": 4, "num_stages": 1}


def triton_applies(C: Tensor, v: Tensor) -> bool:
    """Whether the kernels are the best choice: sizes that they know, and 16-bit inputs (float32 products are exact, and
    slow)."""
    sizes_known = C.shape[-1] in SIZES and v.shape[-1] in SIZES
    return sizes_known and C.dtype in (torch.bfloat16, torch.float16)


def scan_triton(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """y (b, T, H, P) in C's type and the last state (b, H, N, P) in float32."""
    differentiate = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (C, B, v, log_decay, state)
    )
    start = None if state is None else state.float()
    y, last, _ = _scan(C, B.to(C.dtype), v.to(C.dtype), log_decay.float(), start, differentiate)
    return y, last


def _precision(x: Tensor) -> str:
    """Of products of float32 inputs: the exact one, as the tests of float32 want it; 16-bit inputs have one alone."""
    return "ieee" if x.dtype == torch.float32 else "tf32"


def _rows(x: Tensor) -> Tensor:
    """`x` with consecutive entries along the last dimension."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _launch_arguments(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor) -> tuple[int, ...]:
    heads = C.shape[2]
    strides = [s for x in (C, B, v, log_decay) for s in x.stride()[:3]]
    return (C.shape[1], heads, heads // B.shape[2], heads // v.shape[2], *strides)


@torch.library.custom_op("mambascope::scan", mutates_args=())
def _scan(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None, keep_starts: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state, and the state before each chunk (b, H, chunks, N, P), empty without `keep_starts`."""
    from .scan_kernels import forward_kernel

    C, B, v = _rows(C), _rows(B), _rows(v)
    y, last, starts = _scan_like(C, B, v, log_decay, state, keep_starts)
    with device_of(C):
        forward_kernel[(C.shape[0] * C.shape[2],)](
            C, B, v, log_decay, last if state is None else state.contiguous(), y, last, starts,
            *_launch_arguments(C, B, v, log_decay),
            N=C.shape[-1], P=v.shape[-1], L=CHUNK,
            HAS_STATE=state is not None, KEEP_STARTS=keep_starts, PRECISION=_precision(C), **FORWARD,
        )  # fmt: skip
    return y, last, starts


@_scan.register_fake
def _scan_like(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor | None, keep_starts: bool
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, heads, n = C.shape
    p = v.shape[-1]
    chunks = -(-length // CHUNK) if keep_starts else 0
    return (
        C.new_empty(batch, length, heads, p),
        C.new_empty(batch, heads, n, p, dtype=torch.float32),
        C.new_empty(batch, heads, chunks, n, p),
    )


@torch.library.custom_op("mambascope::scan_backward", mutates_args=())
def _scan_backward(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, starts: Tensor, dy: Tensor, dlast: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of C, B and v (these two a head), log_decay and the first state."""
    from .scan_kernels import adjoint_kernel, backward_kernel

    C, B, v, dy = _rows(C), _rows(B), _rows(v), dy.contiguous()
    dC, dB, dv, dlog_decay, dstate = _scan_backward_like(C, B, v, log_decay, starts, dy, dlast)
    (batch, length, heads, n), p, precision = C.shape, v.shape[-1], _precision(C)
    ends = torch.empty_like(starts)
    with device_of(C):
        adjoint_kernel[(batch * heads,)](
            C, log_decay, dy, dstate if dlast is None else dlast.contiguous(), ends, dstate,
            length, heads, *C.stride()[:3], *log_decay.stride(),
            N=n, P=p, L=CHUNK, HAS_DLAST=dlast is not None, PRECISION=precision, **ADJOINT,
        )  # fmt: skip
        backward_kernel[(starts.shape[2], batch * heads)](
            C, B, v, log_decay, starts, ends, dy, dC, dB, dv, dlog_decay,
            *_launch_arguments(C, B, v, log_decay),
            N=n, P=p, L=CHUNK, PRECISION=precision, **BACKWARD,
        )  # fmt: skip
    return dC, dB, dv, dlog_decay, dstate


@_scan_backward.register_fake
def _scan_backward_like(
    C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, starts: Tensor, dy: Tensor, dlast: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, length, heads, n = C.shape
    p = v.shape[-1]
    return (
        C.new_empty(batch, length, heads, n),
        C.new_empty(batch, length, heads, n),
        C.new_empty(batch, length, heads, p),
        log_decay.new_empty(batch, length, heads),
        C.new_empty(batch, heads, n, p, dtype=torch.float32),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    C, B, v, log_decay, state, _ = inputs
    ctx.save_for_backward(C, B, v, log_decay, output[2])
    ctx.has_state = state is not None


def _gradients(ctx: Any, dy: Tensor, dlast: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    C, B, v, log_decay, starts = ctx.saved_tensors
    dC, dB, dv, dlog_decay, dstate = _scan_backward(C, B, v, log_decay, starts, dy, dlast)
    return dC, _group_sum(dB, B), _group_sum(dv, v), dlog_decay, dstate if ctx.has_state else None, None


def _group_sum(gradient: Tensor, grouped: Tensor) -> Tensor:
    """The gradient of each group: the sum over the heads that read it, in float32."""
    if gradient.shape[2] == grouped.shape[2]:
        return gradient
    heads = torch.unflatten(gradient, 2, (grouped.shape[2], -1))
    return heads.sum(dim=3, dtype=torch.float32).to(gradient.dtype)


_scan.register_autograd(_gradients, setup_context=_save)
