"""Runs a job's steps in their order, as child processes, and writes status.json."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import MambascopeError
from ..files import file_error, replace_text
from .commands import Command, nears_time_limit
from .identity import children, descendants, own_identity
from .lock import RunLock
from .plan import Job, Places, Step, read_job
from .status import JobStatus

#: Seconds between two looks at the running step, and the longest between two writes of status.json.
LOOK, BEAT = 0.5, 4.0

#: Free bytes below which a step that failed without a word did so for want of space.
FULL = 128 * 1024

_PROGRESS, _ERROR = "progress.json", ".error.json"


class Runner:
    """One run of a job, from its first unfinished step. `run` returns the final state; one runner a process.

    places: the folders that job.json's placeholders stand for.
    """

    def __init__(self, places: Places) -> None:
        self.places, self.folder = places, Path(places.folders["run"])
        self.status = JobStatus(self.folder, own_identity())
        self.signals = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._passed = 0

    def run(self) -> str:
        """ "finished", "stopped" or "failed". Raises MambascopeError `run-busy` if another runner works here."""
        with RunLock(self.folder, own_identity()) as lock, self._signals():
            self.status.fields |= {"started": time.time()}
            try:
                state, fields = self._run(lock.handle)
            except MambascopeError as error:
                state, fields = "failed", error.to_json()
            except OSError as error:
                state, fields = "failed", file_error(error).to_json()
            self._log(_last_words(state, fields))
            self.status.write(state, **fields)
            self.status.release()
            return state

    def _run(self, lock: int) -> tuple[str, dict[str, Any]]:
        job = read_job(self.folder / "job.json")
        self.status.fields |= {"launcher": job.launcher.kind, "phases": len(job.steps)}
        self.status.reserve()
        self.status.listen()  # how far an earlier runner came
        done = self._done(job)
        for index, step in enumerate(job.steps):
            self.status.fields |= {"phase": step.name, "phase_index": index}
            if step.name in done:
                self.status.told |= done[step.name].get("told", {})
                continue
            if self.signals:
                return "stopped", {}
            self.status.write("running")
            started = time.time()
            if step.skip_if is not None and Path(self.places.fill(step.skip_if)).exists():
                self._log(f"step {index + 1} of {len(job.steps)}: {step.title}: there already")
            else:
                self._log(f"step {index + 1} of {len(job.steps)}: {step.title}")
                code = self._execute(step, job, lock)
                if code != 0 or self._stopped_itself():
                    return self._ended_early(step, code)
            done[step.name] = {"started": started, "ended": time.time(), "told": self.status.told}
            replace_text(self.folder / _PROGRESS, json.dumps({"steps": done}))
        return "finished", {}

    def _done(self, job: Job) -> dict[str, dict[str, Any]]:
        """The finished steps of an earlier run; those after the first unfinished one do not count."""
        try:
            recorded = json.loads((self.folder / _PROGRESS).read_text(encoding="utf-8"))["steps"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        done: dict[str, dict[str, Any]] = {}
        for step in job.steps:
            if step.name not in recorded:
                break
            done[step.name] = recorded[step.name]
        return done

    def _execute(self, step: Step, job: Job, lock: int) -> int:
        """Run one step to its end; its exit code."""
        error_file = self.folder / _ERROR
        error_file.unlink(missing_ok=True)
        self.status.forget_step()
        command = Command(step, job, self.places, error_file, os.environ)
        with (self.folder / "log.txt").open("ab") as log:
            self._child = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.places.folders["root"],
                env=command.environment,
                process_group=0,
                pass_fds=[lock],
                preexec_fn=_end_with_parent(),
            )
        self._passed = 0
        while True:
            try:
                code = self._child.wait(LOOK)
                break
            except subprocess.TimeoutExpired:
                self._pass_signals(self._child, command)
                self.status.beat(BEAT)
        self._child = None
        self.status.listen()
        return code

    def _pass_signals(self, child: subprocess.Popen[bytes], command: Command) -> None:
        """The first signal asks the step to checkpoint and end; another one ends it at once."""
        if self.signals == self._passed:
            return
        self._passed = self.signals
        if self.signals > 1:
            for pid in [child.pid, *descendants(child.pid)]:
                _send(pid, signal.SIGKILL)
            return
        self._log("stopping: the step is asked to checkpoint and end")
        if command.hosts > 1:
            # srun would end its step at a signal; SLURM brings this one to the processes of every host.
            subprocess.run(["scancel", "--signal=TERM", os.environ["SLURM_JOB_ID"]], check=False, timeout=60)
        elif command.torchrun:
            # torchrun itself would wait only so long for its processes to checkpoint; before it has any, it ends.
            for pid in children(child.pid) or [child.pid]:
                _send(pid, signal.SIGTERM)
        else:
            child.terminate()

    def _stopped_itself(self) -> bool:
        return self.status.step.get("state") == "stopped"

    def _ended_early(self, step: Step, code: int) -> tuple[str, dict[str, Any]]:
        try:
            error = json.loads((self.folder / _ERROR).read_text(encoding="utf-8"))
            (self.folder / _ERROR).unlink()
        except (OSError, ValueError):
            error = None
        if error is None and (self.signals or (code == 0 and self._stopped_itself())):
            return "stopped", self._why_stopped()
        return "failed", error or self._guess(step, code).to_json()

    def _why_stopped(self) -> dict[str, Any]:
        if self.signals > 1:
            return {"message": "It was ended at once.", "action": "Resume it: it goes on from the last checkpoint."}
        if nears_time_limit(os.environ):
            return {"message": "The job neared its time limit.", "action": "Resume it: it goes on where it stopped."}
        return {}

    def _guess(self, step: Step, code: int) -> MambascopeError:
        """What a step that gave no error failed by."""
        if shutil.disk_usage(self.folder).free < FULL:
            return file_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder)))
        told = self.status.step.get("message") if self.status.step.get("state") == "failed" else None
        if isinstance(told, str):
            out = "OutOfMemoryError" in told or "out of memory" in told
            action = "Use a smaller batch or a shorter length, then resume." if out else "See log.txt, then resume."
            return MambascopeError("step-failed", told, action)
        if code == -signal.SIGKILL:
            return MambascopeError(
                "step-killed",
                f"“{step.title}” was killed by the system, which does so when memory runs out.",
                "Use a smaller batch or free memory, then resume.",
            )
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return MambascopeError("step-failed", f"“{step.title}” ended {how}.", "See the end of log.txt, then resume.")

    def _log(self, message: str) -> None:
        """A line of log.txt; on a full disk none."""
        with contextlib.suppress(OSError), (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")

    @contextlib.contextmanager
    def _signals(self) -> Any:
        def note(number: int, frame: FrameType | None) -> None:
            self.signals += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_with_parent() -> Callable[[], None] | None:
    """For a child before it starts: SIGTERM when the runner is killed, so that it checkpoints and ends (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc, runner = ctypes.CDLL(None), os.getpid()

    def set_signal() -> None:
        libc.prctl(1, int(signal.SIGTERM))  # PR_SET_PDEATHSIG
        if os.getppid() != runner:
            os.kill(os.getpid(), signal.SIGTERM)

    return set_signal


def _last_words(state: str, fields: dict[str, Any]) -> str:
    if "message" not in fields:
        return state
    return " ".join([f"{state}:", fields["message"], *([fields["action"]] if "action" in fields else [])])
