"""End-to-end distillation: the hybrid learns the teacher's next-token distribution.

arXiv 2408.15237, section 3; MOHAWK's stage 3 (arXiv 2408.10189, section 4.3). Embedding and LM head stay the teacher's,
and so do MLPs and norms unless the config trains them. With a pattern that changes from step to step, one set of mixers
serves many patterns.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import torch
from torch import Tensor

from ..losses import LossWeights, distillation_loss
from ..model.llama import Llama
from ..run.config import RunConfig
from .answers import AnswerMask, answer_ce
from .base import mean_measures
from .hybrid import HybridStage
from .patterns import PatternSampler
from .token_log_probs import token_log_probs


class Taught(NamedTuple):
    """A teacher's pass: the input x (b, T, D) of layer `first`, and the final hidden states (b T, D)."""

    first: int
    x: Tensor
    hidden: Tensor


class Distill(HybridStage):
    """KL (and CE) of the hybrid to the teacher that it is made of.

    reference: see HybridStage. answers: the tokens that CE is taken of; without it, all.
    """

    def __init__(
        self, model: Llama, config: RunConfig, reference: Llama | None = None, answers: AnswerMask | None = None
    ) -> None:
        super().__init__(model, config.layers, reference)
        self.config, self.answers = config, answers
        loss = config.loss
        self.weights = LossWeights(0.0 if answers else loss.alpha, loss.beta, loss.temperature)
        self.patterns = PatternSampler(config)

    @torch.no_grad()
    def _teach(self, ids: Tensor, replaced: AbstractSet[int]) -> Taught:
        """The teacher's pass. Below the lowest of the `replaced` layers the student is the teacher, if they share a
        base: it starts there."""
        first = min(replaced, default=0) if self.reference is None else 0
        inputs, teacher = ids[:, :-1], self.use_teacher()
        x = teacher.hidden(inputs, end=first)
        return Taught(first, x, teacher.hidden(inputs, (first, x)).flatten(0, 1))

    def _measure(self, ids: Tensor, taught: Taught, pattern: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
        self.model.use(pattern)
        student = self.model.hidden(ids[:, :-1], (taught.first, taught.x)).flatten(0, 1)
        labels, head = ids[:, 1:].flatten(), self.model.head_weight
        loss, measures = distillation_loss(student, taught.hidden, head, labels, self.weights, self.config.compile)
        if self.answers is not None:
            ce = answer_ce(token_log_probs(student, head, labels), self.answers(ids)[:, 1:].flatten())
            loss, measures = loss + self.config.loss.alpha * ce, {**measures, "answer_ce": ce.detach()}
        return loss, measures

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        replaced = self.patterns.at(step)
        loss, measures = self._measure(ids, self._teach(ids, replaced), self.pattern(replaced))
        torch.autograd.backward(loss * scale)
        # A layer that this step's pattern leaves out must not be moved by the optimiser's momentum of a zero gradient:
        # its gradients stay None.
        return {"loss": loss.detach(), **measures}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Means over the named patterns by their shares; of a mixture besides kl.<name> and agreement.<name>."""
        return mean_measures([self._evaluate_batch(ids) for ids in batches])

    def _evaluate_batch(self, ids: Tensor) -> dict[str, Tensor]:
        taught = self._teach(ids, set(self.layers))
        means: dict[str, Tensor] = {}
        by_name: dict[str, Tensor] = {}
        for named in self.patterns.named:
            loss, measures = self._measure(ids, taught, self.pattern(named.replaced))
            for key, value in {"loss": loss, **measures}.items():
                means[key] = means.get(key, 0) + named.share * value
            if self.config.pattern == "mixture":
                by_name |= {f"{key}.{named.name}": measures[key] for key in ("kl", "agreement")}
        return {**means, **by_name}
