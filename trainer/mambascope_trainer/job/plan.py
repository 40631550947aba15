"""job.json: what a run does, and how its steps become command lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import MambascopeError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
RunId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]


class JobError(MambascopeError):
    """job.json cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__("job-invalid", message, "Launch the run again; job.json is written by the launch.")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Step(_Strict):
    """argv: the trainer's arguments. skip_if: a path that, if it exists, shows that the step is done already."""

    name: Name
    title: str
    argv: Annotated[list[str], Field(min_length=1)]
    processes: Annotated[int, Field(ge=1)] | Literal["gpu"] = 1
    skip_if: str | None = None


class ProcessLauncher(_Strict):
    kind: Literal["process"]
    gpus: Literal["all", "none"] | list[Annotated[int, Field(ge=0)]] = "all"


class SlurmLauncher(_Strict):
    kind: Literal["slurm"]
    nodes: Annotated[int, Field(ge=1)] = 1
    gpusPerNode: Annotated[int, Field(ge=0)] = 0  # noqa: N815
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    cpusPerTask: Annotated[int, Field(ge=1)] | None = None  # noqa: N815
    memory: str | None = None
    constraint: str | None = None


class Job(_Strict):
    """job.json; the dashboard's schema is in lib/training/types.ts."""

    version: Literal[1]
    id: RunId
    name: str
    created: float
    family: str
    preset: str | None = None
    steps: Annotated[list[Step], Field(min_length=1)]
    launcher: Annotated[ProcessLauncher | SlurmLauncher, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _names_differ(self) -> Job:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
        return self


def read_job(path: Path) -> Job:
    """Raises JobError if the file is missing or not valid."""
    try:
        return Job.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise JobError(f"There is no {path}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise JobError(f"{path} is not JSON: {error}.") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'job'}: {e['msg']}" for e in error.errors())
        raise JobError(f"{path} is not valid: {problems}.") from None


class Places:
    """The folders that `{run}`, `{root}`, `{shipped}` and `{trainer}` stand for."""

    def __init__(self, run: Path, root: Path, shipped: Path, trainer: Path) -> None:
        self.folders: dict[str, Any] = {"run": run, "root": root, "shipped": shipped, "trainer": trainer}

    def fill(self, text: str) -> str:
        """The text with its placeholders replaced. Raises JobError for one that is unknown."""

        def place(match: re.Match[str]) -> str:
            if match[1] not in self.folders:
                raise JobError(f"{text!r} has the unknown placeholder {match[0]}.")
            return str(self.folders[match[1]])

        return re.sub(r"\{([a-z]+)\}", place, text)
