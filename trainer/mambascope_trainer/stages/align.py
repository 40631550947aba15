"""Stage 2 of MOHAWK (arXiv 2408.10189, section 4.2): each mixer learns its attention layer's output.

All layers at once: one teacher pass gives every layer's input and target on the teacher's own activations, and no
gradient crosses a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..mixers.mamba2 import Mamba2
from ..model.llama import Llama
from .activations import teacher_activations, teacher_layer
from .base import mean_measures
from .hybrid import HybridStage


class Align(HybridStage):
    """Loss a layer: ||mamba(u) - attention(u)||^2 / ||attention(u)||^2 over the micro-batch, summed over the layers."""

    def __init__(self, model: Llama, layers: list[int], compiled: bool) -> None:
        super().__init__(model, layers)
        model.use(["attention"] * model.arch.num_hidden_layers)
        self.layer_loss = torch.compile(_layer_loss, dynamic=False) if compiled else _layer_loss
        self.teacher_layer = torch.compile(teacher_layer, dynamic=False) if compiled else teacher_layer

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        losses = []
        for index, u, target in self._activations(ids):
            loss = self.layer_loss(self.model.mamba(index), u, target)
            torch.autograd.backward(loss * scale)
            losses.append(loss.detach())
        return self._measures(losses)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        records = []
        for ids in batches:
            losses = [
                self.layer_loss(self.model.mamba(index), u, target) for index, u, target in self._activations(ids)
            ]
            records.append(self._measures(losses))
        return mean_measures(records)

    def _activations(self, ids: Tensor) -> Iterable[tuple[int, Tensor, Tensor]]:
        return teacher_activations(self.model, self.layers, ids[:, :-1], self.teacher_layer)

    def _measures(self, losses: list[Tensor]) -> dict[str, Tensor]:
        by_layer = {f"align.{index}": loss for index, loss in zip(self.layers, losses, strict=True)}
        return {"loss": torch.stack(losses).mean(), **by_layer}


def _layer_loss(mamba: Mamba2, u: Tensor, target: Tensor) -> Tensor:
    out, _ = mamba(u)
    target = target.float()
    loss: Tensor = (out.float() - target).square().sum() / target.square().sum()
    return loss
