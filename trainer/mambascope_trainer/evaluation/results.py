"""Published measurements: `results/<name>.json`, each entry with the command, machine and date that made it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

Entry = dict[str, Any]
Record = Mapping[str, Any]

#: What tells one subject of a measurement from another; the rest of `of` says how much was measured and how.
_COUNTS = ("tokens", "items", "trials", "dtype")
#: Said once a file, and again in an entry that was made otherwise.
_PROVENANCE = ("command", "machine", "date", "commit")


def machine() -> str:
    """Processor, cores and accelerator, with no host name."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"


def quality_entries(records: Iterable[Record]) -> list[Entry]:
    """Entries of the results format from evaluation records; records of tasks that only write files have none."""
    return [entry for record in records if record["task"] in _ENTRIES for entry in _ENTRIES[record["task"]](record)]


def _subject(record: Record, *keys: str) -> dict[str, Any]:
    names = ("family", "variant", "pattern", "run", "codec", "data", *keys, "dtype")
    return {name: record[name] for name in names if name in record}


def _entry(metric: str, value: float, unit: str, of: dict[str, Any], teacher: float | None = None) -> Entry:
    peer = {} if teacher is None else {"peer": {"name": "teacher", "value": round(teacher, 5)}}
    return {"metric": f"quality.{metric}", "value": round(value, 5), "unit": unit, "of": of, **peer}


def _agreement_entries(record: Record) -> list[Entry]:
    of = _subject(record, "seq_len", "tokens")
    perplexity = _entry("perplexity", record["perplexity"], "perplexity", of, record["teacher_perplexity"])
    return [
        _entry("kl", record["kl"], "nat/token", of),
        _entry("top1_agreement", record["agreement"], "share", of),
        _entry("acceptance", record["acceptance"], "share", of),
        {**perplexity, "ratio": round(record["perplexity_ratio"], 5)},
        _entry("ppl_ratio", record["perplexity_ratio"], "ratio", of),
    ]


def _choice_entries(record: Record) -> list[Entry]:
    of = _subject(record, "prompt", "items")
    # The file's name names the metric: piqa.jsonl gives quality.piqa.
    stem = Path(record["data"]).stem.lower()
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)
    entries = []
    for score, suffix in (("acc", ""), ("acc_norm", "_norm")):
        if score in record:
            found = record[score]
            own = _entry(f"{name}{suffix}", found["value"], "share", of, found["teacher"])
            delta = _entry(f"{name}{suffix}_delta", found["delta_points"], "points", of)
            same = _entry(f"{name}{suffix}_same_choice", found["same_choice"], "share", of)
            entries += [_with_error(own, found["stderr"]), _with_error(delta, found["delta_stderr"]), same]
    return entries


def _needle_entries(record: Record) -> list[Entry]:
    entries = []
    for score, metric in (("answered", "needle"), ("top1", "needle_top1")):
        found, of = record[score], _subject(record, "kind", "trials")
        pairs = zip(record["lengths"], found["by_length"], found["teacher_by_length"], strict=True)
        entries += [_entry(metric, own, "share", {**of, "length": n}, teacher) for n, own, teacher in pairs]
        whole = _with_error(_entry(metric, found["value"], "share", of, found["teacher_value"]), found["stderr"])
        whole["grid"] = {
            "rows": {"name": "length", "values": record["lengths"]},
            "columns": {"name": "depth", "values": record["depths"]},
            "values": found["cells"],
            "peer": found["teacher_cells"],
        }
        entries.append(whole)
    return entries


def _with_error(entry: Entry, error: float) -> Entry:
    return {**entry, "stderr": round(error, 5)} if error < float("inf") else entry


_ENTRIES: dict[str, Callable[[Record], list[Entry]]] = {
    "agreement": _agreement_entries,
    "choice": _choice_entries,
    "needle": _needle_entries,
}


def write_results(path: Path, entries: list[Entry]) -> None:
    """Add entries to a results file. Entries that are there stay, with the command, machine and date that made them,
    unless one of the same metric and subject is new."""
    old: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"entries": []}
    fresh = {_identity(entry) for entry in entries}
    made = {
        "command": shlex.join(["python", "-m", "mambascope_trainer", *(_shown(word) for word in sys.argv[1:])]),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
    }
    kept = [_made_otherwise(entry, old, made) for entry in old["entries"] if _identity(entry) not in fresh]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**made, "entries": kept + entries}, indent=1) + "\n")
    part.replace(path)


def _commit() -> str:
    """The code's commit: of the checkout, or MAMBASCOPE_COMMIT where a node has a copy without one."""
    try:
        git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        found = git.stdout.strip()
    except FileNotFoundError:  # no git on this machine
        found = ""
    return found or os.environ.get("MAMBASCOPE_COMMIT", "unknown")


def _identity(entry: Entry) -> str:
    of = {key: value for key, value in entry["of"].items() if key not in _COUNTS}
    return json.dumps([entry["metric"], of], sort_keys=True)


def _made_otherwise(entry: Entry, file: Mapping[str, Any], made: Mapping[str, str]) -> Entry:
    """A kept entry with what it does not share with the file's new head."""
    bare = {key: value for key, value in entry.items() if key not in _PROVENANCE}
    own = {key: entry.get(key, file.get(key)) for key in _PROVENANCE}
    return {**bare, **{key: value for key, value in own.items() if value is not None and value != made[key]}}


def _shown(word: str) -> str:
    """A path outside the working directory, or such a path after `name=`, by its name alone."""
    name, equals, path = word.rpartition("=")
    return name + equals + Path(path).name if path.startswith(("/", "..")) else word
