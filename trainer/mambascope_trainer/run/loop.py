"""The training loop: optimiser, schedule, metrics, evaluation, samples, checkpoints, resume, stop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import torch
from torch.distributed.tensor import DTensor

from ..errors import MambascopeError
from ..stages.base import Stage, mean_measures
from ..stages.graphed import GraphedStep, fast_train_step
from .checkpoint import newest_checkpoint, optimiser_parameters, save_checkpoint
from .config import ConfigError, PlannedStage, RunConfig
from .data import open_data
from .device import device_measures, resolve_device
from .directory import RunDirectory
from .distributed import Ranks
from .optimiser import build_optimiser
from .parallel import GradientAverage, choose_strategy, clip_gradients, distribute, separate_kinds
from .prefetch import Prefetcher, split_batch, to_device
from .samples import TextSamples
from .schedule import learning_rate, set_learning_rates


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
    """Runs a stage to the end of its config, or until it is told to stop, and checkpoints then.

    Every rank runs its own loop, on its part of each batch. No step waits for the device: measures stay there until
    they are logged. Raises ConfigError if the batch cannot be divided.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        stage: Stage,
        stop: StopRequest,
        ranks: Ranks | None = None,
        planned: PlannedStage | None = None,
        total_steps: int | None = None,
    ) -> None:
        self.config, self.directory, self.stage, self.stop = config, directory, stage, stop
        self.planned = planned or PlannedStage(0, None, config)
        self.total_steps = total_steps or config.optimiser.steps
        self.ranks = ranks = ranks or Ranks()
        self.device = resolve_device(config.device)
        o = config.optimiser
        if o.batch % (o.accumulate * ranks.world):
            raise ConfigError(
                f"optimiser.batch is {o.batch}: not a multiple of optimiser.accumulate ({o.accumulate}) times the "
                f"{ranks.world} processes"
            )
        self.train_rows, self.eval_rows = open_data(config)
        self.strategy = choose_strategy(config.parallel.strategy, stage.models(), ranks, self.device)
        for model in stage.models():
            model.checkpoint_layers = config.checkpoint_activations == "layers"
        distribute(stage.models(), self.strategy, ranks, self.device)
        self.train_step = fast_train_step(stage, config, self.device, self.strategy == "fsdp")
        self.parameters = stage.parameters()
        self.optimiser = build_optimiser(
            stage.named_parameters(), o, self.device, stage.matrices(), stage.learning_rates()
        )
        separate_kinds(self.optimiser.param_groups)
        self.average_gradients = GradientAverage(self.parameters, ranks)
        self.samples = TextSamples(config, stage) if config.sample_every else None
        self.step = 0
        #: Measures of the micro-batches since the last line of metrics.
        self.records: list[dict[str, torch.Tensor]] = []

    @property
    def tokens_per_step(self) -> int:
        return self.config.optimiser.batch * self.config.data.seq_len

    @property
    def progress(self) -> dict[str, Any]:
        """What the status says of a run: step, steps, tokens, and in a pipeline the stage."""
        return {"step": self.run_step, "steps": self.total_steps, "tokens": self.tokens, **self._stage_labels()}

    @property
    def run_step(self) -> int:
        """The run's step: that of this stage, after those of the stages before it."""
        return self.planned.steps_before + self.step

    @property
    def tokens(self) -> int:
        return self.planned.tokens_before + self.step * self.tokens_per_step

    def _stage_labels(self) -> dict[str, Any]:
        return {} if self.planned.name is None else {"stage": self.planned.index, "stage_name": self.planned.name}

    def run(self, resume: bool) -> str:
        """Train; returns the final state, "finished" or "stopped"."""
        if self.ranks.world > 1:
            self.directory.log(f"{self.ranks.world} processes: {self.strategy}")
        if isinstance(self.train_step, GraphedStep):
            self.directory.log("steps are replayed from a CUDA graph")
        if not (resume and self._resume()):
            # What a run left that came to no checkpoint (in this stage).
            self.directory.drop_after(-1, self.planned.index)
            self._status("running")
            self._evaluate()
            self._sample()
        state = self._train()
        self._checkpoint()
        self._status(state if self.run_step == self.total_steps or state != "finished" else "running")
        self.directory.log(f"{state} at step {self.run_step}")
        return state

    def _resume(self) -> bool:
        folder = self.directory.checkpoint_folder
        state = newest_checkpoint(folder, self.directory.log, self.ranks, self._live_tensors())
        if state is None:
            self.directory.log("nothing to resume: starting from step 0")
            return False
        self.stage.load_state_dict(state["stage"])
        if "optimiser" in state:
            self.optimiser.load_state_dict(state["optimiser"])
        else:
            self.directory.log("the checkpoint holds no optimiser: it starts anew")
        self.step = state["step"]
        self.records = [{name: value.to(self.device) for name, value in r.items()} for r in state.get("records", [])]
        self.directory.drop_after(self.run_step, self.planned.index)
        self._status("running")
        self.directory.log(f"resumed at step {self.run_step}")
        return True

    def _live_tensors(self) -> Callable[[str], DTensor | None]:
        """The sharded tensor, if it is one, that a checkpoint's tensor is for: the stage's, or a parameter's state."""
        groups = self.optimiser.param_groups
        parameters = iter([parameter for group in groups for parameter in group["params"]])
        live = optimiser_parameters(self.optimiser.state_dict(), parameters, "optimiser")
        live |= {f"stage/{name}": tensor for name, tensor in self.stage.state_dict().items()}

        def find(path: str) -> DTensor | None:
            tensor = live.get(path, live.get(path.rpartition("/")[0]))
            return tensor if isinstance(tensor, DTensor) else None

        return find

    def _train(self) -> str:
        o, ranks = self.config.optimiser, self.ranks
        since, since_step = time.perf_counter(), self.step
        batches = Prefetcher(
            lambda step: self.train_rows.batch(step, o.batch, ranks.rank, ranks.world),
            self.step,
            self.device,
        )
        try:
            while self.step < o.steps:
                if ranks.any(self.stop.signal is not None):
                    self.directory.log(f"{self.stop.signal or 'another rank'}: stopping after step {self.run_step}")
                    return "stopped"
                norm = self._step(next(batches))
                if self.step % self.config.log_every == 0 or self.step == o.steps:
                    self._log(norm, (self.step - since_step) * self.tokens_per_step, since)
                    since, since_step = time.perf_counter(), self.step
                pause = time.perf_counter()
                if self.step % self.config.eval_every == 0 or self.step == o.steps:
                    self._evaluate()
                if self.samples and (self.step % self.config.sample_every == 0 or self.step == o.steps):
                    self._sample()
                if self.step % self.config.checkpoint_every == 0 and self.step < o.steps:
                    self._checkpoint()
                since += time.perf_counter() - pause
        finally:
            batches.close()
        return "finished"

    def _step(self, batch: Any) -> torch.Tensor:
        o = self.config.optimiser
        set_learning_rates(self.optimiser.param_groups, self.step, o)
        self.optimiser.zero_grad(set_to_none=True)
        for part in split_batch(to_device(batch, self.device), o.accumulate):
            with self._precision():
                self.records.append(self.train_step(part, self.step, 1 / o.accumulate))
        self.average_gradients()
        norm = clip_gradients(self.parameters, o.clip)
        self.optimiser.step()
        self.step += 1
        return norm

    def _log(self, norm: torch.Tensor, tokens: int, since: float) -> None:
        measures = self.ranks.mean(mean_measures(self.records))  # waits for the device
        rate = tokens / (time.perf_counter() - since)
        self._record("train", {**measures, "grad_norm": float(norm), "tokens_per_second": round(rate)})
        self._status("running")
        if not math.isfinite(measures["loss"]):
            raise MambascopeError(
                "loss-not-finite",
                f"The loss is {measures['loss']} at step {self.run_step}.",
                "Lower the learning rate and resume from the last checkpoint, or start again.",
            )
        self.records.clear()

    def _evaluate(self) -> None:
        """Each rank takes its part of the rows of every batch, so that all run the same number of passes."""
        if self.eval_rows is None:
            return
        rows, ranks = self.eval_rows, self.ranks
        size = self.config.optimiser.batch // self.config.optimiser.accumulate
        with self._precision():
            measures = self.stage.evaluate(
                to_device(rows.batch(i, size, ranks.rank, ranks.world), self.device)
                for i in range(self.config.eval_batches)
            )
        self._record("eval", ranks.mean(measures))

    def _sample(self) -> None:
        """Replicas leave it to rank 0; shards can only be gathered by all."""
        if self.samples is None or not (self.ranks.leads or self.strategy == "fsdp"):
            return
        for record in self.samples.take():
            self.directory.append("samples.jsonl", {**self._place(), **record})

    def _place(self) -> dict[str, Any]:
        return {"step": self.run_step, "tokens": self.tokens, "time": time.time(), **self._stage_labels()}

    def _record(self, kind: str, measures: dict[str, float]) -> None:
        record: dict[str, Any] = {"kind": kind, **self._place()}
        if kind == "train":
            record["learning_rate"] = learning_rate(self.step - 1, self.config.optimiser)
            record |= device_measures(self.device)
        # JSON has no NaN and no infinity.
        rounded = {name: round(value, 6) if math.isfinite(value) else None for name, value in measures.items()}
        self.directory.append("metrics.jsonl", record | rounded)
        shown = "  ".join(f"{k} {v:.4g}" for k, v in measures.items() if not k.startswith(("align.", "orient.")))
        self.directory.log(f"{kind} {self.run_step}/{self.total_steps}  {shown}")

    def _checkpoint(self) -> None:
        state: dict[str, Any] = {
            "step": self.step,
            "stage_index": self.planned.index,
            "stage": self.stage.state_dict(),
            # So that the line of metrics after a resume is the mean that an unbroken run writes.
            "records": self.ranks.mean_records(self.records),
        }
        c = self.config.checkpoint
        if c.optimiser:
            state["optimiser"] = self.optimiser.state_dict()
        sharded = self.ranks.world > 1 if c.sharded is None else c.sharded
        save_checkpoint(self.directory.checkpoint_folder, self.run_step, state, self.ranks, sharded, c.keep)

    def _status(self, state: str) -> None:
        self.directory.write_status(state, **self.progress)

    def _precision(self) -> torch.autocast:
        # A cast that is kept for the whole step would keep whole what is sharded.
        keep = self.strategy != "fsdp"
        return torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda", cache_enabled=keep)
