"""The multi-step state update by its Triton kernel, as an operator that torch.compile knows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..mixers.triton_launch import device_of
from .multistep import Inputs

#: Columns of a head's state that a program holds, by the state's rows: about 2,048 numbers in float32.
WIDTHS = {16: 64, 32: 64, 64: 32, 128: 16}
#: Tokens taken together, at most: powers of two, each compiled for itself.
GROUPS = (1, 2, 4)
LAUNCH = {"num_warps": 4, "num_stages": 2}


def multistep_triton(
    state: Tensor, C: Tensor, new: Inputs, cached: Inputs | None, accepted: Tensor | None, last: Tensor | None
) -> Tensor:
    """As `multistep`. N and P are 16, 32, 64 or 128; states are float32; `accepted` (b,) is int32 or int64."""
    old = [] if cached is None else list(cached.tensors())
    y: Tensor = _multistep(state, C, list(new.tensors()), old, accepted, last)
    return y


@torch.library.custom_op("mambascope::multistep", mutates_args=("state", "last"))
def _multistep(
    state: Tensor, C: Tensor, new: list[Tensor], old: list[Tensor], accepted: Tensor | None, last: Tensor | None
) -> Tensor:
    from .multistep_kernels import multistep_kernel

    batch, steps, heads, size = C.shape
    width = new[1].shape[-1]
    columns = min(WIDTHS[size], width)
    C, (B, v, decay) = _rows(C), (_rows(x) for x in new)
    held = [_rows(x) for x in old] or [B, v, decay]
    longest = max(steps, old[0].shape[1] if old else 0)
    group = next((size for size in GROUPS if size >= longest), GROUPS[-1])
    y = C.new_empty(batch, steps, heads, width)
    strides = [s for x in (C, B, v, decay, *held) for s in x.stride()[:3]]
    with device_of(C):
        multistep_kernel[(batch * heads, width // columns)](
            state, state if last is None else last, state if accepted is None else accepted, *held,
            C, B, v, decay, y, heads, steps, heads // B.shape[2], heads // v.shape[2], *strides,
            N=size, P=width, WIDTH=columns, GROUP=group, CACHED=bool(old), KEEP_LAST=last is not None, **LAUNCH,
        )  # fmt: skip
    return y


@_multistep.register_fake
def _(
    state: Tensor, C: Tensor, new: list[Tensor], old: list[Tensor], accepted: Tensor | None, last: Tensor | None
) -> Tensor:
    return C.new_empty(*C.shape[:3], new[1].shape[-1])


def _rows(x: Tensor) -> Tensor:
    """`x` with consecutive entries along the last dimension (a decay's are along its heads)."""
    return x if x.dim() == 3 or x.stride(-1) == 1 else x.contiguous()
