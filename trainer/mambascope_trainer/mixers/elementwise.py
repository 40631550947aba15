"""Causal convolution, SwiGLU and rotary embedding by Triton kernels, as operators of autograd and torch.compile.

They touch each value once, forward and backward; what torch.compile makes of their gradients takes several times that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .triton_launch import device_of, triton_available

#: Tokens and channels a program, values a program of SwiGLU, tokens a program of the rotation.
CONV_BLOCK = {"BT": 64, "BC": 64, "num_warps": 8}
SWIGLU_BLOCK = 2048
ROTARY_TOKENS = 64
#: Below it launches cost more than passes over memory.
MANY_TOKENS = 2048


def kernels_serve(x: Tensor) -> bool:
    """Whether the kernels are there for x (b, T, width) and worth their launch."""
    return x.is_cuda and x.stride(-1) == 1 and x.shape[:-1].numel() >= MANY_TOKENS and triton_available()


def conv_triton(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise causal convolution of x (b, T, channels) with weight (channels, kernel), zeros before the start."""
    out: Tensor = _conv(x, weight, bias)
    return out


@torch.library.custom_op("mambascope::causal_conv", mutates_args=())
def _conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    from .elementwise_kernels import conv_kernel

    out: Tensor = _conv_like(x, weight, bias)
    _, length, channels = x.shape
    with device_of(x):
        conv_kernel[_conv_grid(x)](
            x, weight.contiguous(), bias, out, length, channels, x.stride(0), x.stride(1), K=weight.shape[1],
            **CONV_BLOCK,
        )  # fmt: skip
    return out


@_conv.register_fake
def _conv_like(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("mambascope::causal_conv_backward", mutates_args=())
def _conv_backward(x: Tensor, weight: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
    """dx, and each block's share of the gradients of taps and bias (blocks, channels, kernel + 1)."""
    from .elementwise_kernels import conv_backward_kernel

    dx, shares = _conv_backward_like(x, weight, dout)
    _, length, channels = x.shape
    with device_of(x):
        conv_backward_kernel[_conv_grid(x)](
            x, weight.contiguous(), dout.contiguous(), dx, shares, length, channels, x.stride(0), x.stride(1),
            K=weight.shape[1], **CONV_BLOCK,
        )  # fmt: skip
    return dx, shares


@_conv_backward.register_fake
def _conv_backward_like(x: Tensor, weight: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
    blocks = x.shape[0] * _conv_grid(x)[0]
    return x.new_empty(x.shape), x.new_empty(blocks, x.shape[2], weight.shape[1] + 1, dtype=torch.float32)


def _conv_grid(x: Tensor) -> tuple[int, int, int]:
    return -(-x.shape[1] // CONV_BLOCK["BT"]), -(-x.shape[2] // CONV_BLOCK["BC"]), x.shape[0]


def _save_conv(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _conv_gradients(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, weight, bias = ctx.saved_tensors
    dx, shares = _conv_backward(x, weight, dout)
    total = shares.sum(dim=0)
    return dx, total[:, :-1].to(weight.dtype), total[:, -1].to(bias.dtype)


_conv.register_autograd(_conv_gradients, setup_context=_save_conv)


def swiglu_triton(joint: Tensor) -> Tensor:
    """silu(gate) up of joint = [gate, up] (..., 2 width) -> (..., width)."""
    out: Tensor = _swiglu(joint)
    return out


@torch.library.custom_op("mambascope::swiglu", mutates_args=())
def _swiglu(joint: Tensor) -> Tensor:
    from .elementwise_kernels import swiglu_kernel

    out: Tensor = _swiglu_like(joint)
    with device_of(joint):
        swiglu_kernel[(-(-out.numel() // SWIGLU_BLOCK),)](
            joint.contiguous(), out, out.numel(), WIDTH=out.shape[-1], BLOCK=SWIGLU_BLOCK, num_warps=8
        )
    return out


@_swiglu.register_fake
def _swiglu_like(joint: Tensor) -> Tensor:
    return joint.new_empty(*joint.shape[:-1], joint.shape[-1] // 2)


@torch.library.custom_op("mambascope::swiglu_backward", mutates_args=())
def _swiglu_backward(joint: Tensor, dout: Tensor) -> Tensor:
    from .elementwise_kernels import swiglu_backward_kernel

    djoint: Tensor = _swiglu_backward_like(joint, dout)
    with device_of(joint):
        swiglu_backward_kernel[(-(-dout.numel() // SWIGLU_BLOCK),)](
            joint.contiguous(), dout.contiguous(), djoint, dout.numel(), WIDTH=dout.shape[-1], BLOCK=SWIGLU_BLOCK,
            num_warps=8,
        )  # fmt: skip
    return djoint


@_swiglu_backward.register_fake
def _swiglu_backward_like(joint: Tensor, dout: Tensor) -> Tensor:
    return joint.new_empty(joint.shape)


def _save_joint(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _swiglu_gradient(ctx: Any, dout: Tensor) -> Tensor:
    (joint,) = ctx.saved_tensors
    gradient: Tensor = _swiglu_backward(joint, dout)
    return gradient


_swiglu.register_autograd(_swiglu_gradient, setup_context=_save_joint)


def rotary_triton(joint: Tensor, cos: Tensor, sin: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """joint = [q, k, v] (b, T, (H + 2 G) P) -> q (b, H, T, P) and k (b, G, T, P), rotated by the rows of the table
    cos, sin (T, P) of the half-split form, and v (b, G, T, P)."""
    q, k, v = _rotary(joint, cos, sin, heads, groups)
    return q, k, v


@torch.library.custom_op("mambascope::rotary", mutates_args=())
def _rotary(joint: Tensor, cos: Tensor, sin: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = _rotary_like(joint, cos, sin, heads, groups)
    _launch_rotary(joint.contiguous(), cos, sin, q, k, v, back=False)
    return q, k, v


@_rotary.register_fake
def _rotary_like(joint: Tensor, cos: Tensor, sin: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, width = joint.shape
    p = width // (heads + 2 * groups)
    keys = (batch, groups, length, p)
    return joint.new_empty(batch, heads, length, p), joint.new_empty(keys), joint.new_empty(keys)


@torch.library.custom_op("mambascope::rotary_backward", mutates_args=())
def _rotary_backward(dq: Tensor, dk: Tensor, dv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    djoint: Tensor = _rotary_backward_like(dq, dk, dv, cos, sin)
    dq, dk, dv = (x if x.stride(-1) == 1 else x.contiguous() for x in (dq, dk, dv))
    _launch_rotary(djoint, cos, sin, dq, dk, dv, back=True)
    return djoint


@_rotary_backward.register_fake
def _rotary_backward_like(dq: Tensor, dk: Tensor, dv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    batch, heads, length, p = dq.shape
    return dq.new_empty(batch, length, (heads + 2 * dk.shape[1]) * p)


def _launch_rotary(joint: Tensor, cos: Tensor, sin: Tensor, q: Tensor, k: Tensor, v: Tensor, back: bool) -> None:
    from .elementwise_kernels import rotary_kernel

    (batch, heads, length, p), groups = q.shape, k.shape[1]
    strides = [s for x in (q, k, v) for s in x.stride()[:3]]
    with device_of(joint):
        rotary_kernel[(-(-length // ROTARY_TOKENS), heads + 2 * groups, batch)](
            joint, cos, sin, q, k, v, length, heads, groups, cos.stride(0), *strides, P=p, BT=ROTARY_TOKENS, BACK=back
        )


def _save_table(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[1], inputs[2])


def _rotary_gradients(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor) -> tuple[Tensor | None, ...]:
    return _rotary_backward(dq, dk, dv, *ctx.saved_tensors), None, None, None, None


_rotary.register_autograd(_rotary_gradients, setup_context=_save_table)
