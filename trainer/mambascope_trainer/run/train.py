"""Start or resume a run: config to model, stage and loop."""

from __future__ import annotations

from pathlib import Path

import torch

from ..bundle.bundle import Bundle
from ..bundle.manifest import Architecture
from ..data.tokens import TokenRows
from ..model.llama import Llama
from ..model.load import load_teacher
from ..stages.align import Align
from ..stages.base import Stage
from ..stages.distill import Distill
from ..stages.hybrid import add_student_mixers, load_mixer_state
from ..stages.pretrain import Pretrain
from .config import ConfigError, RunConfig
from .directory import RunDirectory
from .loop import TrainingLoop, resolve_device


def build_stage(config: RunConfig) -> Stage:
    """The model on its device, frozen parts in bfloat16 on CUDA, and the stage that trains it."""
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    if config.method == "pretrain":
        model = Llama(Architecture(**config.architecture))
        Pretrain.initialise(model, config.seed)
        model.to(device)
        if config.compile:
            _compile_layers(model)
        return Pretrain(model)
    bundle = Bundle.open([Path(root) / config.family for root in config.bundle])
    model = load_teacher(bundle)
    add_student_mixers(model, config)
    if config.mixer.start_from is not None:
        start = RunDirectory(Path(config.mixer.start_from)).load_checkpoint()
        if start is None:
            raise ConfigError(f"mixer.start_from: {config.mixer.start_from} holds no checkpoint")
        load_mixer_state(model, config.layers, start["stage"])
    model.to(device)
    if device.type == "cuda":
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    if config.method == "align":
        stage = Align(model, config.layers, config.compile)
        if config.mixer.start_from is None:
            rows = TokenRows(Path(config.data.train), config.data.seq_len, config.seed)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
                stage.calibrate(rows.batch(0, 4).to(device))
        return stage
    if config.compile:
        _compile_layers(model)
    return Distill(model, config)


def _compile_layers(model: Llama) -> None:
    """Compile a layer, not the model: layers share their graphs, so 30 of them compile as fast as two."""
    torch._dynamo.config.cache_size_limit = 64
    for layer in model.layers:
        layer.compile(dynamic=False)


def train(config: RunConfig, path: Path, resume: bool) -> str:
    """Run a config in a run directory; returns "finished" or "stopped"."""
    directory = RunDirectory(path)
    if not resume and directory.checkpoints():
        raise ConfigError(f"{path} holds checkpoints already: add --resume, or name another directory")
    directory.write_config(config.model_dump())
    directory.write_status("running", step=0, steps=config.optimiser.steps, tokens=0)
    directory.log(f"{config.method} {config.name}: torch {torch.__version__} on {resolve_device(config.device)}")
    return TrainingLoop(config, directory, build_stage(config)).run(resume)
