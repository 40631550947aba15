"""Next-token training of a small Llama from random weights: how the `stories` teacher is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.llama import Llama
from .base import Stage, mean_measures


class Pretrain(Stage):
    """Mean cross-entropy a token over all parameters."""

    def __init__(self, model: Llama) -> None:
        self.model = model

    @staticmethod
    @torch.no_grad()
    def initialise(model: Llama, seed: int) -> None:
        """GPT-2's scheme: normal(0.02), residual projections scaled by 1/sqrt(2 layers)."""
        generator = torch.Generator().manual_seed(seed)
        residual = 0.02 * (2 * model.arch.num_hidden_layers) ** -0.5
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                std = residual if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                parameter.normal_(std=std, generator=generator)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        named = self.model.named_parameters()
        return {name if name.startswith("lm_head.") else f"model.{name}": p for name, p in named}

    def matrices(self) -> dict[str, list[int]]:
        named = self.named_parameters()
        return {name: [p.shape[0]] for name, p in named.items() if name.endswith("_proj.weight")}

    def _loss(self, ids: Tensor) -> Tensor:
        hidden = self.model.hidden(ids[:, :-1])
        logits = F.linear(hidden, self.model.head_weight).float()
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        loss = self._loss(ids)
        torch.autograd.backward(loss * scale)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        return mean_measures([{"loss": self._loss(ids)} for ids in batches])

    def state_dict(self) -> dict[str, Any]:
        return {key: value.detach() for key, value in self.model.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state)
