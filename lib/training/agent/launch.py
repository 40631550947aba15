"""Starts, stops and kills runs on this machine or through SLURM. What runs is the trainer's `job` command, in the run directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from typing import Any, Dict, Iterator, List

from . import slurm, slurm_follow
from .core import AgentError, Call, Params, inside, liveness_probe, op, root
from .identity import family_of, identity_of, liveness, process_start
from .run_folder import RUN_ID, launch_of, read_object, replace_object, run_folder, said_last, write_status

# Seconds in which the runner must have said that it runs, has ended after its last status, and a killed one is gone.
START_SECONDS = 25.0
END_SECONDS = 8.0
KILL_SECONDS = 10.0


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Two dashboards that launch one run wait for each other, and the second one sees that it runs."""
    with open(os.path.join(folder, "launch.lock"), "w") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def liveness_of_launches(launches: Dict[str, Dict[str, Any]]) -> Dict[str, str]:
    """Whether runs live, by run id; SLURM is asked once for all."""
    jobs = {run: record for run, record in launches.items() if record.get("kind") == "slurm"}
    found = {run: liveness(record) for run, record in launches.items() if run not in jobs}
    return {**found, **(slurm_follow.follow(jobs) if jobs else {})}


liveness_probe(liveness_of_launches)


def _absolute(params: Params, name: str) -> str:
    path = params.text(name)
    if not os.path.isabs(path) or "\0" in path:
        raise AgentError("bad-request", "%s must be an absolute path." % name)
    return path


@op("launch")
def launch(call: Call, params: Params) -> object:
    """Starts a run, or goes on with it. Gives its launch.json. Raises AgentError `run-busy`, `launch-failed`, `slurm-…`.

    run: its id; python, trainer, shipped: absolute paths (interpreter, the folder of the package, the bundles that ship);
    launcher: as in job.json.
    """
    run = params.text("run")
    folder = run_folder(run)
    launcher = params.table("launcher")
    python, trainer, shipped = (_absolute(params, name) for name in ("python", "trainer", "shipped"))
    if not os.access(python, os.X_OK):
        raise AgentError("launch-failed", "There is no Python at %s." % python, "Prepare this node again.")
    with _alone(folder):
        if not _has_ended(folder):
            raise AgentError("run-busy", "This run is running already.", "Stop it first, or wait until it has ended.")
        if launcher.get("kind") == "slurm":
            options = slurm.options_of(launcher)
            write_status(folder, "queued", "slurm")
            try:
                job = slurm.submit(folder, options, [python, folder, root(), shipped, trainer])
            except AgentError as error:
                write_status(folder, "failed", "slurm", message=error.message, action=error.action, code=error.code)
                raise
            record: Dict[str, Any] = {"kind": "slurm", "job_id": job, "time": time.time()}
            replace_object(os.path.join(folder, "launch.json"), record)
            return record
        write_status(folder, "queued", "process")
        return _start(folder, launcher, python, trainer, shipped)


def _has_ended(folder: str) -> bool:
    """Whether nothing of an earlier launch runs; one that has stopped is waited for, it ends by itself."""
    deadline = time.monotonic() + END_SECONDS
    while _lives_now(launch_of(folder)):
        state = read_object(os.path.join(folder, "status.json")).get("state")
        if state == "running" or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _lives_now(record: Dict[str, Any]) -> bool:
    if record.get("kind") != "slurm":
        return liveness(record) == "alive"
    return slurm.lives(record["job_id"])


def _start(folder: str, launcher: Dict[str, Any], python: str, trainer: str, shipped: str) -> Dict[str, Any]:
    """The runner as a process of its own session, that outlives the agent."""
    argv = [python, "-m", "mambascope_trainer", "job", "--run", folder, "--root", root(), "--shipped", shipped]
    environment = {**os.environ, "PYTHONPATH": trainer, **_visible(launcher.get("gpus", "all"))}
    with open(os.path.join(folder, "runner.log"), "ab") as output:
        begin = output.tell()
        try:
            child = subprocess.Popen(
                argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            _failed(folder, "Python at %s cannot be started: %s." % (python, error.strerror or error))
    record = {"kind": "process", **identity_of(child.pid), "time": time.time(), "argv": argv, "gpus": launcher.get("gpus", "all")}
    replace_object(os.path.join(folder, "launch.json"), record)
    deadline = time.monotonic() + START_SECONDS
    status = os.path.join(folder, "status.json")
    while read_object(status).get("state") == "queued" and time.monotonic() < deadline:
        if child.poll() is not None and read_object(status).get("state") == "queued":
            _failed(folder, "The run ended before it began: %s." % said_last(folder, begin))
        time.sleep(0.05)
    # Nobody else takes note of its end, and without that it would stay in the table of processes.
    threading.Thread(target=child.wait, daemon=True).start()
    return record


def _failed(folder: str, message: str) -> None:
    action = "Prepare this node again, or see runner.log in the run's folder."
    write_status(folder, "failed", "process", message=message, action=action, code="launch-failed")
    raise AgentError("launch-failed", message, action)


def _visible(gpus: Any) -> Dict[str, str]:
    """The environment in which a program sees these GPUs alone, numbered as nvidia-smi does."""
    if gpus == "all":
        return {}
    if gpus == "none":
        return {"CUDA_VISIBLE_DEVICES": ""}
    if not isinstance(gpus, list) or not gpus or not all(isinstance(gpu, int) and 0 <= gpu < 1024 for gpu in gpus):
        raise AgentError("bad-request", "launcher.gpus must be all, none or a list of numbers.")
    return {"CUDA_VISIBLE_DEVICES": ",".join(str(gpu) for gpu in gpus), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _running(params: Params) -> "tuple[str, Dict[str, Any]]":
    """The folder and launch.json of a run that lives, as far as can be told."""
    run = params.text("run")
    folder = run_folder(run)
    record = launch_of(folder)
    found = liveness_of_launches({run: record})[run] if record else "gone"
    if found == "gone":
        raise AgentError("not-running", "This run is not running.", "Reload the page.")
    if found == "unknown" and record.get("kind") == "process":
        raise AgentError("other-host", "This run is on the host %s." % record.get("host"), "Add that host as a node.")
    return folder, record


@op("stop")
def stop(call: Call, params: Params) -> object:
    """Asks a run to checkpoint and end; it says in its status when it has. Raises AgentError `not-running`, `slurm-silent`."""
    folder, record = _running(params)
    if record["kind"] == "slurm":
        taken = slurm.stop(call, record["job_id"])
        slurm_follow.changed()
        if taken:
            write_status(folder, "stopped", "slurm", message="It was taken from the queue before it began.")
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record["pid"], signal.SIGTERM)
    return None


@op("kill")
def kill(call: Call, params: Params) -> object:
    """Ends a run at once, with all that it started. Raises AgentError `not-running`, `kill-failed`, `slurm-silent`."""
    folder, record = _running(params)
    if record["kind"] == "slurm":
        slurm.cancel(call, record["job_id"])
        deadline = time.monotonic() + KILL_SECONDS
        while slurm.lives(record["job_id"]) and time.monotonic() < deadline:
            time.sleep(0.5)
        slurm_follow.changed()
    else:
        _kill_family(record["pid"], record["pid_start"])
    if read_object(os.path.join(folder, "status.json")).get("state") != "finished":
        write_status(folder, "stopped", record["kind"], message="It was killed: resume goes on from the last checkpoint.")
    return None


def _kill_family(pid: int, start: str) -> None:
    deadline = time.monotonic() + KILL_SECONDS
    known: Dict[int, Any] = {}
    while time.monotonic() < deadline:
        if process_start(pid) == start:
            known.update({member: process_start(member) for member in family_of(pid)})
        left = [member for member, began in known.items() if began is not None and process_start(member) == began]
        if not left:
            return
        for member in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        time.sleep(0.05)
    raise AgentError("kill-failed", "Processes of the run do not end.", "Look at the node: a disk or a GPU may not answer.")


@op("gpu_use")
def gpu_use(call: Call, params: Params) -> object:
    """The GPUs that runs started here as processes have: [{"run", "gpus": "all" | [numbers]}]."""
    folder = inside("runs") if os.path.isdir(os.path.join(root(), "runs")) else None
    launches = {run: launch_of(os.path.join(folder, run)) for run in os.listdir(folder) if RUN_ID.fullmatch(run)} if folder else {}
    processes = {run: record for run, record in launches.items() if record.get("kind") == "process" and record.get("gpus") != "none"}
    uses: List[Dict[str, Any]] = []
    for run, found in liveness_of_launches(processes).items():
        if found == "alive":
            uses.append({"run": run, "gpus": processes[run].get("gpus", "all")})
    return {"uses": uses}
