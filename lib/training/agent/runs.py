"""Run directories: the list of all, and the trash."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from .core import AgentError, Call, Params, inside, liveness_of, op, os_error
from .files import described

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}\Z")
# `<run id>-<time of deletion>`, with a counter when a name is deleted twice in a second.
ENTRY = re.compile(r"([a-z0-9][a-z0-9-]{0,79}?)-(\d{8})t(\d{6})(?:-\d{1,3})?\Z")
WATCHED = ("status.json", "metrics.jsonl", "samples.jsonl", "log.txt", "job.json", "launch.json", "notes.json", "config.json", "evaluation.json", "progress.json")


def run_id(text: str) -> str:
    if not RUN_ID.match(text):
        raise AgentError("bad-request", "%r is not the id of a run." % text)
    return text


def read_json(path: str, limit: int = 1024 * 1024) -> Optional[Dict[str, Any]]:
    """A JSON object of a small file; None if it is absent, torn or something else."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(limit))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@op("list_runs")
def list_runs(call: Call, params: Params) -> object:
    """All run directories: size, time and inode of the files that tell their state, and whether their process lives. `ids`: only these."""
    only = params.texts("ids", None)
    base = inside("runs")
    try:
        names = sorted(name for name in os.listdir(base) if RUN_ID.match(name) and (only is None or name in only))
    except FileNotFoundError:
        names = []
    folders = {name: os.path.join(base, name) for name in names}
    folders = {name: folder for name, folder in folders.items() if os.path.isdir(folder) and not os.path.islink(folder)}
    launches: Dict[str, Dict[str, Any]] = {}
    for name, folder in folders.items():
        launch = read_json(os.path.join(folder, "launch.json"))
        if launch is not None:
            launches[name] = launch
    # Before the files: a process that ends now has written its last status by the time that this is looked at, and is not taken for a killed one.
    alive = liveness_of(launches)
    runs: List[Dict[str, Any]] = []
    for name, folder in folders.items():
        files = {}
        for watched in WATCHED:
            try:
                files[watched] = described(os.stat(os.path.join(folder, watched)))
            except OSError:
                continue
        runs.append({"id": name, "files": files, "alive": alive.get(name)})
    return {"time": time.time(), "runs": runs}


def size_of(folder: str) -> int:
    """Bytes of all files under a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total


def _entry(name: str) -> Optional[Dict[str, Any]]:
    match = ENTRY.match(name)
    folder = inside("trash/" + name) if match else ""
    if match is None or not os.path.isdir(folder):
        return None
    try:
        deleted = datetime.strptime(match[2] + match[3], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
    return {"entry": name, "id": match[1], "deleted": deleted, "bytes": size_of(folder)}


@op("move_to_trash")
def move_to_trash(call: Call, params: Params) -> object:
    """Moves a run directory to the trash. Error `running` if its process lives: it must be stopped first."""
    name = run_id(params.text("id"))
    source = inside("runs/" + name)
    if not os.path.isdir(source):
        raise AgentError("not-found", "There is no run %s on this node." % name, "Reload the page.")
    launch = read_json(os.path.join(source, "launch.json"))
    if launch is not None and liveness_of({name: launch})[name] == "alive":
        raise AgentError("running", "The run %s is running." % name, "Stop it first.")
    os.makedirs(inside("trash"), exist_ok=True)
    stamp = name + "-" + datetime.now(timezone.utc).strftime("%Y%m%dt%H%M%S")
    for attempt in range(100):
        entry = stamp if attempt == 0 else "%s-%d" % (stamp, attempt)
        target = inside("trash/" + entry)
        if not os.path.lexists(target):
            os.rename(source, target)
            return _entry(entry)
    raise AgentError("exists", "The trash has too many of %s." % name, "Empty the trash, then try again.")


@op("list_trash")
def list_trash(call: Call, params: Params) -> object:
    """What is in the trash, the newest first."""
    try:
        names = os.listdir(inside("trash"))
    except FileNotFoundError:
        names = []
    entries = [entry for entry in map(_entry, names) if entry]
    entries.sort(key=lambda entry: (-float(entry["deleted"]), str(entry["entry"])))
    return {"entries": entries}


def _trashed(name: str) -> Dict[str, Any]:
    entry = _entry(name)
    if entry is None:
        raise AgentError("not-found", "The trash has no %s." % name, "Reload the page.")
    return entry


@op("restore")
def restore(call: Call, params: Params) -> object:
    """Moves a run directory back from the trash. Error `exists` if a run has its id again."""
    entry = _trashed(params.text("entry"))
    target = inside("runs/" + entry["id"])
    if os.path.lexists(target):
        raise AgentError("exists", "There is a run %s again." % entry["id"], "Delete or rename that one first.")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.rename(inside("trash/" + entry["entry"]), target)
    return {"id": entry["id"]}


@op("empty_trash")
def empty_trash(call: Call, params: Params) -> object:
    """Deletes entries of the trash for good; all of them if `entries` is left out. Tells how many and how many bytes."""
    names = params.texts("entries", None)
    if names is None:
        found = [entry for entry in map(_entry, os.listdir(inside("trash"))) if entry] if os.path.isdir(inside("trash")) else []
    else:
        found = [_trashed(name) for name in names]
    for entry in found:
        call.check()
        try:
            shutil.rmtree(inside("trash/" + entry["entry"]))
        except OSError as error:
            raise os_error(error, "%s cannot be deleted" % entry["entry"]) from error
    return {"entries": len(found), "bytes": sum(int(entry["bytes"]) for entry in found)}
