"""The teacher and the student in one model: frozen base, attention kept beside the Mamba-2 mixers that are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..mixers.init import init_from_attention, segment_rows
from ..model.config import Mamba2Config
from ..model.llama import Llama
from ..run.config import RunConfig
from .base import Stage


class HybridStage(Stage):
    """A stage whose student is `model` with mixers in `layers`."""

    def __init__(self, model: Llama, layers: list[int]) -> None:
        self.model, self.layers = model, layers

    def named_parameters(self) -> dict[str, nn.Parameter]:
        return {f"model.{name}": p for name, p in self.model.named_parameters() if p.requires_grad}

    def matrices(self) -> dict[str, list[int]]:
        return projection_segments(self.model, self.named_parameters())

    def pattern(self, replaced: set[int]) -> list[str]:
        """The mixers' names with `replaced` layers as Mamba-2."""
        return ["mamba2" if i in replaced else "attention" for i in range(self.model.arch.num_hidden_layers)]

    def state_dict(self) -> dict[str, Any]:
        return mixer_state(self.model, self.layers)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        load_mixer_state(self.model, self.layers, state)


def projection_segments(model: Llama, parameters: Mapping[str, nn.Parameter]) -> dict[str, list[int]]:
    """The projections among a model's named parameters, with the row counts of their segments (in_proj's)."""
    segments = {}
    for name, parameter in parameters.items():
        if name.endswith("mamba.in_proj.weight"):
            segments[name] = segment_rows(model.mamba(int(name.split(".")[2])).config)
        elif name.endswith("_proj.weight"):
            segments[name] = [parameter.shape[0]]
    return segments


def add_student_mixers(model: Llama, config: RunConfig) -> Mamba2Config:
    """Freeze `model` and give `config.layers` trainable float32 mixers, initialised as the config says."""
    mixer_config = Mamba2Config.like_attention(model.arch, **config.mixer.options)
    model.requires_grad_(False)
    model.add_mamba(config.layers, mixer_config)
    for index in config.layers:
        mamba, attention = model.mamba(index), model.layer(index).self_attn
        if config.mixer.init == "attention" and attention is not None:
            init_from_attention(mamba, attention)
        mamba.codec = config.mixer.codec
    return mixer_config


def mixer_state(model: Llama, layers: list[int]) -> dict[str, torch.Tensor]:
    """Mixer tensors by the bundle's names, float32 on the CPU."""
    return {
        f"model.layers.{i}.mamba.{key}": value.detach().cpu()
        for i in layers
        for key, value in model.mamba(i).state_dict().items()
    }


def load_mixer_state(model: Llama, layers: list[int], state: dict[str, Any]) -> None:
    """Load the tensors of `layers`; others in `state` are ignored. Raises KeyError naming the first layer not in it."""
    for i in layers:
        mamba, prefix = model.mamba(i), f"model.layers.{i}.mamba."
        if f"{prefix}in_proj.weight" not in state:
            raise KeyError(f"the mixers to start from have no layer {i}")
        mamba.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
