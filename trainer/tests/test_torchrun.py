"""A run under torchrun, by the command line: a process is killed, all start again, and the two train as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from ranks import assert_same_curve
from runs import parse, run_config, status, write_data

from mambascope_trainer.run.train import train

TESTS = Path(__file__).parent


def test_torchrun_starts_a_run_again_in_which_a_process_was_killed(models: Path, tmp_path: Path) -> None:
    config = run_config(models, write_data(tmp_path / "data"), log_every=2, eval_every=4, checkpoint_every=2)
    config["optimiser"] |= {"steps": 7, "accumulate": 1}
    config["parallel"] = {"strategy": "fsdp"}
    given, folder = tmp_path / "config.json", tmp_path / "two"
    given.write_text(json.dumps(config))
    # The command line, with the fault.
    program = [str(TESTS / "ranks.py"), "train", "--config", str(given), "--run-dir", str(folder)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *torchrun, *program],
        env=environment, timeout=200, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    log = (folder / "log.txt").read_text()
    assert "failed: rank 1: " in log
    assert "resumed at step 2" in log
    assert status(folder)["state"] == "finished"
    train(parse(config), tmp_path / "one", resume=False)
    assert_same_curve(folder, tmp_path / "one")
