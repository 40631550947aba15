"""Which process a pid means: with its start and the machine's boot, a number used again is another process. As the trainer's job/identity.py."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any, Dict, List, Optional


def process_start(pid: int) -> Optional[str]:
    """When the process began (clock ticks since boot on Linux, a date elsewhere); None if it has ended."""
    fields = _stat(pid)
    if fields is not None:
        return None if fields[0] in "ZX" else fields[19]
    if os.path.exists("/proc/self/stat"):
        return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, universal_newlines=True)
    return " ".join(done.stdout.split()) or None


def _stat(pid: int) -> Optional[List[str]]:
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            # The command's name, in parentheses, may hold anything.
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def boot_id() -> str:
    """A name of the time since the machine started; empty if the system tells none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        pass
    try:
        return subprocess.run(["sysctl", "-n", "kern.boottime"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    except OSError:
        return ""


def identity_of(pid: int) -> Dict[str, Any]:
    return {"host": socket.gethostname(), "boot_id": boot_id(), "pid": pid, "pid_start": process_start(pid)}


def liveness(identity: Dict[str, Any]) -> str:
    """"alive", "gone", or "unknown" for a process of another host."""
    if identity.get("host") != socket.gethostname():
        return "unknown"
    pid, start = identity.get("pid"), identity.get("pid_start")
    if identity.get("boot_id") != boot_id() or not isinstance(pid, int) or start is None:
        return "gone"
    return "alive" if process_start(pid) == start else "gone"


def family_of(pid: int) -> List[int]:
    """A process, all of its session, and all that these started, also in sessions of their own."""
    table = _table()
    found = {pid} | {other for other, (_, session) in table.items() if session == pid}
    while True:
        more = {other for other, (parent, _) in table.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def _table() -> Dict[int, "tuple[int, int]"]:
    """Every process: its parent and its session."""
    if os.path.exists("/proc/self/stat"):
        stats = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
        return {pid: (int(fields[1]), int(fields[3])) for pid, fields in stats.items() if fields}
    done = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,sess="], stdout=subprocess.PIPE, universal_newlines=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    # Where the session is told as an address it is no number: parents alone decide then.
    return {int(row[0]): (int(row[1]), int(row[2]) if row[2].isdigit() else 0) for row in rows if len(row) == 3}
