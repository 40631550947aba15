"""Published measurements: `results/<name>.json`, each entry with the machine, date and command that made it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

#: Measure of `compare_with_teacher` to (metric, unit).
METRICS = {
    "kl": ("quality.kl", "nat/token"),
    "agreement": ("quality.top1_agreement", "share"),
    "perplexity_ratio": ("quality.ppl_ratio", "ratio"),
}


def machine() -> str:
    """Processor, cores and accelerator, with no host name."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"


def quality_entries(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of the results format from evaluation records."""
    entries = []
    for record in records:
        of = {key: value for key, value in record.items() if key not in METRICS and not key.endswith("perplexity")}
        for key, (metric, unit) in METRICS.items():
            entries.append({"metric": metric, "value": round(float(record[key]), 5), "unit": unit, "of": of})
    return entries


def write_results(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write a results file. Entries that are there already stay, unless one of the same metric and subject is new."""
    key = "metric", "of"
    old = json.loads(path.read_text())["entries"] if path.exists() else []
    fresh = [[entry[k] for k in key] for entry in entries]
    kept = [entry for entry in old if [entry[k] for k in key] not in fresh]
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    results = {
        "command": shlex.join(["python", "-m", "mambascope_trainer", *(_shown(word) for word in sys.argv[1:])]),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git.stdout.strip() or "unknown",
        "entries": kept + entries,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n")
    part.replace(path)


def _shown(word: str) -> str:
    """A path outside the working directory by its name alone."""
    return Path(word).name if word.startswith(("/", "..")) else word
