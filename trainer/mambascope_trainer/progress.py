"""Progress of a long command as JSON lines, for people and programs alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TextIO

_SECONDS_BETWEEN = 0.1


class Progress:
    """Writes `{"phase", "done", "total"}` lines, at most ten a second and always the last one of a phase."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._last = 0.0

    def report(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._stream is None or (done < total and now - self._last < _SECONDS_BETWEEN):
            return
        self._last = now
        print(json.dumps({"phase": phase, "done": done, "total": total}), file=self._stream, flush=True)

    def counter(self, phase: str, total: int) -> Callable[[int], None]:
        """A function that is told each step's size. Headers are not counted before, so `done` stops at `total`."""
        done = 0

        def step(size: int) -> None:
            nonlocal done
            done = min(total, done + size)
            self.report(phase, done, total)

        return step
