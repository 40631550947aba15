"""The training loop: optimiser, schedule, metrics, evaluation, checkpoints, resume, stop."""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch

from ..data.mixture import open_training_data
from ..data.tokens import TokenRows
from ..errors import MambascopeError
from ..stages.base import Stage, mean_measures
from .config import RunConfig
from .directory import RunDirectory
from .optimiser import build_optimiser
from .schedule import learning_rate, set_learning_rates


def resolve_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one."""
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


class StopRequest:
    """A context in which SIGTERM and SIGINT do not end the process; `signal` names the last of them that came."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __enter__(self) -> Self:
        self._previous = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name


class TrainingLoop:
    """Runs a stage to the end of its config, or until it is told to stop, and checkpoints then."""

    def __init__(self, config: RunConfig, directory: RunDirectory, stage: Stage, stop: StopRequest) -> None:
        self.config, self.directory, self.stage, self.stop = config, directory, stage, stop
        self.device = resolve_device(config.device)
        self.train_rows = open_training_data(config.data.train, config.data.seq_len, config.seed)
        held_out = config.data.evaluation
        self.eval_rows = TokenRows(Path(held_out), config.data.seq_len, config.seed) if held_out else None
        self.parameters = stage.parameters()
        self.optimiser = build_optimiser(stage.named_parameters(), config.optimiser, self.device, stage.matrices())
        self.step = 0
        #: Measures of the micro-batches since the last line of metrics.
        self.records: list[dict[str, torch.Tensor]] = []

    @property
    def tokens_per_step(self) -> int:
        return self.config.optimiser.batch * self.config.data.seq_len

    @property
    def progress(self) -> dict[str, int]:
        """What the status says of a run: step, steps, tokens."""
        return {
            "step": self.step,
            "steps": self.config.optimiser.steps,
            "tokens": self.step * self.tokens_per_step,
        }

    def run(self, resume: bool) -> str:
        """Train; returns the final state, "finished" or "stopped"."""
        if not (resume and self._resume()):
            self.directory.drop_after(-1)  # what a run that came to no checkpoint left
            self._status("running")
            self._evaluate()
        state = self._train()
        self._checkpoint()
        self._status(state)
        self.directory.log(f"{state} at step {self.step}")
        return state

    def _resume(self) -> bool:
        state = self.directory.load_checkpoint()
        if state is None:
            self.directory.log("nothing to resume: starting from step 0")
            return False
        self.stage.load_state_dict(state["stage"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.records = state.get("records", [])
        self.directory.drop_after(self.step)
        self._status("running")
        self.directory.log(f"resumed at step {self.step}")
        return True

    def _train(self) -> str:
        o = self.config.optimiser
        since, since_step = time.perf_counter(), self.step
        while self.step < o.steps:
            if self.stop.signal:
                self.directory.log(f"{self.stop.signal}: stopping after step {self.step}")
                return "stopped"
            norm = self._step()
            if self.step % self.config.log_every == 0 or self.step == o.steps:
                measures = mean_measures(self.records)  # waits for the device
                rate = (self.step - since_step) * self.tokens_per_step / (time.perf_counter() - since)
                self._record("train", {**measures, "grad_norm": float(norm), "tokens_per_second": round(rate)})
                self._status("running")
                if not math.isfinite(measures["loss"]):
                    raise MambascopeError(
                        "loss-not-finite",
                        f"The loss is {measures['loss']} at step {self.step}.",
                        "Lower the learning rate and resume from the last checkpoint, or start again.",
                    )
                self.records.clear()
                since, since_step = time.perf_counter(), self.step
            pause = time.perf_counter()
            if self.step % self.config.eval_every == 0 or self.step == o.steps:
                self._evaluate()
            if self.step % self.config.checkpoint_every == 0:
                self._checkpoint()
            since += time.perf_counter() - pause
        return "finished"

    def _step(self) -> torch.Tensor:
        o = self.config.optimiser
        set_learning_rates(self.optimiser.param_groups, self.step, o)
        ids = self._to_device(self.train_rows.batch(self.step, o.batch))
        self.optimiser.zero_grad(set_to_none=True)
        for part in ids.chunk(o.accumulate):
            with self._precision():
                self.records.append(self.stage.train_step(part, self.step, 1 / o.accumulate))
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, o.clip)
        self.optimiser.step()
        self.step += 1
        return norm

    def _evaluate(self) -> None:
        if self.eval_rows is None:
            return
        size = self.config.optimiser.batch // self.config.optimiser.accumulate
        with self._precision():
            measures = self.stage.evaluate(
                self._to_device(self.eval_rows.batch(i, size)) for i in range(self.config.eval_batches)
            )
        self._record("eval", measures)

    def _record(self, kind: str, measures: dict[str, float]) -> None:
        record: dict[str, Any] = {
            "kind": kind,
            "step": self.step,
            "tokens": self.step * self.tokens_per_step,
            "time": time.time(),
        }
        if kind == "train":
            record["learning_rate"] = learning_rate(self.step - 1, self.config.optimiser)
            if self.device.type == "cuda":
                record["memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        # JSON has no NaN and no infinity.
        rounded = {name: round(value, 6) if math.isfinite(value) else None for name, value in measures.items()}
        self.directory.append("metrics.jsonl", record | rounded)
        shown = "  ".join(f"{k} {v:.4g}" for k, v in measures.items() if not k.startswith("align."))
        self.directory.log(f"{kind} {self.step}/{self.config.optimiser.steps}  {shown}")

    def _checkpoint(self) -> None:
        state = {
            "step": self.step,
            "stage": self.stage.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            # So that the line of metrics after a resume is the mean that an unbroken run writes.
            "records": [{name: value.cpu() for name, value in record.items()} for record in self.records],
        }
        self.directory.save_checkpoint(self.step, state)

    def _status(self, state: str) -> None:
        self.directory.write_status(state, **self.progress)

    def _to_device(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else ids

    def _precision(self) -> torch.autocast:
        return torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.device.type == "cuda")
