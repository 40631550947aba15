"""Which process a pid means: with its start and the machine's boot, a number used again is another process."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any


def process_start(pid: int) -> str | None:
    """When the process began (clock ticks since boot on Linux, a date elsewhere); None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _ps_start(pid)
    # The command's name, in parentheses, may hold anything; a zombie (Z) has ended.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _ps_start(pid: int) -> str | None:
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()) or None


def boot_id() -> str:
    """A name of the time since the machine started; empty if the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        pass
    try:
        return subprocess.run(["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def own_identity() -> dict[str, Any]:
    """This process, as status.json and the lock name it: host, boot_id, pid, pid_start."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot_id": boot_id(), "pid": pid, "pid_start": process_start(pid)}


def is_alive(identity: dict[str, Any]) -> bool:
    """Whether the process that `own_identity` described still runs here; false for another host's or boot's."""
    if identity.get("host") != socket.gethostname() or identity.get("boot_id") != boot_id():
        return False
    pid, start = identity.get("pid"), identity.get("pid_start")
    return isinstance(pid, int) and start is not None and process_start(pid) == start


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still run."""
    if Path("/proc/self/stat").exists():
        found = []
        for entry in Path("/proc").iterdir():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace") if entry.name.isdigit() else ""
            except OSError:
                continue
            if stat and stat.rpartition(")")[2].split()[1] == str(pid):
                found.append(int(entry.name))
        return found
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in table.splitlines() if line.split()[1:] == [str(pid)]]


def descendants(pid: int) -> list[int]:
    """All that `pid` started, and that those started."""
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]
