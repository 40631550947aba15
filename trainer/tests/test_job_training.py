"""Training as a step of a job: stopped, killed, out of space, under torchrun; it ends as an unbroken run."""

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jobs import read_status, run_to_end, start_runner, step, step_process, wait_for, write_job
from runs import assert_same_state, final_state, metrics, parse, run_config, write_data

from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.job.identity import process_start
from mambascope_trainer.run.checkpoint import checkpoint_paths
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.train import train

TRAIN = ["train", "--config", "{run}/config.json", "--run-dir", "{run}", "--resume"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def training_job(root: Path, config: dict[str, Any], **fields: Any) -> Path:
    run = write_job(root, [step("train", TRAIN, **fields)])
    (run / "config.json").write_text(json.dumps(config))
    return run


def reached(run: Path, number: int) -> bool:
    status = read_status(run) or {}
    return status["state"] != "running" or status.get("step", 0) >= number


def checkpointed(run: Path, number: int) -> bool:
    return any(int(path.stem.removeprefix("step-")) >= number for path in checkpoint_paths(run / "checkpoints"))


def test_a_job_stopped_and_killed_in_every_way_trains_as_an_unbroken_run(
    models: Path, data: Path, tmp_path: Path
) -> None:
    config = run_config(models, data, log_every=1, eval_every=120, checkpoint_every=12)
    config["optimiser"]["steps"] = 120
    run = training_job(tmp_path, config)

    # Stopped: the step checkpoints before it ends.
    runner = start_runner(run)
    wait_for("training", lambda: read_status(run) is not None and reached(run, 5))
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 0
    status = read_status(run)
    assert status is not None
    assert (status["state"], status["phase"], status["steps"]) == ("stopped", "train", 120)
    assert 5 <= status["step"] < 120
    assert checkpointed(run, status["step"])
    assert json.loads((run / "step.json").read_text())["state"] == "stopped"

    # The trainer killed, and the last line of metrics torn: the job has failed.
    before = status["step"]
    runner = start_runner(run)
    wait_for("a checkpoint", lambda: checkpointed(run, before + 1))
    os.kill(step_process(runner), signal.SIGKILL)
    assert runner.wait(60) == 1
    status = read_status(run)
    assert status is not None
    assert (status["state"], status["code"]) == ("failed", "step-killed")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')

    # The runner killed: the trainer checkpoints and ends by itself.
    before = status["step"]
    runner = start_runner(run)
    wait_for("training", lambda: reached(run, before + 1) and (read_status(run) or {})["pid"] == runner.pid)
    child = step_process(runner)
    start = process_start(child)
    runner.kill()
    runner.wait(60)
    wait_for("the trainer's end", lambda: process_start(child) != start)
    assert (read_status(run) or {})["state"] == "running"
    assert json.loads((run / "step.json").read_text())["state"] == "stopped"

    assert run_to_end(run)["state"] == "finished"
    train(parse(config), tmp_path / "whole", resume=False)
    assert metrics(run) == metrics(tmp_path / "whole")
    assert_same_state(final_state(run), final_state(tmp_path / "whole"))
    log = (run / "log.txt").read_text()
    assert log.count("train 120/120") == 1, "lines come twice"


def test_a_job_under_torchrun_is_stopped_with_a_checkpoint(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, log_every=1, eval_every=10_000, checkpoint_every=10_000)
    config["optimiser"] |= {"steps": 2000, "accumulate": 1}
    run = training_job(tmp_path, config, processes=2)
    runner = start_runner(run)
    wait_for("training", lambda: read_status(run) is not None and reached(run, 2))
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(100) == 0
    status = read_status(run)
    assert status is not None
    assert status["state"] == "stopped", status
    assert checkpointed(run, status["step"])
    assert "2 processes: ddp" in (run / "log.txt").read_text()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: as a disk that is full for large files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("sharded", [False, True])
def test_a_checkpoint_that_has_no_room_ends_the_run_and_leaves_the_older_one(
    models: Path, data: Path, tmp_path: Path, sharded: bool
) -> None:
    config = run_config(models, data, checkpoint={"sharded": sharded})
    config["optimiser"] |= {"steps": 5, "warmup": 0, "final_fraction": 1.0}
    train(parse(config), tmp_path / "run", resume=False)
    config["optimiser"]["steps"] = 12
    with file_limit(20_000), pytest.raises(MambascopeError, match="could not be written") as caught:
        train(parse(config), tmp_path / "run", resume=True)
    assert caught.value.code == "checkpoint-unwritten"
    assert "resume" in caught.value.action
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status["state"] == "failed"
    assert "step-0000010" in status["message"]
    assert [path.stem for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-0000005"]
    assert train(parse(config), tmp_path / "run", resume=True) == "finished"
    train(parse(config), tmp_path / "whole", resume=False)
    assert_same_state(final_state(tmp_path / "run"), final_state(tmp_path / "whole"))


def test_a_line_that_found_no_room_is_gone_after_a_resume(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    for number in range(3):
        directory.append("metrics.jsonl", {"kind": "train", "step": number})
    whole = (tmp_path / "metrics.jsonl").read_text()
    with file_limit(len(whole) + 9), pytest.raises(OSError, match="large"):
        directory.append("metrics.jsonl", {"kind": "train", "step": 3})
    assert (tmp_path / "metrics.jsonl").read_text() != whole, "nothing of the line was written"
    directory.drop_after(100)
    assert (tmp_path / "metrics.jsonl").read_text() == whole
