"""Makes the environment that runs use: a venv by the hash of what is in it, under env/."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional

from .core import AgentError, Call, Params, inside, op, os_error
from .files import write_atomic
from .machine import query_gpus
from .process import execute
from .pythons import choose_python, numbers_of, torch_of
from .runs import read_json

STAMP = "mambascope.json"


def _interpreter(folder: str) -> str:
    return os.path.join(folder, "bin", "python")


def _ready(folder: str, requirements: str) -> Optional[Dict[str, Any]]:
    stamp = read_json(os.path.join(folder, STAMP))
    if stamp is None or stamp.get("requirements") != requirements or not os.access(_interpreter(folder), os.X_OK):
        return None
    return {"python": _interpreter(folder), "torch": stamp.get("torch"), "own_torch": bool(stamp.get("own_torch")), "base": stamp.get("base")}


def _reusable(params: Params, chosen: Optional[str]) -> Optional[Dict[str, Any]]:
    """An environment that something else filled with the same packages: `reuse` names its folder, its stamp and what that must hold."""
    reuse = params.table("reuse", None)
    if reuse is None or chosen is not None:
        return None
    fields = Params(reuse)
    try:
        folder = inside(fields.text("folder"))
        with open(inside(fields.text("folder") + "/" + fields.text("stamp")), encoding="ascii") as file:
            fits = file.read().strip() == fields.text("sha256")
    except (OSError, ValueError, AgentError):
        return None
    if not fits or not os.access(_interpreter(folder), os.X_OK):
        return None
    return {"python": _interpreter(folder), "torch": None, "own_torch": False, "base": None}


def _existing(params: Params) -> Optional[Dict[str, Any]]:
    chosen = params.text("python", None)
    requirements = hashlib.sha256(params.text("requirements").encode()).hexdigest()
    reused = _reusable(params, chosen)
    if reused is not None:
        return reused
    base = inside("env")
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        found = _ready(os.path.join(base, name), requirements)
        if found is not None and read_json(os.path.join(base, name, STAMP), 65536).get("chosen") == chosen:  # type: ignore[union-attr]
            return found
    return None


@op("environment")
def environment(call: Call, params: Params) -> object:
    """The environment for `requirements` (a file's text) if it is there, else null. `python`: the user's choice."""
    return _existing(params)


@op("prepare")
def prepare(call: Call, params: Params) -> object:
    """The environment for `requirements`, made if it is not there. Events: {phase, message, done, total} (total 0: not known).

    A node's own PyTorch is used if it fits; then pip installs the rest. A cancelled or failed one leaves nothing behind.
    Raises AgentError `python`, `venv`, `pip`, `offline`, `disk-full`, `environment`.
    """
    found = _existing(params)
    if found is not None:
        return {**found, "torch": found["torch"] or torch_of(found["python"], call), "made": False}
    _tell(call, "python", "Looking at the node's Python")
    text, chosen = params.text("requirements"), params.text("python", None)
    requirements = hashlib.sha256(text.encode()).hexdigest()
    has_gpus = bool(query_gpus(call))
    base = choose_python(chosen, has_gpus, call)
    own = base["torch"]
    key = json.dumps([text, chosen, base["version"], base["prefix"], own and own["version"]])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    folder = inside("env/" + name)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with _alone(call, folder + ".lock") as lock:
        # Another dashboard may have made it meanwhile.
        ready = _ready(folder, requirements)
        if ready is not None:
            return {**ready, "made": False}
        try:
            _build(call, folder, base, own, text, lock)
            _tell(call, "check", "Trying the environment")
            torch = torch_of(_interpreter(folder), call)
            if torch is None:
                raise AgentError("environment", "PyTorch cannot be imported in the new environment.", "Give this node the path of another Python, then prepare it again.")
            stamp = {"requirements": requirements, "chosen": chosen, "base": base["path"], "torch": torch, "own_torch": own is not None, "created": time.time()}
            # The stamp comes last: an environment without one is none.
            write_atomic(os.path.join(folder, STAMP), json.dumps(stamp).encode())
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise os_error(error, "The environment cannot be made") from error
            raise
        return {"python": _interpreter(folder), "torch": torch, "own_torch": own is not None, "base": base["path"], "made": True}


def _tell(call: Call, phase: str, message: str, done: float = 0, total: float = 0) -> None:
    call.event({"phase": phase, "message": message, "done": done, "total": total})


@contextlib.contextmanager
def _alone(call: Call, path: str) -> Iterator[int]:
    """Waits until no other dashboard, and nothing left over of a lost one, makes the same environment."""
    with open(path, "w") as file:
        waited = 0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waited % 20 == 0:
                    _tell(call, "wait", "Another dashboard is preparing this node")
                call.check()
                waited += 1
                time.sleep(0.25)
            except OSError:
                # A file system without locks.
                break
        yield file.fileno()


def _build(call: Call, folder: str, base: Dict[str, Any], own: Optional[Dict[str, Any]], text: str, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _tell(call, "venv", "Making a virtual environment with Python %s" % ".".join(map(str, base["version"])))
    command = [base["path"], "-m", "venv", *(["--system-site-packages"] if own else []), folder]
    finished = execute(command, call=call, timeout=600, pass_fds=[lock])
    if finished.code != 0:
        raise AgentError(
            "venv",
            "Python could not make a virtual environment: %s" % _last(finished.err or finished.out),
            "Install the venv module (Debian, Ubuntu: apt-get install python3-venv) and check the disk's free space, then try again.",
        )
    python = _interpreter(folder)
    if own and base["prefix"] != base["base_prefix"]:
        # A venv made from a venv sees the packages of their common base only: those of its parent are added behind its own.
        _adopt(python, base["sites"], call)
    if own:
        _tell(call, "torch", "Using the node's own PyTorch %s" % own["version"])
        text = "\n".join(line for line in text.splitlines() if not re.match(r"torch\b", line))
    listed = os.path.join(folder, "requirements.txt")
    write_atomic(listed, text.encode())
    _install(call, python, listed, lock)


def _adopt(python: str, sites: List[str], call: Call) -> None:
    finished = execute([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], call=call)
    target = os.path.join(finished.out.strip(), "mambascope-parent.pth")
    write_atomic(target, ("\n".join(sites) + "\n").encode())


def _install(call: Call, python: str, listed: str, lock: int) -> None:
    version = execute([python, "-m", "pip", "--version"], call=call, timeout=120).out.split()
    # Progress as plain lines, where pip can.
    bar = "raw" if len(version) > 1 and numbers_of(version[1]) >= (24, 1) else "off"
    progress = PipProgress()

    def on_line(line: str) -> None:
        told = progress.take(line)
        if told:
            _tell(call, "packages", *told)

    _tell(call, "packages", "Asking the package index")
    finished = execute(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar", bar, "-r", listed],
        call=call,
        env={"PYTHONUNBUFFERED": "1"},
        timeout=4 * 3600,
        on_line=on_line,
        pass_fds=[lock],
    )
    if finished.code != 0:
        raise pip_error(finished.err + finished.out)


class PipProgress:
    """Turns pip's lines into words and numbers."""

    def __init__(self) -> None:
        self._what = ""

    def take(self, line: str) -> "Optional[tuple[str, float, float]]":
        """(message, bytes done, bytes in all) of a line, or None if it tells nothing new."""
        amount = re.match(r"Progress (\d+) of (\d+)", line)
        if amount and self._what:
            return self._what, float(amount[1]), float(amount[2])
        collecting = re.match(r"Collecting ([A-Za-z0-9_.-]+)", line) or re.match(r"Processing (?:\S*/)?([A-Za-z0-9_.]+?)-\d", line)
        if collecting:
            return "Finding " + collecting[1], 0, 0
        loading = re.match(r"\s*(Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+?)-\d\S* \(([^)]*)\)", line)
        if loading:
            self._what = "%s %s (%s)" % ("Downloading" if loading[1] == "Downloading" else "Taking from pip's cache:", loading[2], loading[3])
            return self._what, 0, 0
        building = re.match(r"\s*Building wheel[s]? for ([A-Za-z0-9_.-]+)", line)
        if building:
            return "Building " + building[1], 0, 0
        installing = re.match(r"Installing collected packages: (.*)", line)
        if installing:
            names = installing[1].split(", ")
            return ("Installing " + names[0] if len(names) == 1 else "Installing %d packages; this takes a while" % len(names)), 0, 0
        return None


def pip_error(output: str) -> AgentError:
    """Why pip failed, in words."""
    if re.search(r"No space left on device|Disk quota exceeded", output):
        return AgentError("disk-full", "The node's disk is full: the packages do not fit.", "Free some space on the node (PyTorch with CUDA takes about 8 GB), then try again.")
    if re.search(r"NewConnectionError|NameResolutionError|Temporary failure|Network is unreachable|ProxyError|ConnectTimeout|ReadTimeout|Connection refused|Max retries", output):
        return AgentError(
            "offline",
            "The node cannot reach the package index.",
            "Check the node's network. Without one, set pip's index or find-links there (pip config), or give this node a Python that has the packages.",
        )
    reasons = [line.partition("ERROR:")[2].strip() for line in output.splitlines() if line.startswith("ERROR:")]
    return AgentError("pip", "The packages could not be installed: %s" % (reasons[-1] if reasons else _last(output)), "Check the node's network, pip's configuration and the Python version, then try again.")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it gave no reason."
