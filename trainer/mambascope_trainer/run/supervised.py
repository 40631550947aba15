"""What a command and the runner of a job that started it agree on, by environment variables."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ..errors import MambascopeError
from ..files import replace_text

#: Set for the steps of a job: status.json belongs to the runner, and what a step prints goes to log.txt.
JOB = "MAMBASCOPE_JOB"
#: The file to which a command that fails writes its error.
ERROR_FILE = "MAMBASCOPE_ERROR_FILE"
#: The file of the run directory in which a step writes its status; the runner makes status.json of it.
STEP_STATUS = "step.json"


def is_supervised() -> bool:
    return JOB in os.environ


def report_error(error: MambascopeError) -> bool:
    """Tell the runner why this command fails (of several processes the last one counts); false if there is none."""
    path = os.environ.get(ERROR_FILE)
    if not path:
        return False
    with contextlib.suppress(OSError):
        replace_text(Path(path), json.dumps(error.to_json()))
    return True
