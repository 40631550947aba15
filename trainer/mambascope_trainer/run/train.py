"""Start or resume a run: config to model, stage and loop."""

from __future__ import annotations

import contextlib
import gc
import os
import traceback
from pathlib import Path
from typing import Any

import torch

from .build import build_stage, new_architecture
from .checkpoint import newest_checkpoint
from .config import ConfigError, Plan, RunConfig
from .device import resolve_device
from .directory import RunDirectory
from .distributed import Ranks, joined
from .loop import StopRequest, TrainingLoop
from .watch import Watch

__all__ = ["build_stage", "new_architecture", "train"]


def train(run: RunConfig | Plan, path: Path, resume: bool) -> str:
    """Train in a run directory until the end, SIGTERM or SIGINT; returns "finished" or "stopped".

    Under torchrun, this process is one rank of the run. A failure is written to the status and raised again; if
    another rank failed, this process ends.
    """
    plan = Plan.of(run) if isinstance(run, RunConfig) else run
    first = plan.stages[0].config
    with joined(first.device) as ranks:
        directory = RunDirectory.create(path, writes=ranks.leads)
        # torchrun starts all ranks again where it may (--max-restarts): the run goes on then.
        resume = resume or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        if not resume and ranks.share(bool(directory.checkpoints())):
            raise ConfigError(f"{path} holds checkpoints already: add --resume, or name another directory")
        directory.write_config(plan.document)
        if ranks.any(not directory.appears()):
            raise ConfigError(
                f"not every process sees the run directory {path}", "Put it on a file system that all hosts share."
            )
        training = _Training(plan, directory, ranks)
        directory.write_status("running", **training.progress)
        methods = ", ".join(dict.fromkeys(stage.config.method for stage in plan.stages))
        directory.log(f"{methods} {plan.name}: torch {torch.__version__} on {resolve_device(first.device)}")

        def failed(message: str) -> None:
            # Where the disk is full the status may still fit, and the error itself is raised again.
            with contextlib.suppress(OSError):
                directory.write_status("failed", message=message, **training.progress)
            with contextlib.suppress(OSError):
                directory.log(f"failed: {message}")

        with StopRequest() as stop, Watch(ranks, failed, lambda: stop.signal is not None):
            try:
                return training.run(stop, resume)
            except Exception:
                with contextlib.suppress(OSError):
                    directory.log(traceback.format_exc())
                raise


class _Training:
    """The stages of a plan, one after another."""

    def __init__(self, plan: Plan, directory: RunDirectory, ranks: Ranks) -> None:
        self.plan, self.directory, self.ranks = plan, directory, ranks
        self._loop: TrainingLoop | None = None
        self._before: dict[str, Any] = {"step": 0, "steps": plan.steps, "tokens": 0}

    @property
    def progress(self) -> dict[str, Any]:
        """What the status says: step, steps, tokens."""
        return self._loop.progress if self._loop else self._before

    def run(self, stop: StopRequest, resume: bool) -> str:
        start, previous = 0, None
        if resume and len(self.plan.stages) > 1:
            start, previous, resume = self._reached()
        for planned in self.plan.stages[start:]:
            if planned.name is not None:
                self.directory.log(f"stage {planned.index + 1} of {len(self.plan.stages)}: {planned.name}")
            stage, config = build_stage(planned.config, previous), planned.config
            self._loop = TrainingLoop(config, self.directory, stage, stop, self.ranks, planned, self.plan.steps)
            state = self._loop.run(resume)
            if state != "finished" or planned is self.plan.stages[-1]:
                return state
            previous, resume = self._newest()["stage"], False
            self._before, self._loop = self._loop.progress, None
            # The next stage has models and graphs of its own.
            del stage
            gc.collect()
            torch.compiler.reset()
        raise AssertionError("a plan has at least one stage")

    def _reached(self) -> tuple[int, dict[str, Any] | None, bool]:
        """Where a pipeline goes on: the stage's index, what it starts from, and whether it was begun."""
        state = self._newest()
        if not state:
            return 0, None, True
        index: int = state["stage_index"]
        done = state["step"] >= self.plan.stages[index].config.optimiser.steps
        if done and index + 1 < len(self.plan.stages):
            return index + 1, state["stage"], False
        return index, state["stage"], True

    def _newest(self) -> dict[str, Any]:
        """The newest checkpoint, whole, on the CPU of every rank; empty if there is none."""
        return newest_checkpoint(self.directory.checkpoint_folder, self.directory.log, self.ranks) or {}
