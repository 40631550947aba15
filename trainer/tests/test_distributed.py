"""Two processes train as one does: replicas and shards, both optimisers, checkpoints of one resumed by the other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import assert_same_curve, die, fail, run_ranks, stop
from runs import parse, run_config, status, write_data
from samples import ARCHITECTURE

from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.distributed import Ranks
from mambascope_trainer.run.loop import StopRequest, TrainingLoop
from mambascope_trainer.run.train import build_stage, train

STEPS = 7


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def config_of(models: Path, data: Path, case: str, strategy: str, **optimiser: Any) -> dict[str, Any]:
    config = run_config(models, data, parallel={"strategy": strategy}, log_every=2, eval_every=4, **CASES[case])
    config["optimiser"] |= {"steps": STEPS, "accumulate": 1, **optimiser}
    return config


CASES: dict[str, dict[str, Any]] = {
    "random pattern": {
        "pattern": "random",
        "full_probability": 0.3,
        "loss": {"alpha": 0.2},
        "sample_every": 4,
        "samples": {"prompts": ["Once"], "tokens": 3},
    },
    "activations made again": {"checkpoint_activations": "layers", "mixer": {"codec": "q8_0"}},
    "align": {"method": "align"},
    "orient": {"method": "orient"},
    "pretrain": {"method": "pretrain", "layers": [], "architecture": ARCHITECTURE.to_json()},
}


@pytest.mark.parametrize(
    ("case", "strategy", "optimiser"),
    [
        ("random pattern", "ddp", "adamw"),
        ("random pattern", "fsdp", "muon"),
        ("activations made again", "fsdp", "adamw"),
        ("pretrain", "fsdp", "adamw"),
    ],
)
def test_two_processes_train_as_one(
    models: Path, data: Path, tmp_path: Path, case: str, strategy: str, optimiser: str
) -> None:
    config = config_of(models, data, case, strategy, name=optimiser)
    assert run_ranks(config, tmp_path / "two") == [0, 0]
    assert f"2 processes: {strategy}" in (tmp_path / "two" / "log.txt").read_text()
    train(parse({**config, "checkpoint_activations": "none"}), tmp_path / "one", resume=False)
    assert_same_curve(tmp_path / "two", tmp_path / "one")
    if config.get("sample_every"):
        samples = [(tmp_path / name / "samples.jsonl").read_text().splitlines() for name in ("two", "one")]
        assert len(samples[0]) == len(samples[1]) == 3
        texts = [[json.loads(line)["text"] for line in lines] for lines in samples]
        assert texts[0] == texts[1]


@pytest.mark.parametrize(("case", "strategy", "optimiser"), [("align", "ddp", "muon"), ("orient", "fsdp", "adamw")])
def test_losses_relative_to_a_micro_batch_are_those_of_as_many_micro_batches(
    models: Path, data: Path, tmp_path: Path, case: str, strategy: str, optimiser: str
) -> None:
    config = config_of(models, data, case, strategy, name=optimiser)
    assert run_ranks(config, tmp_path / "two") == [0, 0]
    config["optimiser"]["accumulate"] = 2
    train(parse(config), tmp_path / "one", resume=False)
    assert_same_curve(tmp_path / "two", tmp_path / "one", ("train",))


def test_a_checkpoint_is_resumed_by_any_number_of_processes(models: Path, data: Path, tmp_path: Path) -> None:
    """One file -> two shards -> two replicas -> one process, stopped by a signal to either rank."""
    folder = tmp_path / "run"
    config = config_of(models, data, "random pattern", "fsdp", name="muon") | {"checkpoint_every": 100}
    whole = parse(config)
    train(whole, tmp_path / "one", resume=False)
    part = TrainingLoop(whole, RunDirectory.create(folder), build_stage(whole), StopRequest())
    part.config.optimiser.steps = STEPS  # the schedule is the whole run's
    part.stop.signal = None
    steps = iter(range(2))
    plain = part._step
    part._step = lambda batch: plain(batch) if next(steps) == 0 else _stop_after(part, plain, batch)  # type: ignore[method-assign]
    assert part.run(resume=False) == "stopped"
    assert [path.name for path in RunDirectory(folder).checkpoints()] == ["step-0000002.pt"]
    assert run_ranks(config, folder, resume=True, event=(1, 3, stop)) == [0, 0]
    assert status(folder)["step"] == 4
    assert RunDirectory(folder).checkpoints()[-1].is_dir()
    config["parallel"]["strategy"] = "ddp"
    assert run_ranks(config, folder, resume=True, event=(0, 5, stop)) == [0, 0]
    assert (status(folder)["state"], status(folder)["step"]) == ("stopped", 6)
    assert train(parse(config), folder, resume=True) == "finished"
    assert_same_curve(folder, tmp_path / "one")


def _stop_after(loop: TrainingLoop, step: Any, batch: Any) -> torch.Tensor:
    norm: torch.Tensor = step(batch)
    loop.stop.signal = "SIGTERM"
    return norm


@pytest.mark.parametrize("event", [(1, 3, fail), (0, 3, fail), (1, 3, die)])
def test_a_failure_in_one_process_ends_all_and_is_told(models: Path, data: Path, tmp_path: Path, event: Any) -> None:
    codes = run_ranks(config_of(models, data, "random pattern", "ddp"), tmp_path, event=event)
    assert all(codes)
    said = status(tmp_path)
    assert (said["state"], said["step"]) == ("failed", 3)
    assert said["message"].startswith(f"rank {event[0]}: ")
    assert ("the sky fell" if event[2] is fail else "stopped answering") in said["message"]
    assert said["message"] in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(("world", "strategy", "words"), [(3, "ddp", "batch is 4"), (2, "none", "parallel.strategy")])
def test_a_run_that_cannot_be_divided_says_so(
    models: Path, data: Path, tmp_path: Path, world: int, strategy: str, words: str
) -> None:
    config = parse(config_of(models, data, "random pattern", strategy))
    with pytest.raises(Exception, match=words):
        TrainingLoop(config, RunDirectory.create(tmp_path), build_stage(config), StopRequest(), Ranks(world=world))
