"""From a config to the stage that trains it, on its device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ..bundle.bundle import Bundle
from ..bundle.manifest import Architecture
from ..data.chat import ChatFormat
from ..data.errors import DataError
from ..data.mixture import open_training_data
from ..model.llama import Llama
from ..model.load import load_teacher
from ..stages.activations import calibrate
from ..stages.align import Align
from ..stages.answers import AnswerMask
from ..stages.base import Stage
from ..stages.distill import Distill
from ..stages.dpo import Dpo
from ..stages.draft import DraftStage, build_draft
from ..stages.hybrid import add_student_mixers
from ..stages.orient import Orient
from ..stages.pretrain import Pretrain
from ..stages.sources import start_mixers
from .config import ConfigError, RunConfig, invalid_fields
from .device import resolve_device

#: Sequences of the batch that new mixers are calibrated on.
CALIBRATION_ROWS = 4


def build_stage(config: RunConfig, previous: dict[str, Any] | None = None) -> Stage:
    """The model on its device, frozen parts in bfloat16 on CUDA, and the stage that trains it.

    previous: the state that the stage before this one left, in a pipeline.
    """
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    if config.compile:
        # A graph a kind of layer, block of rows and micro-batch: the default of 8 would fall back to running as is.
        torch._dynamo.config.cache_size_limit = 64
    if config.method == "pretrain":
        model = Llama(new_architecture(config))
        Pretrain.initialise(model, config.seed)
        _place([model], config, device)
        return Pretrain(model)
    bundle = Bundle.open([Path(root) / config.family for root in config.bundle])
    return _draft(bundle, config, device) if config.method == "draft" else _hybrid(bundle, config, device, previous)


def new_architecture(config: RunConfig) -> Architecture:
    """The shape of a pretrain run's model. Raises ConfigError if a field is missing or unknown."""
    try:
        return Architecture(**(config.architecture or {}))
    except TypeError as error:
        raise ConfigError(f"architecture: {error}") from None


def _hybrid(bundle: Bundle, config: RunConfig, device: torch.device, previous: dict[str, Any] | None) -> Stage:
    model = load_teacher(bundle)
    fresh = _add_mixers(model, config, previous)
    # A base that trains is no longer the teacher.
    reference = load_teacher(bundle).requires_grad_(False) if config.train != "mixers" else None
    layerwise = config.method in ("orient", "align")
    _place([model, *([reference] if reference else [])], config, device, compiled=config.compile and not layerwise)
    if config.method == "orient":
        return Orient(model, config.layers, config.compile)
    wanted = {"fresh": fresh, "all": config.layers, "none": []}[config.mixer.calibrate]
    if wanted and config.method != "dpo":
        rows = open_training_data(config.data.train, config.data.seq_len, config.seed)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
            calibrate(model, wanted, rows.batch(0, CALIBRATION_ROWS).to(device)[:, :-1])
    if config.method == "align":
        return Align(model, config.layers, config.compile)
    if config.method == "dpo":
        return Dpo(model, config, reference)
    return Distill(model, config, reference, _answers(bundle) if config.loss.ce_tokens == "answers" else None)


def _answers(bundle: Bundle) -> AnswerMask:
    try:
        markers = ChatFormat.of(bundle).markers
    except DataError as error:
        raise ConfigError(f'loss.ce_tokens: "answers" needs a chat template: {error.message}') from None
    return AnswerMask([markers.end_of_turn, *markers.to_assistant], markers.end_of_turn)


def _add_mixers(model: Llama, config: RunConfig, previous: dict[str, Any] | None) -> list[int]:
    """The student's mixers; returns the layers that start from none that trained. Raises ConfigError."""
    count = model.arch.num_hidden_layers
    if config.layers[-1] >= count:
        raise ConfigError(f"layers: there is no layer {config.layers[-1]}, the teacher has {count}")
    try:
        mixer = add_student_mixers(model, config)
    except ValidationError as error:
        raise ConfigError(f"the mixer is not valid:\n{invalid_fields(error, 'mixer.options.')}") from None
    except ValueError as error:
        raise ConfigError(f"mixer.options: {error}") from None
    if config.method == "orient" and mixer.num_heads != model.arch.num_attention_heads:
        raise ConfigError(
            f"mixer.options.num_heads: {mixer.num_heads} SSD matrices cannot be oriented to "
            f"{model.arch.num_attention_heads} attention matrices"
        )
    return start_mixers(model, config, previous)


def _draft(bundle: Bundle, config: RunConfig, device: torch.device) -> DraftStage:
    try:
        target, draft = build_draft(bundle, config)
    except ValidationError as error:
        raise ConfigError(f"the mixer is not valid:\n{invalid_fields(error, 'mixer.options.')}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    _place([target, draft], config, device)
    return DraftStage(target, draft, config)


def _place(models: list[Llama], config: RunConfig, device: torch.device, compiled: bool | None = None) -> None:
    """To the device; what does not train in bfloat16 on CUDA; compiled where the config says so."""
    for model in models:
        model.to(device)
        if device.type == "cuda":
            model.freeze_dtype(torch.bfloat16)
        if config.compile if compiled is None else compiled:
            model.compile_layers()
