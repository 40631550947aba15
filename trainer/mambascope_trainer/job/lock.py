"""One runner a run: a lock on a file that the runner and all steps it started hold."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import MambascopeError
from .identity import is_alive

NAME = "job.lock"


class RunLock:
    """A context in which no other runner works in this run directory. Raises MambascopeError `run-busy`.

    The lock ends with the last process that holds `handle`, so steps that outlive a killed runner keep it. Where the
    file system has no locks, who is written in the file decides.
    """

    def __init__(self, run: Path, identity: dict[str, Any]) -> None:
        self.path, self.identity = run / NAME, identity
        self.handle = -1

    def __enter__(self) -> Self:
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take()
        except BaseException:
            os.close(self.handle)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        os.close(self.handle)

    def _take(self) -> None:
        holder = self._holder()
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(holder) from None
        except OSError:
            if is_alive(holder):
                raise _busy(holder) from None
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, json.dumps(self.identity).encode(), 0)

    def _holder(self) -> dict[str, Any]:
        try:
            holder = json.loads(os.pread(self.handle, 4096, 0))
        except ValueError:
            return {}
        return holder if isinstance(holder, dict) else {}


def _busy(holder: dict[str, Any]) -> MambascopeError:
    who = f" (process {holder['pid']} on {holder.get('host')})" if "pid" in holder else ""
    return MambascopeError(
        "run-busy", f"This run is running already{who}.", "Stop it, or wait until it has ended, then try again."
    )
