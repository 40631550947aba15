"""The run directory: all that the trainer and the dashboard know of each other.

config.json, status.json (replaced by rename), metrics.jsonl and samples.jsonl (append only), log.txt, checkpoints/ and
export/.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from ..errors import MambascopeError

KEPT_CHECKPOINTS = 2


class RunDirectory:
    """Reader and writer of one run directory. Reading makes nothing; `create` makes its folders."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> RunDirectory:
        """The directory `path`, made if it is missing."""
        (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        (path / "export").mkdir(exist_ok=True)
        return cls(path)

    def write_config(self, config: dict[str, Any]) -> None:
        self._replace("config.json", json.dumps(config, indent=1))

    def write_status(self, state: str, **fields: Any) -> None:
        """`state` is running, stopped, finished or failed; readers never see half a file."""
        self._replace("status.json", json.dumps({"state": state, "updated": time.time(), "pid": os.getpid(), **fields}))

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl or samples.jsonl, in a single write."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def log(self, message: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}"
        print(line, flush=True)
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save_checkpoint(self, step: int, state: dict[str, Any]) -> None:
        """Write checkpoints/step-<n>.pt whole or not at all, and drop all but the newest few."""
        target = self.path / "checkpoints" / f"step-{step:07d}.pt"
        part = target.with_suffix(".part")
        torch.save(state, part)
        part.replace(target)
        for old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.pt"))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint, on the CPU, or None."""
        found = self.checkpoints()
        if not found:
            return None
        state: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=True)
        return state

    def require_checkpoint(self) -> dict[str, Any]:
        """The newest checkpoint. Raises `checkpoint-missing`."""
        state = self.load_checkpoint()
        if state is None:
            raise MambascopeError("checkpoint-missing", f"{self.path} holds no checkpoint.", "Train the run first.")
        return state

    def drop_after(self, step: int) -> None:
        """Forget metrics and samples past `step`: a resumed run writes them again."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.path / name
            if not path.exists():
                continue
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            self._replace(name, "".join(line + "\n" for line in kept))

    def _replace(self, name: str, text: str) -> None:
        part = self.path / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.path / name)


def _step_of(line: str) -> float:
    """The step of a record; a torn line counts as past every step."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")
