"""What the machine is and has: the greeting, GPUs, the disk's free space, the right to write."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import sys
import time
import uuid
from typing import Any, Dict, List, Optional

from .core import PROTOCOL, AgentError, Call, Params, inside, op, os_error, root, set_root
from .identity import boot_id
from .process import execute


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _memory() -> Optional[int]:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _cpus() -> int:
    # Containers and queues give a process fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@op("hello")
def hello(call: Call, params: Params) -> object:
    """Sets the root (made if absent) and tells what the machine is."""
    folder = set_root(params.text("root"))
    return {
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "executable": sys.executable,
        "hostname": socket.gethostname(),
        "boot_id": boot_id(),
        "root": folder,
        "home": os.path.expanduser("~"),
        "user": _user(),
        "cpus": _cpus(),
        "memory": _memory(),
        "platform": platform.platform(),
        "time": time.time(),
        "pid": os.getpid(),
    }


@op("disk")
def disk(call: Call, params: Params) -> object:
    """Free and total bytes of the disk under a path (default: the root)."""
    usage = shutil.disk_usage(inside(params.text("path", ".")))
    return {"free": usage.free, "total": usage.total}


@op("check_write")
def check_write(call: Call, params: Params) -> object:
    """Writes, renames and deletes a small file under the root, as runs will."""
    name = os.path.join(root(), ".write-check-" + uuid.uuid4().hex)
    try:
        with open(name, "wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, name + "-2")
        os.unlink(name + "-2")
    except OSError as error:
        raise os_error(error, "The folder %s cannot be written" % root()) from error
    return None


_QUERY = ["index", "uuid", "name", "memory.total", "memory.free", "utilization.gpu", "driver_version"]


def _number(text: str) -> Optional[float]:
    try:
        return float(text)
    except ValueError:
        # "[N/A]", where a card does not tell.
        return None


def query_gpus(call: Optional[Call] = None) -> List[Dict[str, Any]]:
    """The machine's NVIDIA GPUs; none where nvidia-smi is absent or finds no driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        finished = execute(["nvidia-smi", "--query-gpu=" + ",".join(_QUERY), "--format=csv,noheader,nounits"], call=call, timeout=20)
    except AgentError:
        return []
    if finished.code != 0:
        return []
    gpus = []
    for line in finished.out.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != len(_QUERY) or not fields[0].isdigit():
            continue
        total, free, used = (_number(fields[3]), _number(fields[4]), _number(fields[5]))
        gpus.append(
            {
                "index": int(fields[0]),
                "uuid": fields[1],
                "name": fields[2],
                "memory_bytes": (total or 0) * 1024 * 1024,
                "memory_free_bytes": (free or 0) * 1024 * 1024,
                "utilisation": used,
                "driver": fields[6],
            }
        )
    return gpus


@op("gpus")
def gpus(call: Call, params: Params) -> object:
    """GPUs with their free memory and utilisation."""
    return {"gpus": query_gpus(call)}


@op("slurm")
def slurm(call: Call, params: Params) -> object:
    """SLURM's version and partitions, the default one first; null where there is no sbatch. Raises AgentError `slurm` if it does not answer."""
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        return None
    version = execute(["sbatch", "--version"], call=call, timeout=20).out.strip()
    finished = execute(["sinfo", "--noheader", "--format=%P"], call=call, timeout=30)
    if finished.code != 0:
        reason = (finished.err.strip().splitlines() or ["it gave no reason"])[-1]
        raise AgentError("slurm", "SLURM is installed, but does not answer: %s." % reason.rstrip("."), "Ask the cluster's administrator, or start runs without SLURM.")
    names = list(dict.fromkeys(finished.out.split()))
    names.sort(key=lambda name: not name.endswith("*"))
    return {"version": version.partition(" ")[2] or version, "partitions": [name.rstrip("*") for name in names]}


@op("clock")
def clock(call: Call, params: Params) -> object:
    """The node's time, in seconds since 1970."""
    return {"time": time.time()}
