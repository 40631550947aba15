"""SLURM by its own programs: sbatch, squeue, scontrol, sacct, scancel. Argument lists only; the batch script is constant."""

from __future__ import annotations

import getpass
import os
import re
from typing import Any, Dict, List, Optional

from .core import AgentError, Call
from .process import Finished, execute

# Positional arguments carry all that varies. The runner takes the shell's place, so that SLURM's signals reach it.
SCRIPT = """#!/bin/sh
# Arguments: Python, the run directory, the node's folder, the bundles that ship, the trainer.
PYTHONPATH="$5"
export PYTHONPATH
exec "$1" -m mambascope_trainer job --run "$2" --root "$3" --shipped "$4"
"""

# Seconds before its time limit at which a job is told to checkpoint; of a short limit, a quarter.
WARNING_SECONDS = 120
TIMEOUT = 20.0

_NAME = r"[A-Za-z0-9_.,:@=+&|*!()\[\]][A-Za-z0-9_.,:@=+&|*!()\[\]-]{0,119}"
_TEXT_OPTIONS = {
    "partition": ("--partition", _NAME),
    "account": ("--account", _NAME),
    "qos": ("--qos", _NAME),
    "constraint": ("--constraint", _NAME),
    "time": ("--time", r"(\d+-)?\d{1,3}:\d{2}:\d{2}"),
    "memory": ("--mem", r"\d+[KMGT]?"),
}
_NUMBER_OPTIONS = {"nodes": "--nodes", "cpusPerTask": "--cpus-per-task", "gpusPerNode": "--gpus-per-node"}

_ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT")


def options_of(launcher: Dict[str, Any]) -> List[str]:
    """sbatch's options for a launcher as in job.json. Raises AgentError `bad-request`."""
    options = ["--ntasks-per-node=1"]
    for name, value in launcher.items():
        if name == "kind" or value is None:
            continue
        if name in _TEXT_OPTIONS and isinstance(value, str) and re.fullmatch(_TEXT_OPTIONS[name][1], value):
            options.append("%s=%s" % (_TEXT_OPTIONS[name][0], value))
        elif name in _NUMBER_OPTIONS and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 4096:
            # Zero GPUs: SLURM without GPUs knows no such option.
            if value:
                options.append("%s=%d" % (_NUMBER_OPTIONS[name], value))
        else:
            raise AgentError("bad-request", "SLURM's %s cannot be %r." % (name, value), "Correct it in the launcher's fields.")
    return [*options, "--signal=B:TERM@%d" % min(WARNING_SECONDS, _seconds(launcher.get("time")) // 4)]


def _seconds(limit: Optional[str]) -> int:
    """A time limit, D-HH:MM:SS or HH:MM:SS, in seconds; none counts as long."""
    if limit is None:
        return 24 * 3600
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _run(argv: List[str], call: Optional[Call] = None) -> Finished:
    """One of SLURM's programs. Raises AgentError `slurm-missing`, `slurm-silent`."""
    # Names and times as they are documented, whatever the user has set.
    env = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
    try:
        return execute(argv, call=call, timeout=TIMEOUT, env=env)
    except AgentError as error:
        if error.code == "missing":
            raise AgentError("slurm-missing", "This node has no %s." % argv[0], "Choose another launcher, or a login node of the cluster.") from error
        if error.code == "timeout":
            raise silent("%s did not answer within %d seconds" % (argv[0], TIMEOUT)) from error
        raise


def silent(why: str) -> AgentError:
    return AgentError("slurm-silent", "SLURM does not answer: %s." % why, "Runs go on meanwhile. Try again later, or ask the cluster's administrators.")


def _said(done: Finished) -> str:
    lines = [line.strip() for line in (done.err or done.out).splitlines() if line.strip()]
    text = "; ".join(re.sub(r"^\w+: (error|fatal): ", "", line) for line in lines[-3:]) or "exit code %d" % done.code
    return text.rstrip(".")


def _is_silent(done: Finished) -> bool:
    return done.code != 0 and bool(re.search(r"[Uu]nable to contact|[Cc]onnection refused|timed out|Communication|not responding|configuration source", done.err))


def submit(folder: str, options: List[str], arguments: List[str]) -> int:
    """Submits a run; the job's id. Raises AgentError `slurm-refused`, `slurm-silent`, `slurm-missing`."""
    script = os.path.join(folder, "job.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT)
    argv = [
        "sbatch", "--parsable", "--export=ALL", "--requeue", "--open-mode=append", "--output=runner.log",
        "--job-name=" + os.path.basename(folder), "--chdir=" + folder,
    ]  # fmt: skip
    # Not cancelled with the call: a job whose id nobody learns would run unseen.
    done = _run([*argv, *options, script, *arguments])
    if _is_silent(done):
        raise silent(_said(done))
    match = re.match(r"(\d+)", done.out.strip().splitlines()[-1]) if done.code == 0 and done.out.strip() else None
    if match is None:
        raise AgentError("slurm-refused", "SLURM does not take the job: %s." % _said(done), "Correct the launcher's fields and launch again.")
    return int(match[1])


def queued_jobs() -> Optional[Dict[int, Dict[str, str]]]:
    """The user's jobs that wait or run, by id; None if SLURM does not answer."""
    try:
        done = _run(["squeue", "--noheader", "--states=all", "--user=" + getpass.getuser(), "--format=%A|%T|%r"])
    except AgentError:
        return None
    if done.code != 0:
        return None
    found = {}
    for line in done.out.splitlines():
        fields = line.strip().split("|")
        if len(fields) == 3 and fields[0].isdigit() and fields[1] not in _ENDED:
            found[int(fields[0])] = {"state": fields[1], "reason": fields[2]}
    return found


def state_of_ended(job: int) -> Optional[str]:
    """How a job ended, in SLURM's word: the controller knows it for minutes, the accounting (where there is one) for good."""
    try:
        done = _run(["scontrol", "--oneliner", "show", "job", str(job)])
        found = re.search(r"(?:^|\s)JobState=(\w+)", done.out) if done.code == 0 else None
        if found:
            return found[1]
        done = _run(["sacct", "--noheader", "--parsable2", "--allocations", "--jobs=%d" % job, "--format=State"])
    except AgentError:
        return None
    found = re.match(r"\w+", done.out) if done.code == 0 else None
    return found[0] if found else None


def lives(job: int) -> bool:
    """Whether a job waits or runs at this moment. Raises AgentError `slurm-silent`."""
    return job in _queue_now()


def _queue_now() -> Dict[int, Dict[str, str]]:
    queue = queued_jobs()
    if queue is None:
        raise silent("squeue failed")
    return queue


def stop(call: Call, job: int) -> bool:
    """Asks a running job to checkpoint; a waiting one is taken from the queue, and True is given."""
    if _queue_now().get(job, {}).get("state") == "PENDING":
        # Only if it still waits: it may start at this moment.
        _signal(call, ["--state=PENDING", str(job)])
        if not lives(job):
            return True
    _signal(call, ["--batch", "--signal=TERM", str(job)])
    return False


def cancel(call: Call, job: int) -> None:
    """Ends a job at once."""
    _signal(call, ["--signal=KILL", "--full", str(job)])
    _signal(call, [str(job)])


def _signal(call: Call, arguments: List[str]) -> None:
    done = _run(["scancel", *arguments], call)
    # A job that has ended meanwhile needs no signal.
    if done.code != 0 and not re.search("Invalid job id|already completing|No active jobs", done.err):
        raise silent(_said(done))
