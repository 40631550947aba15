"""Stage 2 of MOHAWK (arXiv 2408.10189, section 4.2): each mixer learns its attention layer's output.

All layers at once: one teacher pass gives every layer's input and target on the teacher's own activations, and no
gradient crosses a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..mixers.mamba2 import Mamba2
from ..model.llama import Layer, Llama
from .base import mean_measures
from .hybrid import HybridStage


class Align(HybridStage):
    """Loss a layer: ||mamba(u) - attention(u)||^2 / ||attention(u)||^2 over the micro-batch, summed over the layers."""

    def __init__(self, model: Llama, layers: list[int], compiled: bool) -> None:
        super().__init__(model, layers)
        model.use(["attention"] * model.arch.num_hidden_layers)
        self.layer_loss = torch.compile(_layer_loss, dynamic=False) if compiled else _layer_loss
        self.teacher_layer = torch.compile(_teacher_layer, dynamic=False) if compiled else _teacher_layer

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        losses = []
        for index, u, target in self._activations(ids):
            loss = self.layer_loss(self.model.mamba(index), u, target)
            torch.autograd.backward(loss * scale)
            losses.append(loss.detach())
        return self._measures(losses)

    @torch.no_grad()
    def calibrate(self, ids: Tensor) -> None:
        """Scale each out_proj so that its mixer's output has the least-squares length of attention's on this batch.

        A freshly initialised mixer points roughly the right way but is an order of magnitude too long or short.
        """
        for index, u, target in self._activations(ids):
            mamba = self.model.mamba(index)
            out, wanted = mamba(u)[0].float(), target.float()
            mamba.out_proj.weight.mul_(((out * wanted).sum() / out.square().sum()).clamp(min=0.01))

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
        """(layer, normed input, attention output) for each layer to align, from the bottom."""
        wanted = set(self.layers)
        with torch.no_grad():
            x = self.model.embed_tokens(ids[:, :-1])
        rotary = self.model.rotary(0, x.shape[1])
        for index in range(max(wanted) + 1):
            with torch.no_grad():
                u, target, x = self.teacher_layer(self.model.layer(index), x, rotary)
            if index in wanted:
                yield index, u, target

    def _measures(self, losses: list[Tensor]) -> dict[str, Tensor]:
        by_layer = {f"align.{index}": loss for index, loss in zip(self.layers, losses, strict=True)}
        return {"loss": torch.stack(losses).mean(), **by_layer}


def _teacher_layer(layer: Layer, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    u = layer.input_layernorm(x)
    assert layer.self_attn is not None
    target, _ = layer.self_attn(u, rotary)
    x = x + target
    return u, target, x + layer.mlp(layer.post_attention_layernorm(x))


def _layer_loss(mamba: Mamba2, u: Tensor, target: Tensor) -> Tensor:
    out, _ = mamba(u)
    target = target.float()
    loss: Tensor = (out.float() - target).square().sum() / target.square().sum()
    return loss
