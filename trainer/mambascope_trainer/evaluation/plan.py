"""What `evaluate` does, as one checked document: from a JSON file, the command line, or both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import MambascopeError
from ..run.config import invalid_fields
from .arithmetic import Dtype
from .choice_data import PromptForm
from .haystack import NeedleKind

Task = Literal["agreement", "choice", "needle", "samples", "answers", "judge"]
TASKS: tuple[Task, ...] = ("agreement", "choice", "needle", "samples", "answers", "judge")

Positive = Annotated[int, Field(gt=0)]
#: A path, or `name=path` to record it under another name than its own.
Source = Annotated[str, Field(min_length=1)]


class PlanError(MambascopeError):
    """A plan that cannot be carried out; the message names each field."""

    def __init__(self, message: str, action: str = "Correct the options, or the plan's file.") -> None:
        super().__init__("plan-invalid", message, action)


class Plan(BaseModel):
    """All options of `evaluate`; the command line's names with underscores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: list[Path] = Field(default=[], description="folders of the family")
    variants: list[str] = Field(default=[], description="variants of the bundle")
    patterns: list[str] = Field(default=[], description="layer patterns, such as a.m~attn50")
    runs: list[Path] = Field(
        default=[], description="run directories, or directory@pattern with m~run for the run's mixers; by codec"
    )
    codecs: list[Literal["f32", "q8_0", "q4_0"]] = Field(default=["f32", "q4_0"], description="for runs")
    tasks: list[Task] = Field(default=[], description="none: agreement and choice, as far as data for them is named")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = Field(default="float32", description="the layers' arithmetic; the LM head is float32 in both")
    seq_len: Positive = Field(default=1024, description="tokens a window of text and rows")
    batch: Positive = Field(default=8, description="windows a batch; batch x seq_len tokens is every task's limit")
    limit: Positive | None = Field(default=None, description="at most this many windows, items or questions of a file")
    text: list[Source] = Field(default=[], description="agreement: text files, [name=]path")
    rows: list[Source] = Field(default=[], description="agreement: data folders, [name=]path")
    choice: list[Source] = Field(default=[], description="choice: JSON lines in PIQA's or BLiMP's form, [name=]path")
    choice_prompts: list[PromptForm] = Field(
        default=["question"], description="choice: lm-evaluation-harness's prompt, or the bare context"
    )
    needle_lengths: list[Positive] = Field(default=[512, 1024, 2048, 4096], description="needle: tokens a prompt")
    needle_depths: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        default=[0, 0.25, 0.5, 0.75, 1], description="needle: where it lies, 0 first to 1 last"
    )
    needle_trials: Positive = Field(default=10, description="needle: seeded trials a cell")
    needle_kind: NeedleKind = "number"
    prompts: Path | None = Field(default=None, description="samples: JSON lines of prompt or messages; or built in")
    samples: Path = Field(default=Path("samples.jsonl"), description="samples: the file to write")
    max_new_tokens: Positive = Field(default=128, description="samples and answers: the most tokens of an answer")
    temperature: float = Field(default=0.7, ge=0, description="samples: of the sampled ones, beside greedy ones")
    top_p: float = Field(default=0.95, gt=0, le=1)
    questions: Path | None = Field(default=None, description="answers: questions in MT-Bench's form (JSON lines)")
    instructions: Path | None = Field(default=None, description="answers: instructions in AlpacaEval's form (JSON)")
    answers: Path = Field(default=Path("answers"), description="answers, judge: the folder of answers and judgements")
    judge_url: str | None = Field(default=None, description="judge: base URL of an OpenAI-compatible endpoint (…/v1)")
    judge_model: str | None = Field(default=None, description="judge: the model to ask")
    judge_key_env: str = Field(default="OPENAI_API_KEY", description="judge: environment variable that holds the key")
    judge_parallel: Positive = Field(default=4, description="judge: requests under way at a time")
    seed: int = Field(default=0, ge=0)
    out: Path | None = Field(default=None, description="also write the records to this JSON file")
    results: Path | None = Field(default=None, description="also add quality.* entries to this results file")

    @model_validator(mode="after")
    def _complete(self) -> Plan:
        tasks = self.chosen_tasks
        if not tasks:
            raise ValueError("name data (text, rows, choice) or tasks")
        if set(tasks) - {"judge"}:
            if not self.bundle:
                raise ValueError("bundle: name the family's folders")
            if not (self.variants or self.patterns or self.runs):
                raise ValueError("name at least one of variants, patterns and runs")
        needed: dict[str, tuple[object, str]] = {
            "agreement": (self.text or self.rows, "text or rows"),
            "choice": (self.choice, "choice"),
            "answers": (self.questions or self.instructions, "questions or instructions"),
            "judge": (self.questions or self.instructions, "questions or instructions"),
        }
        for task in tasks:
            if task in needed and not needed[task][0]:
                raise ValueError(f"the task {task} needs {needed[task][1]}")
        return self

    @property
    def chosen_tasks(self) -> list[Task]:
        """The tasks in the order in which they run."""
        given: list[Task] = self.tasks or [
            *(["agreement"] if self.text or self.rows else []),  # type: ignore[list-item]
            *(["choice"] if self.choice else []),  # type: ignore[list-item]
        ]
        return [task for task in TASKS if task in given]

    @property
    def budget(self) -> int:
        """Tokens a batch, padding included, of tasks whose items differ in length."""
        return self.batch * self.seq_len


def read_plan(path: Path | None, options: dict[str, Any]) -> Plan:
    """The plan of a file (or none), with `options` in the place of its fields. Raises PlanError."""
    fields: dict[str, Any] = {}
    if path is not None:
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise PlanError(f"{path}: not JSON ({error})") from None
        if not isinstance(fields, dict):
            raise PlanError(f"{path}: not an object")
    try:
        return Plan.model_validate({**fields, **options})
    except ValidationError as error:
        raise PlanError(f"the evaluation plan is not valid:\n{invalid_fields(error)}") from None


def named_source(source: str) -> tuple[str, Path]:
    """`name=path` or `path` to the name to record and the path."""
    name, equals, path = source.partition("=")
    if equals and name and "/" not in name:
        return name, Path(path)
    return Path(source).name, Path(source)
