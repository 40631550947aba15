"""Timing of training steps: warm-up first, then several repeats of several steps."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..run.config import RunConfig
from ..stages.base import Stage
from ..stages.graphed import GraphedStep, TrainStep


class Trainer:
    """One optimiser step after another on the same batch, as the training loop does them."""

    def __init__(
        self, stage: Stage, parameters: list[nn.Parameter], config: RunConfig, ids: Tensor, graphed: bool = False
    ) -> None:
        self.parameters, self.config, self.ids = parameters, config, ids
        self.train_step: TrainStep = GraphedStep(stage.train_step, parameters) if graphed else stage.train_step
        self.cuda = ids.is_cuda
        self.optimiser = torch.optim.AdamW(self.parameters, lr=config.optimiser.learning_rate, fused=self.cuda)

    def step(self) -> None:
        """Forward, backward, clipping and update."""
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.cuda):
            self.train_step(self.ids, 0, 1.0)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.optimiser.clip)
        self.optimiser.step()

    @property
    def graphed(self) -> bool:
        """Whether steps are replays of a CUDA graph: its capture may have failed."""
        return isinstance(self.train_step, GraphedStep) and self.train_step.captured

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Timing:
    """Seconds a step: the median of the repeats, the fastest, the slowest; and the most memory held on the GPU.

    Held by the allocator, that is: what a CUDA graph's steps use is reserved for it, and counts as allocated only while
    it is captured.
    """

    median: float
    fastest: float
    slowest: float
    warmup: float
    peak_memory_gib: float | None


def time_steps(trainer: Trainer, warmup: int, steps: int, repeats: int) -> Timing:
    """Time `repeats` runs of `steps` steps after `warmup` steps, which compile."""
    start = time.perf_counter()
    for _ in range(warmup):
        trainer.step()
    trainer.wait()
    warm = time.perf_counter() - start
    if trainer.cuda:
        torch.cuda.empty_cache()  # what only the warm-up needed
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(steps):
            trainer.step()
        trainer.wait()
        seconds.append((time.perf_counter() - start) / steps)
    peak = torch.cuda.max_memory_reserved() / 2**30 if trainer.cuda else None
    return Timing(statistics.median(seconds), min(seconds), max(seconds), warm, peak)
