"""The teacher and the student in one model: frozen base, attention kept beside the Mamba-2 mixers that are trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..mixers.init import init_from_attention
from ..model.config import Mamba2Config
from ..model.llama import Llama
from ..run.config import RunConfig


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


def mixer_parameters(model: Llama, layers: list[int]) -> list[nn.Parameter]:
    """The student's trainable parameters."""
    return [p for i in layers for p in model.mamba(i).parameters()]


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
