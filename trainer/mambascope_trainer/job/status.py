"""status.json of a job: the runner's own fields and those of the step that runs."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from ..files import is_full, replace_text
from ..run.supervised import STEP_STATUS

#: Bytes kept back, so that a run on a full disk can still say why it ended.
RESERVE = 64 * 1024

#: What a step's own status tells of the run.
_TOLD = ("step", "steps", "tokens", "stage", "stage_name")


class JobStatus:
    """The only writer of status.json while a job runs. A step tells its status in a file of its own.

    fields: those that every status has; told: the last step's progress; step: its whole status.
    """

    def __init__(self, run: Path, fields: dict[str, Any]) -> None:
        self.run, self.fields = run, fields
        self.told: dict[str, Any] = {}
        self.step: dict[str, Any] = {}
        self._seen: tuple[int, int] | None = None
        self._written = 0.0

    def reserve(self) -> None:
        """Take the bytes that the last status gives back where the disk is full."""
        with contextlib.suppress(OSError), self._reserve.open("wb") as file:
            file.write(os.urandom(RESERVE))

    def release(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    def write(self, state: str, **fields: Any) -> None:
        """Replace status.json; on a full disk the reserve is given back first."""
        document = {"state": state, "updated": time.time(), **self.fields, **self.told, **fields}
        self._written = time.monotonic()
        try:
            replace_text(self.run / "status.json", json.dumps(document))
        except OSError as error:
            if not is_full(error):
                raise
            self.release()
            replace_text(self.run / "status.json", json.dumps(document))

    def beat(self, interval: float) -> None:
        """Write `running` if the step told something new, or nothing was written for `interval` seconds."""
        if self.listen() or time.monotonic() - self._written >= interval:
            # A disk that is full for a moment ends no run; the reserve is for the last status.
            with contextlib.suppress(OSError):
                self.write("running")

    def listen(self) -> bool:
        """Read what the step told; whether it is new."""
        path = self.run / STEP_STATUS
        try:
            stat = path.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._seen:
                return False
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        self._seen = (stat.st_mtime_ns, stat.st_ino)
        self.step = document
        self.told = {name: document[name] for name in _TOLD if name in document}
        return True

    def forget_step(self) -> None:
        """Before a step starts: what an earlier one told is no longer news."""
        (self.run / STEP_STATUS).unlink(missing_ok=True)
        self.step, self._seen = {}, None

    @property
    def _reserve(self) -> Path:
        return self.run / ".reserve"
