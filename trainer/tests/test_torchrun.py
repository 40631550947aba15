"""Runs under torchrun: two processes that train as one, and one that is killed and started again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ranks import assert_same_curve
from runs import parse, run_config, status, write_data

from mambascope_trainer.run.train import train

TRAINER = Path(__file__).parents[1]


@pytest.fixture
def config(models: Path, tmp_path: Path) -> dict[str, Any]:
    config = run_config(models, write_data(tmp_path / "data"), log_every=2, eval_every=4, checkpoint_every=2)
    config["optimiser"] |= {"steps": 7, "accumulate": 1}
    return config


def torchrun(*arguments: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    path = os.pathsep.join([str(TRAINER), str(TRAINER / "tests")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(command, env=environment, check=True, timeout=200)


def test_torchrun(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = ["train", "--config", str(tmp_path / "config.json"), "--run-dir", str(tmp_path / "two")]
    torchrun("-m", "mambascope_trainer", *command)
    train(parse(config), tmp_path / "one", resume=False)
    assert_same_curve(tmp_path / "two", tmp_path / "one")
    assert status(tmp_path / "two")["state"] == "finished"


def test_torchrun_starts_a_run_again_in_which_a_process_was_killed(config: dict[str, Any], tmp_path: Path) -> None:
    config["parallel"] = {"strategy": "fsdp"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torchrun(
        "--max-restarts", "1", str(TRAINER / "tests" / "ranks.py"), str(tmp_path / "config.json"), str(tmp_path / "two")
    )
    log = (tmp_path / "two" / "log.txt").read_text()
    assert "failed: rank 1: " in log
    assert "resumed at step 2" in log
    train(parse(config), tmp_path / "one", resume=False)
    assert_same_curve(tmp_path / "two", tmp_path / "one")
