"""Runs killed at any moment, torn checkpoints, both kinds of checkpoints, samples."""

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import start_run
from runs import STEPS, assert_same_state, final_state, metrics, parse, run_config, status, write_data
from samples import write_bundle

from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.run.checkpoint import checkpoint_paths, newest_checkpoint
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.prefetch import Prefetcher
from mambascope_trainer.run.train import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def config_of(models: Path, data: Path, **changes: Any) -> dict[str, Any]:
    return run_config(models, data, **{"pattern": "random", "full_probability": 0.3, **changes})


@pytest.mark.parametrize("sharded", [False, True])
def test_a_run_killed_again_and_again_ends_as_an_unbroken_one(
    models: Path, data: Path, tmp_path: Path, sharded: bool
) -> None:
    """SIGKILL, each time a random while after a checkpoint came, wherever the run then is."""
    config = config_of(models, data, checkpoint={"sharded": sharded}, checkpoint_every=7, eval_every=25)
    config["optimiser"]["steps"] = 100
    folder = tmp_path / "killed"
    chance = random.Random(int(sharded))
    for _ in range(2):
        before = newest_step(folder)
        process = start_run(config, folder, resume=True)
        deadline = time.monotonic() + 120
        while process.is_alive() and newest_step(folder) <= before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.2)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the run was over before it could be killed"
        assert status(folder)["state"] == "running"
    assert train(parse(config), folder, resume=True) == "finished"
    train(parse(config), tmp_path / "whole", resume=False)
    assert metrics(folder) == metrics(tmp_path / "whole")
    assert_same_state(final_state(folder), final_state(tmp_path / "whole"))


def newest_step(folder: Path) -> int:
    paths = checkpoint_paths(folder / "checkpoints")
    return int(paths[-1].name.removesuffix(".pt").removeprefix("step-")) if paths else 0


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def tear(path: Path) -> None:
    """Lose half of a checkpoint's largest file."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    truncate(max(files, key=lambda file: file.stat().st_size))


@pytest.mark.parametrize("sharded", [False, True])
def test_a_torn_checkpoint_is_skipped(models: Path, data: Path, tmp_path: Path, sharded: bool) -> None:
    config = parse(config_of(models, data, checkpoint={"sharded": sharded}))
    train(config, tmp_path / "whole", resume=False)
    folder = shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    older, newest = RunDirectory(folder).checkpoints()
    assert older.is_dir() == newest.is_dir() == sharded
    tear(newest)
    assert RunDirectory(folder).require_checkpoint()["step"] == 10
    assert train(config, folder, resume=True) == "finished"
    log = (folder / "log.txt").read_text()
    assert f"{newest.name} cannot be read and is skipped" in log
    assert "resumed at step 10" in log
    assert metrics(folder) == metrics(tmp_path / "whole")
    assert_same_state(final_state(folder), final_state(tmp_path / "whole"))
    for path in RunDirectory(folder).checkpoints():
        tear(path)
    with pytest.raises(MambascopeError, match="None of the checkpoints"):
        train(config, folder, resume=True)


def test_shards_without_their_list_are_skipped(models: Path, data: Path, tmp_path: Path) -> None:
    train(parse(config_of(models, data, checkpoint={"sharded": True})), tmp_path, resume=False)
    (RunDirectory(tmp_path).checkpoints()[-1] / ".metadata").unlink()
    assert RunDirectory(tmp_path).require_checkpoint()["step"] == 10


def test_both_kinds_hold_the_same_and_one_resumes_the_other(models: Path, data: Path, tmp_path: Path) -> None:
    """A run whose checkpoints become shards, and a file again, is the run that wrote files."""
    for name, kinds in {"files": [False] * 3, "mixed": [False, True, False]}.items():
        for number, sharded in enumerate(kinds):
            config = config_of(models, data, checkpoint={"sharded": sharded, "keep": 10})
            config["optimiser"] |= {"name": "muon", "warmup": 0, "final_fraction": 1.0, "steps": 4 * (number + 1)}
            train(parse(config), tmp_path / name, resume=number > 0)
    folders = [tmp_path / name / "checkpoints" for name in ("files", "mixed")]
    assert [path.name for path in checkpoint_paths(folders[1])] == [
        "step-0000004.pt", "step-0000005", "step-0000008", "step-0000010.pt", "step-0000012.pt",
    ]  # fmt: skip
    states = [newest_checkpoint(folder, print) for folder in folders]
    assert_same_nested(states[1], states[0])
    for path in checkpoint_paths(folders[1])[-2:]:
        path.unlink()
    for path in checkpoint_paths(folders[0])[-2:]:
        path.unlink()
    assert_same_nested(*[newest_checkpoint(folder, print) for folder in folders])


def assert_same_nested(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same_nested(found[key], value)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same_nested(one, other)
    else:
        assert found == expected


def test_checkpoints_without_the_optimiser_are_small_and_said_to_start_it_anew(
    models: Path, data: Path, tmp_path: Path
) -> None:
    sizes = []
    for optimiser in (True, False):
        folder = tmp_path / str(optimiser)
        config = config_of(models, data, checkpoint={"optimiser": optimiser, "keep": 1})
        train(parse(config), folder, resume=False)
        (path,) = RunDirectory(folder).checkpoints()
        sizes.append(path.stat().st_size)
        config["optimiser"]["steps"] = STEPS + 2
        train(parse(config), folder, resume=True)
        assert ("holds no optimiser" in (folder / "log.txt").read_text()) != optimiser
    assert sizes[1] < 0.4 * sizes[0]


def test_samples_by_student_and_teacher(models: Path, data: Path, tmp_path: Path) -> None:
    prompts = ["Once upon a time", "12 little birds"]
    config = config_of(models, data, sample_every=7, samples={"prompts": prompts, "tokens": 5})
    config["optimiser"]["learning_rate"] = 3e-2
    train(parse(config), tmp_path / "run", resume=False)
    records = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert [(r["step"], r["prompt"]) for r in records] == [(step, prompt) for step in (0, 7, 14) for prompt in prompts]
    assert all(r["text"] and r["tokens"] == r["step"] * 64 for r in records)
    for prompt in prompts:
        own = [r for r in records if r["prompt"] == prompt]
        assert len({r["teacher"] for r in own}) == 1
        assert len({r["text"] for r in own}) > 1
    plain = tmp_path / "plain"
    train(parse({**config, "sample_every": 0}), plain, resume=False)
    assert metrics(plain) == metrics(tmp_path / "run"), "sampling changed the training"
    assert not (plain / "samples.jsonl").exists()


def test_samples_need_a_tokenizer(data: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny")
    (tmp_path / "tiny" / "tokenizer.json").unlink()
    config = parse(config_of(tmp_path, data, sample_every=5))
    with pytest.raises(MambascopeError, match="sample_every"):
        train(config, tmp_path / "run", resume=False)


def test_batches_made_ahead_come_in_order_and_bring_their_errors() -> None:
    def make(step: int) -> torch.Tensor:
        if step == 9:
            raise ValueError("no batch 9")
        return torch.tensor([step])

    batches = Prefetcher(make, 4, torch.device("cpu"), ahead=2)
    assert [int(next(batches)) for _ in range(5)] == [4, 5, 6, 7, 8]
    with pytest.raises(ValueError, match="no batch 9"):
        next(batches)
    batches.close()
    endless = Prefetcher(lambda step: torch.tensor([step]), 0, torch.device("cpu"), ahead=2)
    endless.close()
    assert not endless._thread.is_alive()
