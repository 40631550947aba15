"""What the teacher's layers compute: the inputs and targets of layer-wise training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..model.llama import Layer, Llama

Rotary = tuple[Tensor, Tensor]
LayerPass = Callable[[Layer, Tensor, Rotary], tuple[Tensor, Tensor, Tensor]]


def teacher_layer(layer: Layer, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
    """The mixer's normed input, attention's output, and the layer's output, each (b, T, D)."""
    u = layer.input_layernorm(x)
    assert layer.self_attn is not None
    target, _ = layer.self_attn(u, rotary)
    x = x + target
    return u, target, x + layer.mlp(layer.post_attention_layernorm(x))


def teacher_activations(
    model: Llama, layers: Sequence[int], inputs: Tensor, layer_pass: LayerPass = teacher_layer
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(layer, normed input, attention's output) for each of `layers`, from the bottom, on the teacher's activations."""
    wanted = set(layers)
    with torch.no_grad():
        x = model.embed_tokens(inputs)
    rotary = model.rotary(0, x.shape[1])
    for index in range(max(wanted) + 1):
        with torch.no_grad():
            u, target, x = layer_pass(model.layer(index), x, rotary)
        if index in wanted:
            yield index, u, target


@torch.no_grad()
def calibrate(model: Llama, layers: Sequence[int], inputs: Tensor) -> None:
    """Scale each out_proj so that its mixer's output has the least-squares length of attention's on this batch.

    A freshly initialised mixer points roughly the right way but is an order of magnitude too long or short.
    """
    for index, u, target in teacher_activations(model, layers, inputs):
        mamba = model.mamba(index)
        out, wanted = mamba(u)[0].float(), target.float()
        mamba.out_proj.weight.mul_(((out * wanted).sum() / out.square().sum()).clamp(min=0.01))
