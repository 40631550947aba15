"""Jobs of tests: run directories with a job.json, and runners in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mambascope_trainer.job.identity import children

TRAINER = Path(__file__).parents[1]

#: One step checks a bundle, without PyTorch; one waits for a config that nobody writes (`write_job` makes it a pipe).
QUICK = ["verify", "{shipped}/tiny"]
ENDLESS = ["train", "--config", "{run}/pipe.json", "--run-dir", "{run}"]
#: What QUICK prints.
CHECKED = "All files are there and whole."


def step(name: str, argv: list[str], **fields: Any) -> dict[str, Any]:
    return {"name": name, "title": name.title(), "argv": argv, **fields}


def write_job(root: Path, steps: list[dict[str, Any]], name: str = "run", **changes: Any) -> Path:
    """`<root>/runs/<name>` with a job.json."""
    run = root / "runs" / name
    run.mkdir(parents=True, exist_ok=True)
    document = {
        "version": 1, "id": name, "name": "A run", "created": 1.5, "family": "tiny", "preset": None, "steps": steps,
        "launcher": {"kind": "process", "gpus": "none"}, **changes,
    }  # fmt: skip
    (run / "job.json").write_text(json.dumps(document))
    if not (run / "pipe.json").exists():
        os.mkfifo(run / "pipe.json")
    return run


def start_runner(run: Path, shipped: Path | None = None) -> subprocess.Popen[str]:
    """The runner, as a launch starts it."""
    environment = {**os.environ, "PYTHONPATH": str(TRAINER), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mambascope_trainer", "job", "--run", str(run)]
    command += ["--shipped", str(shipped)] if shipped else []
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def run_to_end(run: Path, shipped: Path | None = None) -> dict[str, Any]:
    """Run a job; its last status."""
    runner = start_runner(run, shipped)
    said, _ = runner.communicate(timeout=180)
    status = read_status(run)
    assert status is not None, said
    assert runner.returncode == int(status["state"] == "failed"), said
    return status


def read_status(run: Path) -> dict[str, Any] | None:
    path = run / "status.json"
    if not path.exists():
        return None
    status: dict[str, Any] = json.loads(path.read_text())
    return status


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} does not happen"
        time.sleep(0.02)


def step_process(runner: subprocess.Popen[str]) -> int:
    """The process of the step that runs."""
    found: list[int] = []

    def started() -> bool:
        found[:] = children(runner.pid)
        return bool(found)

    wait_for("the start of a step", started)
    return found[0]
