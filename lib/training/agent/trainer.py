"""Runs one of the trainer's commands to its end, for what is done with a run outside of its job."""

from __future__ import annotations

import json
import os
from typing import Dict, List, Optional

from .core import AgentError, Call, Params, op, root
from .process import execute

LONGEST_SECONDS = 3600.0


@op("trainer")
def trainer(call: Call, params: Params) -> object:
    """Runs `python -m mambascope_trainer <argv>` in the root; sends its lines as events. Raises the command's own error.

    python, trainer: absolute paths (interpreter, the folder of the package).
    """
    python, package, argv = params.text("python"), params.text("trainer"), params.texts("argv")
    if not os.path.isabs(python) or not os.path.isabs(package):
        raise AgentError("bad-request", "python and trainer must be absolute paths.")
    told: List[Dict[str, str]] = []

    def take(line: str) -> None:
        error = _error_in(line)
        if error is not None:
            told[:] = [error]
        elif line:
            call.event({"line": line[:2000]})

    finished = execute(
        [python, "-m", "mambascope_trainer", *argv],
        call=call,
        cwd=root(),
        # No GPU: what is done here is small, and a run may be using them all.
        env={"PYTHONPATH": package, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=LONGEST_SECONDS,
        on_line=take,
    )
    if finished.code == 0:
        return None
    if told:
        raise AgentError(told[0]["code"], told[0]["message"], told[0]["action"])
    last = finished.err.strip().splitlines()
    raise AgentError("trainer-failed", "The trainer's %s failed%s" % (argv[0] if argv else "command", ": " + last[-1] if last else "."), "Try again; if it happens again, run it on the command line.")


def _error_in(line: str) -> Optional[Dict[str, str]]:
    """The error that the trainer tells programs: `{"error": {code, message, action}}`."""
    try:
        error = json.loads(line)["error"]
        return {name: str(error[name]) for name in ("code", "message", "action")}
    except (ValueError, KeyError, TypeError):
        return None
