"""End-to-end distillation: the hybrid learns the teacher's next-token distribution.

arXiv 2408.15237, section 3; MOHAWK's stage 3 (arXiv 2408.10189, section 4.3). Embedding and LM head stay the teacher's,
and so do MLPs and norms unless the config trains them. With a pattern that changes from step to step, one set of mixers
serves many patterns.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..losses import LossWeights, distillation_loss
from ..model.llama import Llama
from ..run.config import RunConfig
from .base import mean_measures
from .hybrid import HybridStage
from .patterns import PatternSampler


class Distill(HybridStage):
    """KL (and CE) of the hybrid to the teacher that it is made of.

    reference: see HybridStage.
    """

    def __init__(self, model: Llama, config: RunConfig, reference: Llama | None = None) -> None:
        super().__init__(model, config.layers, reference)
        self.config = config
        loss = config.loss
        self.weights = LossWeights(loss.alpha, loss.beta, loss.temperature)
        self.patterns = PatternSampler(config)

    def pattern_at(self, step: int) -> list[str]:
        """The student's pattern of a step."""
        return self.pattern(self.patterns.at(step))

    @torch.no_grad()
    def _teacher_hidden(self, inputs: Tensor) -> Tensor:
        return self.use_teacher().hidden(inputs).flatten(0, 1)

    def _measure(self, ids: Tensor, teacher: Tensor, pattern: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
        self.model.use(pattern)
        student = self.model.hidden(ids[:, :-1]).flatten(0, 1)
        labels = ids[:, 1:].flatten()
        return distillation_loss(student, teacher, self.model.head_weight, labels, self.weights, self.config.compile)

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        loss, measures = self._measure(ids, self._teacher_hidden(ids[:, :-1]), self.pattern_at(step))
        torch.autograd.backward(loss * scale)
        # A layer that this step's pattern leaves out must not be moved by the optimiser's momentum of a zero gradient:
        # its gradients stay None.
        return {"loss": loss.detach(), **measures}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Means over the named patterns by their shares; of a mixture besides kl.<name> and agreement.<name>."""
        return mean_measures([self._evaluate_batch(ids) for ids in batches])

    def _evaluate_batch(self, ids: Tensor) -> dict[str, Tensor]:
        teacher = self._teacher_hidden(ids[:, :-1])
        means: dict[str, Tensor] = {}
        by_name: dict[str, Tensor] = {}
        for named in self.patterns.named:
            loss, measures = self._measure(ids, teacher, self.pattern(named.replaced))
            for key, value in {"loss": loss, **measures}.items():
                means[key] = means.get(key, 0) + named.share * value
            if self.config.pattern == "mixture":
                by_name |= {f"{key}.{named.name}": measures[key] for key in ("kl", "agreement")}
        return {**means, **by_name}
