"""The multi-step update of Mamba-2's recurrent state: replay, then several new tokens, the state read and written once.

"The Mamba in the Llama" (arXiv 2408.15237, section 4.2 and algorithm 2): a verify pass does not store the state after
each token. It keeps one checkpoint and the inputs of its tokens; the next pass first replays those that were accepted,
writes the new checkpoint, and goes on with its own tokens.

Shapes, as in `mixers.scan`: C (b, T, H, N), B (b, T, G, N), v (b, T, Gv, P), log_decay (b, T, H), states (b, H, N, P).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..mixers.scan import expand_groups
from ..mixers.scan_triton import SIZES
from ..mixers.triton_launch import triton_available


@dataclass(frozen=True)
class Inputs:
    """What moves the state on by the tokens of a pass."""

    B: Tensor
    v: Tensor
    log_decay: Tensor

    @classmethod
    def zeros(cls, shape: tuple[int, int, int, int, int, int, int], device: torch.device, dtype: torch.dtype) -> Inputs:
        """Room for T tokens; shape is (b, T, H, G, Gv, N, P). log_decay is float32 or wider."""
        b, t, h, g, gv, n, p = shape
        wide = torch.promote_types(dtype, torch.float32)
        return cls(
            torch.zeros(b, t, g, n, device=device, dtype=dtype),
            torch.zeros(b, t, gv, p, device=device, dtype=dtype),
            torch.zeros(b, t, h, device=device, dtype=wide),
        )

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.B, self.v, self.log_decay

    def write(self, new: Inputs, offset: int) -> None:
        """Put a pass's inputs at place `offset`."""
        for held, value in zip(self.tensors(), new.tensors(), strict=True):
            held[:, offset : offset + value.shape[1]] = value


def advance_state(state: Tensor, inputs: Inputs, count: Tensor | None = None) -> Tensor:
    """The state after the first `count` (b,) of the inputs' tokens, or after all.

    A token past the count is masked to the identity: no decay, no input. That is exact.
    """
    v, B = (expand_groups(x, state.shape[1]).to(state.dtype) for x in (inputs.v, inputs.B))
    for t in range(inputs.log_decay.shape[1]):
        kept = inputs.log_decay[:, t, :, None, None].to(state.dtype).exp()
        added = B[:, t, :, :, None] * v[:, t, :, None, :]
        moved = kept * state + added
        state = moved if count is None else torch.where((t < count)[:, None, None, None], moved, state)
    return state


def multistep_reference(
    state: Tensor, cached: Inputs | None, accepted: Tensor | None, C: Tensor, new: Inputs
) -> tuple[Tensor, Tensor, Tensor]:
    """y (b, T, H, P), the checkpoint after the accepted tokens, and the state after the new ones; token by token."""
    checkpoint = state if cached is None else advance_state(state, cached, accepted)
    last, rows = checkpoint, []
    for t in range(C.shape[1]):
        last = advance_state(last, Inputs(*(x[:, t : t + 1] for x in new.tensors())))
        rows.append((C[:, t, :, :, None].to(last.dtype) * last).sum(dim=2))
    return torch.stack(rows, dim=1).to(C.dtype), checkpoint, last


def multistep(
    state: Tensor,
    C: Tensor,
    new: Inputs,
    cached: Inputs | None = None,
    accepted: Tensor | None = None,
    last: Tensor | None = None,
) -> Tensor:
    """y (b, T, H, P) of new tokens, in C's type. In place: `state` moves on to the checkpoint, by the first `accepted`
    (b,) of the cached tokens; `last`, if given, becomes the state after the new tokens (it may be `state` itself).

    The Triton kernel on CUDA for sizes that it knows, else the definition.
    """
    if triton_available() and C.is_cuda and C.shape[-1] in SIZES and new.v.shape[-1] in SIZES:
        from .multistep_triton import multistep_triton

        return multistep_triton(state, C, new, cached, accepted, last)
    y, checkpoint, end = multistep_reference(state, cached, accepted, C, new)
    if cached is not None:
        state.copy_(checkpoint)
    if last is not None:
        last.copy_(end)
    return y
