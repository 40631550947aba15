"""Data and configs of short training runs on the tiny teacher, and what they leave behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from samples import ARCHITECTURE
from torch import Tensor

from mambascope_trainer.data.tokens import write_rows
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.run.config import RunConfig
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.loop import StopRequest, TrainingLoop
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.base import Stage

STEPS = 14
#: What may differ between a run and its repetition.
MEASURED = ("time", "tokens_per_second")


def write_data(folder: Path) -> Path:
    """train/ (24 rows of 35, two shards) and evaluation/ (7 rows): a token follows from the last, or is random."""
    random = np.random.default_rng(0)
    for name, shards in (("train", [16, 8]), ("evaluation", [7])):
        for index, count in enumerate(shards):
            rows = random.integers(0, ARCHITECTURE.vocab_size, (count, 35))
            for t in range(1, 35):
                follows = random.random(count) < 0.7
                rows[:, t] = np.where(follows, (rows[:, t - 1] * 3 + 7) % ARCHITECTURE.vocab_size, rows[:, t])
            write_rows(folder / name, f"{index}", rows, {"kind": "test"})
    return folder


def run_config(models: Path, data: Path, method: str = "distill", **changes: Any) -> dict[str, Any]:
    """A config as JSON. Checkpoints fall between lines of metrics, windows do not fill the epochs evenly."""
    return {
        "name": "test",
        "method": method,
        "family": "tiny",
        "bundle": [str(models)],
        "layers": [0, 2],
        "data": {"train": str(data / "train"), "evaluation": str(data / "evaluation"), "seq_len": 16},
        "optimiser": {
            "steps": STEPS,
            "batch": 4,
            "accumulate": 2,
            "learning_rate": 3e-3,
            "warmup": 3,
            "weight_decay": 0.1,
        },
        "seed": 3,
        "device": "cpu",
        "log_every": 3,
        "eval_every": 7,
        "eval_batches": 2,
        "checkpoint_every": 5,
        **changes,
    }


def parse(config: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate(config)


def stage_after(config: dict[str, Any], folder: Path) -> tuple[Stage, TrainingLoop]:
    """Train to the end in this process; the stage and the loop as they are then."""
    parsed = parse(config)
    stage = build_stage(parsed)
    loop = TrainingLoop(parsed, RunDirectory.create(folder), stage, StopRequest())
    assert loop.run(resume=False) == "finished"
    return stage, loop


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics, without what is measured by the clock."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in MEASURED} for record in records]


def status(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return document


def final_state(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = RunDirectory(folder).require_checkpoint()["stage"]
    return state


def assert_same_state(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def assert_resumes(config: RunConfig, folder: Path) -> None:
    """A run that goes on from its second checkpoint ends as one that was never stopped, metrics included."""
    whole, part = folder / "whole", folder / "part"
    train(config, whole, resume=False)
    # As if the run had been killed after its second checkpoint: what came later is done again.
    shutil.copytree(whole, part)
    checkpoints = RunDirectory(part).checkpoints()
    assert len(checkpoints) > 1
    for path in checkpoints[1:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    train(config, part, resume=True)
    assert_same_state(final_state(part), final_state(whole))
    assert metrics(part) == metrics(whole)


def frozen_parameters(model: Llama) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if ".mamba." not in name}
