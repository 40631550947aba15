"""Files of a run directory as launching sees them: job.json and launch.json are read, status.json is written by rename."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from typing import Any, Dict

from .core import AgentError, inside

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")

# What a new status keeps of the one before it.
_KEPT = ("step", "steps", "tokens", "stage", "stage_name", "phase", "phase_index", "phases")


def run_folder(run: str) -> str:
    """The run directory of an id. Raises AgentError."""
    if not RUN_ID.fullmatch(run):
        raise AgentError("bad-request", "%r is not the id of a run." % run)
    folder = inside("runs/" + run)
    if not os.path.isdir(folder):
        raise AgentError("not-found", "The run %s is not on this node." % run, "Reload the page.")
    return folder


def read_object(path: str) -> Dict[str, Any]:
    """A JSON object, or an empty one where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def replace_object(path: str, value: Dict[str, Any]) -> None:
    """Writes JSON by rename, so that readers see the old object or the new one."""
    part = os.path.join(os.path.dirname(path), ".%s.agent" % os.path.basename(path))
    try:
        with open(part, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def write_status(folder: str, state: str, kind: str, **fields: Any) -> None:
    """status.json as the launcher writes it: before the runner starts, and after a runner that could not."""
    path = os.path.join(folder, "status.json")
    before = read_object(path)
    kept = {name: before[name] for name in _KEPT if name in before}
    replace_object(path, {"state": state, "updated": time.time(), "launcher": kind, **kept, **fields})


def launch_of(folder: str) -> Dict[str, Any]:
    """launch.json: how the run was started last; empty if it never was."""
    return read_object(os.path.join(folder, "launch.json"))


def said_last(folder: str, begin: int = 0) -> str:
    """The last line that the runner wrote for itself, counted from a byte of its log on."""
    try:
        with open(os.path.join(folder, "runner.log"), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip().rstrip(".")[:500] if lines else "it said nothing"
