"""Start or resume a run: config to model, stage and loop."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import torch
from pydantic import ValidationError

from ..bundle.bundle import Bundle
from ..bundle.manifest import Architecture
from ..data.mixture import open_training_data
from ..errors import MambascopeError
from ..model.llama import Llama
from ..model.load import load_teacher
from ..stages.align import Align
from ..stages.base import Stage
from ..stages.distill import Distill
from ..stages.draft import DraftStage, build_draft
from ..stages.hybrid import add_student_mixers, load_mixer_state
from ..stages.pretrain import Pretrain
from .config import ConfigError, RunConfig, invalid_fields
from .device import resolve_device
from .directory import RunDirectory
from .distributed import joined
from .loop import StopRequest, TrainingLoop
from .watch import Watch


def build_stage(config: RunConfig) -> Stage:
    """The model on its device, frozen parts in bfloat16 on CUDA, and the stage that trains it."""
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    if config.method == "pretrain":
        model = Llama(new_architecture(config))
        Pretrain.initialise(model, config.seed)
        model.to(device)
        if config.compile:
            _compile_layers(model)
        return Pretrain(model)
    bundle = Bundle.open([Path(root) / config.family for root in config.bundle])
    if config.method == "draft":
        return _draft_stage(bundle, config, device)
    model = load_teacher(bundle)
    _add_mixers(model, config)
    model.to(device)
    if device.type == "cuda":
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    if config.method == "align":
        stage = Align(model, config.layers, config.compile)
        if config.mixer.start_from is None:
            rows = open_training_data(config.data.train, config.data.seq_len, config.seed)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
                stage.calibrate(rows.batch(0, 4).to(device))
        return stage
    if config.compile:
        _compile_layers(model)
    return Distill(model, config)


def new_architecture(config: RunConfig) -> Architecture:
    """The shape of a pretrain run's model. Raises ConfigError if a field is missing or unknown."""
    try:
        return Architecture(**(config.architecture or {}))
    except TypeError as error:
        raise ConfigError(f"architecture: {error}") from None


def _add_mixers(model: Llama, config: RunConfig) -> None:
    """The student's mixers, from the teacher's attention or another run. Raises ConfigError where they do not fit."""
    count = model.arch.num_hidden_layers
    if config.layers[-1] >= count:
        raise ConfigError(f"layers: there is no layer {config.layers[-1]}, the teacher has {count}")
    try:
        add_student_mixers(model, config)
    except ValidationError as error:
        raise ConfigError(f"the mixer is not valid:\n{invalid_fields(error, 'mixer.options.')}") from None
    except ValueError as error:
        raise ConfigError(f"mixer.options: {error}") from None
    if config.mixer.start_from is not None:
        try:
            start = RunDirectory(Path(config.mixer.start_from)).require_checkpoint()
            load_mixer_state(model, config.layers, start["stage"])
        except (MambascopeError, KeyError, RuntimeError) as error:
            raise ConfigError(f"mixer.start_from: {error}") from None


def _draft_stage(bundle: Bundle, config: RunConfig, device: torch.device) -> DraftStage:
    try:
        target, draft = build_draft(bundle, config)
    except ValidationError as error:
        raise ConfigError(f"the mixer is not valid:\n{invalid_fields(error, 'mixer.options.')}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for model in (target, draft):
        model.to(device)
        if config.compile:
            _compile_layers(model)
    if device.type == "cuda":
        for parameter in target.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
    return DraftStage(target, draft, config)


def _compile_layers(model: Llama) -> None:
    """Compile a layer, not the model: layers share their graphs, so 30 of them compile as fast as two."""
    torch._dynamo.config.cache_size_limit = 64
    for layer in model.layers:
        layer.compile(dynamic=False)


def train(config: RunConfig, path: Path, resume: bool) -> str:
    """Run a config in a run directory until its end, SIGTERM or SIGINT; returns "finished" or "stopped".

    Under torchrun, this process is one rank of the run. A failure is written to the status and raised again; if
    another rank failed, this process ends.
    """
    with joined(config.device) as ranks:
        directory = RunDirectory.create(path, writes=ranks.leads)
        # torchrun starts all ranks again where it may (--max-restarts): the run goes on then.
        resume = resume or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        if not resume and ranks.share(bool(directory.checkpoints())):
            raise ConfigError(f"{path} holds checkpoints already: add --resume, or name another directory")
        directory.write_config(config.model_dump())
        progress = {"step": 0, "steps": config.optimiser.steps, "tokens": 0}
        directory.write_status("running", **progress)
        directory.log(f"{config.method} {config.name}: torch {torch.__version__} on {resolve_device(config.device)}")
        loop: TrainingLoop | None = None

        def failed(message: str) -> None:
            directory.log(f"failed: {message}")
            directory.write_status("failed", message=message, **(loop.progress if loop else progress))

        with StopRequest() as stop, Watch(ranks, failed, lambda: stop.signal is not None):
            try:
                loop = TrainingLoop(config, directory, build_stage(config), stop, ranks)
                return loop.run(resume)
            except Exception:
                directory.log(traceback.format_exc())
                raise
