"""The multi-step state update against single steps: the time to generate 32 tokens (arXiv 2408.15237, figure 4)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..speculative.multistep import Inputs, multistep
from ..speculative.replayed import Replayed

#: Tokens whose time is measured.
GENERATED = 32
#: How often a CUDA graph holds that work, so that its launch and the wait for it count little.
ROUNDS = 8


@dataclass(frozen=True)
class Width:
    """Sizes of one Mamba-2 layer: heads, groups of B, state rows N, head width P."""

    heads: int
    groups: int
    state: int
    head: int


#: A layer of each model: SmolLM2's hybrids, Mamba-2's published sizes (arXiv 2405.21060, table 10), and a hybrid with
#: the 32 heads and 8 groups of a 7B or 8B Llama, as in the paper.
WIDTHS = {
    "smollm2-135m": Width(9, 3, 64, 64),
    "130m": Width(24, 1, 128, 64),
    "780m": Width(48, 1, 128, 64),
    "1.3b": Width(64, 1, 128, 64),
    "2.8b": Width(80, 1, 128, 64),
    "7b": Width(32, 8, 128, 128),
}


def multistep_seconds(width: Width, tokens: int, device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """Median seconds of one layer's updates for 32 tokens, `tokens` a pass; each pass replays as many.

    `tokens` 0 is the single-step update: the state is read and written for every token, and nothing is replayed.
    """
    rounds = ROUNDS if device.type == "cuda" else 1
    passes = -(-GENERATED // tokens) if tokens else GENERATED
    state, C, new, cached, accepted = _operands(width, max(tokens, 1), device, dtype)

    def work() -> None:
        for _ in range(passes * rounds):
            if tokens:
                multistep(state, C, new, cached, accepted)
            else:
                multistep(state, C, new, last=state)

    return median_seconds(Replayed(work, [state]), device, repeats) / rounds


def _operands(
    width: Width, tokens: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Inputs, Inputs, Tensor]:
    def normal(*shape: int) -> Tensor:
        return torch.randn(1, tokens, *shape, device=device).to(dtype)

    def inputs() -> Inputs:
        decay = -torch.rand(1, tokens, width.heads, device=device)
        return Inputs(normal(width.groups, width.state), normal(width.heads, width.head), decay)

    state = torch.zeros(1, width.heads, width.state, width.head, device=device)
    accepted = torch.full((1,), tokens, dtype=torch.long, device=device)
    return state, normal(width.heads, width.state), inputs(), inputs(), accepted


def median_seconds(work: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Median seconds of one call, after three that are not timed: the first compile and capture."""
    seconds = []
    for index in range(repeats + 3):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if index >= 3:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
