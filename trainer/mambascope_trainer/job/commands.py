"""A step as a command: this Python alone, under torchrun, or one torchrun a host under SLURM."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..errors import MambascopeError
from ..run.supervised import ERROR_FILE, JOB
from .plan import Job, Places, Step

PACKAGE = "mambascope_trainer"

#: Seconds before a SLURM job's end that count as near: SLURM may warn a minute earlier than it was told to.
NEAR = 240

#: Seconds that torchrun gives its processes to checkpoint after a signal.
SHUTDOWN = 900


def count_gpus(environment: Mapping[str, str]) -> int:
    """The GPUs that a step sees: those of CUDA_VISIBLE_DEVICES, or all that the driver lists."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() and name.strip() != "-1"])
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0


class Command:
    """argv: what to start; environment: its variables; torchrun: whether its processes are torchrun's children."""

    def __init__(self, step: Step, job: Job, places: Places, error_file: Path, environment: Mapping[str, str]) -> None:
        arguments = [places.fill(word) for word in step.argv]
        hosts = int(environment.get("SLURM_JOB_NUM_NODES", "1")) if job.launcher.kind == "slurm" else 1
        gpus = count_gpus(environment) if step.processes == "gpu" else 0
        processes = max(1, gpus) if step.processes == "gpu" else step.processes
        self.hosts = hosts if step.argv[0] == "train" else 1
        self.torchrun = self.hosts > 1 or processes > 1
        restarts = "3" if job.launcher.kind == "slurm" else "0"
        if self.hosts > 1:
            self.argv = [*_srun(self.hosts, environment), *_rendezvous(self.hosts, environment)]
        elif self.torchrun:
            self.argv = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        else:
            self.argv = [sys.executable]
        if self.torchrun:
            self.argv += ["--nproc-per-node", str(processes), "--max-restarts", restarts]
        self.argv += ["-m", PACKAGE, *arguments]
        trainer = str(places.folders["trainer"])
        self.environment = {
            **environment,
            JOB: "1",
            ERROR_FILE: str(error_file),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [trainer, environment.get("PYTHONPATH", "")])),
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN),
        }
        if processes > 1:
            # The processes share the host's cores; torchrun's own default is one thread each.
            self.environment.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // processes)))


def _srun(hosts: int, environment: Mapping[str, str]) -> list[str]:
    cores = environment.get("SLURM_CPUS_PER_TASK")
    task = ["--cpus-per-task", cores] if cores else []
    return ["srun", "--nodes", str(hosts), "--ntasks", str(hosts), "--ntasks-per-node", "1", *task, sys.executable]


def _rendezvous(hosts: int, environment: Mapping[str, str]) -> list[str]:
    job = environment["SLURM_JOB_ID"]
    # Two jobs of one host get two ports.
    endpoint = f"{_first_host(environment['SLURM_JOB_NODELIST'])}:{20000 + int(job) % 10000}"
    return [
        "-m", "torch.distributed.run", "--nnodes", str(hosts), "--rdzv-backend", "c10d",
        "--rdzv-endpoint", endpoint, "--rdzv-id", job,
    ]  # fmt: skip


def _first_host(nodes: str) -> str:
    """The first host of a job, on which this runs, under a name that the others can look up."""
    try:
        done = subprocess.run(
            ["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True, timeout=60
        )
        first = done.stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise MambascopeError(
            "slurm-silent", f"SLURM does not say which hosts the job has: {error}.", "Resume the run."
        ) from None
    try:
        socket.getaddrinfo(first, None)
    except OSError:
        return socket.gethostname()  # node names that are not host names
    return first


def nears_time_limit(environment: Mapping[str, str]) -> bool:
    """Whether this is a SLURM job with little time left: then the signal that ended it was its warning."""
    if "SLURM_JOB_ID" not in environment:
        return False
    argv = ["squeue", "--noheader", f"--jobs={environment['SLURM_JOB_ID']}", "--format=%T %e"]
    try:
        variables = {**environment, "SLURM_TIME_FORMAT": "%s"}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20, env=variables)
        state, end = done.stdout.split()
        # A job that was cancelled has an end as well, which is now.
        return state == "RUNNING" and float(end) - time.time() < NEAR
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
