"""The runner: its steps, status, progress and lock, with steps that need no training."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobs import CHECKED, ENDLESS, QUICK, read_status, run_to_end, start_runner, step, step_process, wait_for, write_job

from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.job.commands import Command
from mambascope_trainer.job.identity import boot_id, is_alive, own_identity, process_start
from mambascope_trainer.job.plan import Job, JobError, Places, read_job
from mambascope_trainer.job.runner import BEAT
from mambascope_trainer.job.status import RESERVE, JobStatus


def log_of(run: Path) -> str:
    return (run / "log.txt").read_text()


def current(run: Path) -> dict[str, Any]:
    status = read_status(run)
    assert status is not None
    return status


def test_steps_run_in_their_order_and_finished_ones_never_again(models: Path, tmp_path: Path) -> None:
    steps = [step("check", QUICK), step("again", QUICK), step("broken", ["verify", "{run}/no"])]
    run = write_job(tmp_path, steps)
    status = run_to_end(run, models)
    assert status["state"] == "failed"
    assert (status["phase"], status["phase_index"], status["phases"]) == ("broken", 2, 3)
    assert (status["launcher"], status["boot_id"]) == ("process", boot_id())
    assert status["started"] <= status["updated"] <= time.time()
    assert log_of(run).count(CHECKED) == 2
    assert list(json.loads((run / "progress.json").read_text())["steps"]) == ["check", "again"]
    # It failed with what its command said.
    assert status["code"] == "manifest-missing"
    assert str(run / "no") in status["message"]
    assert f"failed: {status['message']} {status['action']}" in log_of(run)

    # Mended, it goes on with the step that failed.
    write_job(tmp_path, [*steps[:2], step("broken", QUICK)])
    status = run_to_end(run, models)
    assert status["state"] == "finished"
    assert "message" not in status
    assert log_of(run).count(CHECKED) == 3
    assert "step 3 of 3: Broken" in log_of(run)
    assert not (run / ".reserve").exists()


def test_wrong_usage_of_a_command_ends_with_a_pointer_to_the_log(tmp_path: Path) -> None:
    status = run_to_end(write_job(tmp_path, [step("check", ["verify", "--all"])]))
    assert status["state"] == "failed"
    assert "exit code 2" in status["message"]
    assert "log.txt" in status["action"]


def test_a_step_whose_result_is_there_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    run = write_job(tmp_path, [step("data", ["verify", "{run}/no"], skip_if="{root}/rows")])
    assert run_to_end(run)["state"] == "finished"
    assert "Data: there already" in log_of(run)


def test_a_stopped_job_goes_on_and_only_one_runner_works_on_it(models: Path, tmp_path: Path) -> None:
    run = write_job(tmp_path, [step("check", QUICK), step("endless", ENDLESS)])
    runner = start_runner(run, models)
    wait_for("the second step", lambda: (read_status(run) or {}).get("phase") == "endless")
    status = current(run)
    assert is_alive(status)
    second = start_runner(run)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"This run is running already (process {runner.pid} on " in said
    wait_for("a sign of life", lambda: current(run)["updated"] > status["updated"], BEAT + 20)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 0
    status = current(run)
    assert (status["state"], status["phase"]) == ("stopped", "endless")
    assert not is_alive(status)
    write_job(tmp_path, [step("check", ["verify", "{run}/no"]), step("endless", QUICK)])
    assert run_to_end(run, models)["state"] == "finished"


def test_a_killed_runner_takes_its_step_along(models: Path, tmp_path: Path) -> None:
    run = write_job(tmp_path, [step("endless", ENDLESS)])
    runner = start_runner(run)
    child = step_process(runner)
    start = process_start(child)
    runner.kill()
    runner.wait(60)
    wait_for("the step's end", lambda: process_start(child) != start)
    assert current(run)["state"] == "running"
    assert not is_alive(current(run))
    write_job(tmp_path, [step("endless", QUICK)])
    assert run_to_end(run, models)["state"] == "finished"


def test_a_step_that_was_killed_is_said_to_be(tmp_path: Path) -> None:
    run = write_job(tmp_path, [step("endless", ENDLESS)])
    runner = start_runner(run)
    os.kill(step_process(runner), signal.SIGKILL)
    assert runner.wait(60) == 1
    assert current(run)["code"] == "step-killed"
    assert "memory" in current(run)["message"]


def test_a_second_signal_ends_a_step_that_does_not_end(tmp_path: Path) -> None:
    # torchrun would wait for its processes; here, none of its processes has begun to listen to signals.
    run = write_job(tmp_path, [step("endless", ENDLESS, processes=2)])
    runner = start_runner(run)
    child = step_process(runner)
    start = process_start(child)
    os.kill(child, signal.SIGSTOP)
    runner.send_signal(signal.SIGTERM)
    wait_for("the note", lambda: "asked to checkpoint" in log_of(run))
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 0
    assert process_start(child) != start
    assert (current(run)["state"], current(run)["message"]) == ("stopped", "It was ended at once.")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"steps": []}, "steps"),
        ({"extra": 1}, "extra"),
        ({"version": 2}, "version"),
        ({"steps": [step("one", QUICK), step("one", QUICK)]}, "same name"),
        ({"steps": [step("one", ["{home}/x"])]}, "{home}"),
        ({"launcher": {"kind": "rocket"}}, "rocket"),
    ],
)
def test_a_job_that_cannot_be_used_says_why(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    run = write_job(tmp_path, **{"steps": [step("data", QUICK)], **change})  # type: ignore[arg-type]

    def read() -> None:
        job = read_job(run / "job.json")
        Command(job.steps[0], job, Places(run, tmp_path, tmp_path, tmp_path), run / "error", {})

    with pytest.raises(JobError, match=problem):
        read()


def test_a_broken_job_file_ends_as_failed(tmp_path: Path) -> None:
    run = write_job(tmp_path, [step("data", QUICK)])
    (run / "job.json").write_text('{"version": 1')
    status = run_to_end(run)
    assert (status["state"], status["code"]) == ("failed", "job-invalid")


def command_of(launcher: dict[str, object], fields: dict[str, object], environment: dict[str, str]) -> Command:
    document = {
        "version": 1, "id": "r", "name": "r", "created": 1, "family": "f",
        "steps": [step("train", ["train", "--run-dir", "{run}"], **fields)], "launcher": launcher,
    }  # fmt: skip
    job = Job.model_validate({**document, "created": 1.0})
    return Command(job.steps[0], job, Places(*[Path("/x")] * 4), Path("/x/e"), environment)


def test_several_processes_run_under_torchrun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    process: dict[str, object] = {"kind": "process", "gpus": "all"}
    plain = command_of(process, {"processes": "gpu"}, {"CUDA_VISIBLE_DEVICES": ""})
    assert plain.argv[1:] == ["-m", "mambascope_trainer", "train", "--run-dir", "/x"]
    assert "OMP_NUM_THREADS" not in plain.environment
    several = command_of(process, {"processes": "gpu"}, {"CUDA_VISIBLE_DEVICES": "2,3"})
    assert several.argv[1:8] == [
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "0",
    ]  # fmt: skip
    assert int(several.environment["OMP_NUM_THREADS"]) >= 1
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\necho localhost\necho other\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    slurm = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "41007", "SLURM_JOB_NODELIST": "n[1-2]"}
    hosts = command_of({"kind": "slurm", "nodes": 2, "gpusPerNode": 1}, {"processes": 1}, slurm)
    line = " ".join(hosts.argv)
    assert line.startswith("srun --nodes 2 --ntasks 2 --ntasks-per-node 1 ")
    assert "--nnodes 2 --rdzv-backend c10d --rdzv-endpoint localhost:21007 --rdzv-id 41007 --nproc-per-node 1" in line


def test_a_pid_used_again_is_another_process() -> None:
    mine = own_identity()
    assert is_alive(mine)
    assert not is_alive({**mine, "pid_start": "1"})
    assert not is_alive({**mine, "boot_id": "another"})
    assert not is_alive({**mine, "host": "elsewhere"})
    ended = subprocess.Popen(["true"])
    start = process_start(ended.pid)
    wait_for("its end", lambda: process_start(ended.pid) is None)
    assert not is_alive({**mine, "pid": ended.pid, "pid_start": start})
    ended.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB; the test is skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 256):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return path


def test_a_full_disk_ends_the_run_with_a_message_and_it_goes_on_when_there_is_space(small_disk: Path) -> None:
    stories = ["generate", "--kind", "grammar", "--out", "{run}/stories.jsonl", "--rows"]
    run = write_job(small_disk, [step("data", [*stories, "20000"])])
    status = run_to_end(run)
    assert (status["state"], status["code"]) == ("failed", "disk-full")
    assert "disk is full" in status["message"]
    write_job(small_disk, [step("data", [*stories, "20"])])
    assert run_to_end(run)["state"] == "finished"


def test_the_reserve_lets_a_run_on_a_full_disk_say_so(small_disk: Path) -> None:
    status = JobStatus(small_disk, {"phase": "train"})
    status.reserve()
    assert (small_disk / ".reserve").stat().st_size == RESERVE
    status.write("running")
    fill(small_disk)
    status.write("failed", message="x" * 3000)
    assert json.loads((small_disk / "status.json").read_text())["state"] == "failed"
    # Without a reserve the old status stays whole.
    fill(small_disk)
    with pytest.raises(OSError, match="No space"):
        status.write("running", message="x" * 100_000)
    assert json.loads((small_disk / "status.json").read_text())["state"] == "failed"


def test_errors_of_the_operating_system_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MambascopeError, match="There is no"):
        read_job(tmp_path / "job.json")
