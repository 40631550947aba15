"""The run directory: all that the trainer and the dashboard know of each other.

config.json, status.json (replaced by rename), metrics.jsonl and samples.jsonl (append only), log.txt, checkpoints/ and
export/.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import MambascopeError
from ..files import replace_text
from .checkpoint import checkpoint_paths, newest_checkpoint
from .supervised import STEP_STATUS, is_supervised

#: Seconds until a file that one host wrote must be seen by the others.
SHARED_DELAY = 60.0


class RunDirectory:
    """Reader and writer of one run directory. Reading makes nothing; `create` makes its folders.

    writes: false on all ranks but the first, whose writing methods do nothing.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes

    @classmethod
    def create(cls, path: Path, writes: bool = True) -> RunDirectory:
        """The directory `path`, made if it is missing."""
        if writes:
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
            (path / "export").mkdir(exist_ok=True)
        return cls(path, writes)

    @property
    def checkpoint_folder(self) -> Path:
        return self.path / "checkpoints"

    def write_config(self, config: dict[str, Any]) -> None:
        if self.writes:
            replace_text(self.path / "config.json", json.dumps(config, indent=1))

    def appears(self) -> bool:
        """Whether this process sees the config, which rank 0 has written; a shared file system may show it late."""
        deadline = time.monotonic() + SHARED_DELAY
        while not (self.path / "config.json").exists():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def write_status(self, state: str, **fields: Any) -> None:
        """`state` is running, stopped, finished or failed; readers never see half a file. A job's runner is told."""
        if self.writes:
            status = {"state": state, "updated": time.time(), "pid": os.getpid(), **fields}
            name = STEP_STATUS if is_supervised() else "status.json"
            replace_text(self.path / name, json.dumps(status), durable=state != "running")

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl or samples.jsonl, in a single write."""
        if self.writes:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def log(self, message: str) -> None:
        if self.writes:
            line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}"
            print(line, flush=True)
            if is_supervised():
                return  # the runner has sent what is printed to log.txt
            with (self.path / "log.txt").open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first: files, or folders of shards."""
        return checkpoint_paths(self.checkpoint_folder)

    def require_checkpoint(self) -> dict[str, Any]:
        """The newest readable checkpoint, on the CPU. Raises `checkpoint-missing` or `checkpoint-unreadable`."""
        state = newest_checkpoint(self.checkpoint_folder, lambda message: print(message, file=sys.stderr))
        if state is None:
            raise MambascopeError("checkpoint-missing", f"{self.path} holds no checkpoint.", "Train the run first.")
        return state

    def drop_after(self, step: int, stage: int = 0) -> None:
        """Forget metrics and samples past `step` of a pipeline's stage: a resumed run writes them again."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.path / name
            if not self.writes or not path.exists():
                continue
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            replace_text(path, "".join(line + "\n" for line in lines if _place_of(line) <= (stage, step)))


def _place_of(line: str) -> tuple[float, float]:
    """The stage and step of a record; a torn line counts as past every step."""
    try:
        record = json.loads(line)
        return float(record.get("stage", 0)), float(record["step"])
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        return float("inf"), float("inf")
