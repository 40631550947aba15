"""Follows runs that SLURM has: one look at the queue for all, and what only SLURM knows is written into their status."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Dict, Optional, Set

from . import slurm
from .run_folder import read_object, run_folder, said_last, write_status

# Seconds: between two looks at the queue, that a caller waits for one, and after which an old one tells nothing.
LOOK, PATIENCE, STALE = 4.0, 2.0, 90.0
# A running runner writes its status every few seconds: one that is this old belongs to an earlier start of the job.
QUIET = 60.0

_Queue = Dict[int, Dict[str, str]]

# SLURM's word for a job's end -> (state of the run, what happened, what to do).
_RESUME = "Resume it: it goes on from the last checkpoint."
_ENDINGS = {
    "TIMEOUT": ("stopped", "SLURM ended the job at its time limit", _RESUME),
    "DEADLINE": ("stopped", "SLURM ended the job at its deadline", _RESUME),
    "PREEMPTED": ("stopped", "SLURM gave the job's hosts to another one", _RESUME),
    "NODE_FAIL": ("stopped", "A host of the job failed", _RESUME),
    "BOOT_FAIL": ("stopped", "A host of the job did not start", _RESUME),
    "CANCELLED": ("stopped", "The job was cancelled", _RESUME),
    "OUT_OF_MEMORY": ("failed", "The job used more memory than it asked for", "Launch it again with more memory or a smaller batch."),
    "FAILED": ("failed", "The job failed", "See runner.log in the run's folder."),
    "COMPLETED": ("failed", "The job ended and its run did not", "See runner.log in the run's folder."),
}


class _Looker:
    """The queue as it was a moment ago. A squeue that hangs holds up nobody for long."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._looking = False
        self._queue: Optional[_Queue] = None
        self._began = 0.0

    def latest(self) -> "tuple[Optional[_Queue], float]":
        """The queue, and when it was asked for (seconds since 1970); None if SLURM has not answered for long."""
        with self._changed:
            if not self._looking and time.time() - self._began > LOOK:
                self._looking = True
                threading.Thread(target=self._look, daemon=True).start()
            self._changed.wait_for(lambda: not self._looking, PATIENCE)
            fresh = time.time() - self._began < STALE
            return (self._queue if fresh else None), self._began

    def forget(self) -> None:
        """After a change of the queue: what was seen before it no longer counts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._looking, PATIENCE)
            self._began = 0.0

    def _look(self) -> None:
        began = time.time()
        queue = slurm.queued_jobs()
        with self._changed:
            if queue is not None:
                self._queue, self._began = queue, began
            self._looking = False
            self._changed.notify_all()


_looker = _Looker()
changed = _looker.forget
_asking: Set[str] = set()


def follow(launches: Dict[str, Dict[str, Any]]) -> Dict[str, str]:
    """Whether runs live, by run id, given their launch.json of kind slurm. What SLURM says of them goes into their status."""
    queue, began = _looker.latest()
    found = {}
    for run, record in launches.items():
        job = record.get("job_id")
        if not isinstance(job, int):
            found[run] = "gone"
        elif queue is None or record.get("time", 0) >= began:
            found[run] = "unknown"
        elif job in queue:
            found[run] = "alive"
            _note_waiting(run, queue[job], float(record.get("time", 0)))
        else:
            found[run] = "gone"
            _note_end(run, job, float(record.get("time", 0)))
    return found


def _note_waiting(run: str, queued: Dict[str, str], launched: float) -> None:
    """The reason why a job waits, as the status's message; also of one that SLURM took back into the queue."""
    folder = run_folder(run)
    status = read_object(os.path.join(folder, "status.json"))
    state, updated = status.get("state"), float(status.get("updated", 0))
    message = "It waits in SLURM's queue (%s)." % queued["reason"]
    if queued["state"] != "PENDING" or (state == "queued" and status.get("message") == message):
        return
    if state in ("queued", "stopped") or (state == "running" and time.time() - updated > QUIET):
        # By its time, a job that waits can be told from a run that is being launched again.
        action = "Wait, or stop it and ask for less."
        write_status(folder, "queued", "slurm", message=message, action=action, updated=min(updated, launched))


def _note_end(run: str, job: int, launched: float) -> None:
    """How a job ended whose runner could not say it itself."""
    folder = run_folder(run)
    status = read_object(os.path.join(folder, "status.json"))
    state = status.get("state")
    # Queued after this job was: the run is being launched again.
    again = state == "queued" and float(status.get("updated", 0)) > launched
    if state not in ("queued", "running") or again or run in _asking:
        return
    _asking.add(run)

    def ask() -> None:
        try:
            ended = _ENDINGS.get(slurm.state_of_ended(job) or "")
            # The runner may have written its last words a moment after the queue was read.
            now = read_object(os.path.join(folder, "status.json")).get("state")
            if ended and now == state:
                said = ": %s" % said_last(folder) if state == "queued" and ended[0] == "failed" else ""
                write_status(folder, ended[0], "slurm", message="%s%s." % (ended[1], said), action=ended[2])
        finally:
            _asking.discard(run)

    threading.Thread(target=ask, daemon=True).start()
