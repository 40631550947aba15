"""Direct preference optimisation (arXiv 2305.18290) of the hybrid, the teacher as reference (arXiv 2408.15237)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.preferences import PreferenceBatch
from ..model.llama import Llama
from ..run.config import RunConfig
from .base import mean_measures
from .hybrid import HybridStage
from .token_log_probs import token_log_probs


class Dpo(HybridStage):
    """Loss a pair: -log sigmoid(beta [(log pi(c) - log ref(c)) - (log pi(r) - log ref(r))]).

    reference: see HybridStage.
    """

    def __init__(self, model: Llama, config: RunConfig, reference: Llama | None = None) -> None:
        super().__init__(model, config.layers, reference)
        self.beta = config.dpo.beta
        self.student_pattern = self.pattern(set(config.layers))

    def train_step(self, pairs: PreferenceBatch, step: int, scale: float) -> dict[str, Tensor]:  # type: ignore[override]
        loss, measures = self._measure(pairs)
        torch.autograd.backward(loss * scale)
        return measures

    @torch.no_grad()
    def evaluate(self, batches: Iterable[PreferenceBatch]) -> dict[str, float]:  # type: ignore[override]
        return mean_measures([self._measure(pairs)[1] for pairs in batches])

    def _measure(self, pairs: PreferenceBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss a pair, and the measures; rewards are beta (log pi - log ref) of an answer."""
        ids = torch.cat([pairs.chosen, pairs.rejected])
        mask = torch.cat([pairs.chosen_mask, pairs.rejected_mask])
        with torch.no_grad():
            reference = answer_log_probs(self.use_teacher(), ids, mask)
        self.model.use(self.student_pattern)
        rewards = self.beta * (answer_log_probs(self.model, ids, mask) - reference)
        chosen, rejected = rewards.chunk(2)
        margin = chosen - rejected
        loss = -F.logsigmoid(margin).mean()
        measures = {
            "loss": loss,
            "accuracy": (margin > 0).float().mean(),
            "margin": margin.mean(),
            "chosen_reward": chosen.mean(),
            "rejected_reward": rejected.mean(),
        }
        return loss, {name: value.detach() for name, value in measures.items()}


def answer_log_probs(model: Llama, ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each row's answer: ids (b, T), mask (b, T - 1) true where the next token is the answer's."""
    hidden = model.hidden(ids[:, :-1])
    tokens = token_log_probs(hidden[mask], model.head_weight, ids[:, 1:][mask])
    rows = mask.nonzero()[:, 0]
    return torch.zeros(len(ids), dtype=tokens.dtype, device=ids.device).index_add(0, rows, tokens)
