"""End-to-end distillation: the hybrid learns the teacher's next-token distribution.

arXiv 2408.15237, section 3; MOHAWK's stage 3. MLPs, norms and embeddings stay the teacher's. With a random pattern,
each step replaces another subset of the layers, so that one set of mixers serves every pattern of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..losses import LossWeights, distillation_loss
from ..model.llama import Llama
from ..run.config import RunConfig
from .base import mean_measures
from .hybrid import HybridStage


class Distill(HybridStage):
    """KL (and CE) of the hybrid to the teacher that it is made of."""

    def __init__(self, model: Llama, config: RunConfig) -> None:
        super().__init__(model, config.layers)
        self.config = config
        loss = config.loss
        self.weights = LossWeights(loss.alpha, loss.beta, loss.temperature)
        self.teacher_pattern = ["attention"] * model.arch.num_hidden_layers
        self.full_pattern = self.pattern(set(self.layers))

    def pattern_at(self, step: int) -> list[str]:
        """The student's pattern of a step: a function of the seed and the step, so that a resumed run repeats it."""
        if self.config.pattern == "fixed":
            return self.full_pattern
        random = np.random.default_rng([self.config.seed, step])
        if random.random() < self.config.full_probability:
            return self.full_pattern
        count = int(random.integers(1, len(self.layers) + 1))
        return self.pattern(set(random.choice(self.layers, count, replace=False).tolist()))

    def _measure(self, ids: Tensor, pattern: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
        inputs, labels = ids[:, :-1], ids[:, 1:].flatten()
        with torch.no_grad():
            self.model.use(self.teacher_pattern)
            teacher = self.model.hidden(inputs).flatten(0, 1)
        self.model.use(pattern)
        student = self.model.hidden(inputs).flatten(0, 1)
        return distillation_loss(student, teacher, self.model.head_weight, labels, self.weights, self.config.compile)

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        loss, measures = self._measure(ids, self.pattern_at(step))
        torch.autograd.backward(loss * scale)
        # A layer that this step's pattern leaves out must not be moved by the optimiser's momentum of a zero gradient:
        # its gradients stay None.
        return {"loss": loss.detach(), **measures}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        records = []
        for ids in batches:
            loss, measures = self._measure(ids, self.full_pattern)
            records.append({"loss": loss, **measures})
        return mean_measures(records)
