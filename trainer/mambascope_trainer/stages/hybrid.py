"""The teacher and the student in one model: frozen base, attention kept beside the Mamba-2 mixers that are trained."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import nn

from ..mixers.init import init_from_attention, segment_rows
from ..model.config import Mamba2Config
from ..model.llama import Llama
from ..run.config import RunConfig
from .base import Stage


class HybridStage(Stage):
    """A stage whose student is `model` with mixers in `layers`.

    reference: the teacher as a model of its own, where the student's base trains too; without it, the teacher is the
    student's frozen base with its attention.
    """

    def __init__(self, model: Llama, layers: list[int], reference: Llama | None = None) -> None:
        self.model, self.layers, self.reference = model, layers, reference

    def named_parameters(self) -> dict[str, nn.Parameter]:
        return {f"model.{name}": p for name, p in self.model.named_parameters() if p.requires_grad}

    def matrices(self) -> dict[str, list[int]]:
        return projection_segments(self.model, self.named_parameters())

    def pattern(self, replaced: AbstractSet[int]) -> list[str]:
        """The mixers' names with `replaced` layers as Mamba-2."""
        return ["mamba2" if i in replaced else "attention" for i in range(self.model.arch.num_hidden_layers)]

    def student(self) -> tuple[Llama, list[str]]:
        return self.model, self.pattern(set(self.layers))

    def teacher(self) -> tuple[Llama, list[str]]:
        return self.reference or self.model, self.pattern(set())

    def use_teacher(self) -> Llama:
        """The teacher, all its layers attention."""
        model, pattern = self.teacher()
        model.use(pattern)
        return model

    def state_dict(self) -> dict[str, Any]:
        trained = {name: p.detach() for name, p in self.named_parameters().items()}
        return mixer_state(self.model, self.layers) | trained

    def load_state_dict(self, state: dict[str, Any]) -> None:
        load_student_state(self.model, self.layers, state)


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
    """Give `config.layers` float32 mixers, initialised as the config says, and let train what it says, nothing else."""
    mixer_config = Mamba2Config.like_attention(model.arch, **config.mixer.options)
    model.add_mamba(config.layers, mixer_config)
    set_trained(model, config)
    for index in config.layers:
        mamba, attention = model.mamba(index), model.layer(index).self_attn
        if config.mixer.init == "attention" and attention is not None:
            init_from_attention(mamba, attention)
        mamba.codec = config.mixer.codec
    return mixer_config


def set_trained(model: Llama, config: RunConfig) -> None:
    """Let the parameters train that `config.train` and `config.layers_trained` name, and no others."""
    model.requires_grad_(False)
    for index in config.layers if config.layers_trained is None else config.layers_trained:
        layer = model.layer(index)
        model.mamba(index).requires_grad_(True)
        if config.train != "mixers":
            layer.input_layernorm.requires_grad_(True)
            layer.post_attention_layernorm.requires_grad_(True)
        if config.train in ("mixers+mlp", "all"):
            layer.mlp.requires_grad_(True)
    if config.train == "all":
        model.norm.requires_grad_(True)
        for index in set(range(model.arch.num_hidden_layers)) - set(config.layers):
            model.layer(index).requires_grad_(True)


def mixer_state(model: Llama, layers: list[int]) -> dict[str, torch.Tensor]:
    """Mixer tensors by the bundle's names."""
    return {
        f"model.layers.{i}.mamba.{key}": value.detach()
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


def load_student_state(model: Llama, layers: list[int], state: dict[str, Any]) -> None:
    """Load all that a stage's state holds: the mixers of `layers`, and norms, MLPs and attention that trained.

    Raises as load_mixer_state does.
    """
    load_mixer_state(model, layers, state)
    others = {name.removeprefix("model."): value for name, value in state.items() if ".mamba." not in name}
    model.load_state_dict(others, strict=False)
