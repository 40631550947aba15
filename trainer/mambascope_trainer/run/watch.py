"""When one process of a run fails, every process ends, and the status says which one failed and why.

A process that waits in a collective cannot be told, so each has a thread that looks, over torchrun's own store, for a
failure that was reported and for ranks that have stopped counting (killed, or their host lost).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import torch.distributed as dist

from ..errors import MambascopeError
from .distributed import Ranks

INTERVAL = 0.5
#: Seconds without a count after which a rank is lost: once another sign of trouble was seen, and without one.
SUSPECT, SILENT = 12.0, 300.0
#: Seconds that a failed rank waits for rank 0 to have written why.
GRACE = 20.0

_FAILURE, _WRITTEN = "mambascope/failure", "mambascope/written"


def explain(error: BaseException) -> str:
    """An error as the status tells it."""
    return str(error) if isinstance(error, MambascopeError) else f"{type(error).__name__}: {error}"


class Watch:
    """A context around a run.

    write: records a failure in the run directory (rank 0); trouble: whether the launcher has asked this process to end,
    as torchrun does when another has died.
    """

    def __init__(self, ranks: Ranks, write: Callable[[str], None], trouble: Callable[[], bool]) -> None:
        self.ranks, self.write, self.trouble = ranks, write, trouble
        self._ending = threading.Event()
        self._written = threading.Lock()
        self._suspicious = False
        # A clone: the store's own connection is taken while another thread waits in it.
        self._store = None if ranks.store is None else ranks.store.clone()  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        if self._store is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._ending.set()
            self.ranks.meet()
        elif isinstance(error, Exception):
            self._report(error)

    def _report(self, error: Exception) -> None:
        if self._store is None:
            self._write(explain(error))
            return
        if _is_consequence(error):
            self._suspicious = True
            time.sleep(GRACE)  # the thread ends this process when it has found the cause
        message = f"rank {self.ranks.rank}: {explain(error)}"
        if self.ranks.leads:
            self._write(explain(error) if isinstance(error, MambascopeError) else message)
            self._store.set(_FAILURE, message)
            return
        self._store.compare_set(_FAILURE, "", message)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and not self._store.check([_WRITTEN]):
            time.sleep(INTERVAL)

    def _write(self, message: str) -> None:
        """Once; another thread's failure is the one that stays."""
        if self._written.acquire(blocking=False):
            self.write(message)
            if self._store is not None:
                self._store.set(_WRITTEN, "1")

    def _look(self) -> None:
        """The thread: count, look, and end the process where the run has failed."""
        assert self._store is not None
        others = [rank for rank in range(self.ranks.world) if rank != self.ranks.rank]
        seen: dict[int, tuple[str, float]] = {}
        count = 0
        while not self._ending.wait(INTERVAL):
            try:
                count += 1
                self._store.set(f"mambascope/beat/{self.ranks.rank}", str(count))
                message = self._store.get(_FAILURE).decode() if self._store.check([_FAILURE]) else None
                if message is None and self.ranks.leads:
                    message = self._lost(others, seen)
            except (dist.DistError, RuntimeError):
                if self._ending.is_set():
                    return
                message = "the host of the run's store is lost"
            if message is not None and not message.startswith(f"rank {self.ranks.rank}:"):
                self._end(message)

    def _lost(self, others: list[int], seen: dict[int, tuple[str, float]]) -> str | None:
        assert self._store is not None
        now = time.monotonic()
        limit = SUSPECT if self._suspicious or self.trouble() else SILENT
        for rank in others:
            key = f"mambascope/beat/{rank}"
            beat = self._store.get(key).decode() if self._store.check([key]) else ""
            if rank not in seen or seen[rank][0] != beat:
                seen[rank] = (beat, now)
            elif now - seen[rank][1] > limit:
                message = f"rank {rank}: the process stopped answering (killed, or its host lost)"
                self._store.set(_FAILURE, message)
                return message
        return None

    def _end(self, message: str) -> None:
        if self.ranks.leads:
            self._write(message)
        print(f"ending: {message}", file=sys.stderr, flush=True)
        os._exit(1)  # the main thread may wait in a collective for ever


def _is_consequence(error: Exception) -> bool:
    """Whether an error only says that another process has gone."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "ncclRemoteError"))
    )
