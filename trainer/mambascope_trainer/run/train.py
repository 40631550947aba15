"""Start or resume a run: config to model, stage and loop."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import torch

from .build import build_stage, new_architecture
from .config import ConfigError, RunConfig
from .device import resolve_device
from .directory import RunDirectory
from .distributed import joined
from .loop import StopRequest, TrainingLoop
from .watch import Watch

__all__ = ["build_stage", "new_architecture", "train"]


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
