"""Generation samples: teacher and student side by side, greedy and sampled, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..data.tokens import DataError
from ..model.llama import Llama
from .chat import Chat
from .decoding import Decoding, generate
from .tasks import MeasuringTask, Record, Setup

CHAT_PROMPTS = (
    "What is the capital of France, and what is it known for?",
    "Write a short poem about the sea.",
    "Explain in two sentences why the sky is blue.",
    "List three tips for learning a new language.",
    "Write a Python function that reverses a string.",
    "A train travels 60 km in 45 minutes. What is its average speed in km per hour?",
    "Summarise the story of the hare and the tortoise in one paragraph.",
    "Suggest a name for a small bakery by the harbour and say why it fits.",
)
TEXT_PROMPTS = (
    "Once upon a time, there was a little girl named Lily who",
    "One day, a small brown bear found a shiny key under a tree. He",
    "Tom and his friend Anna wanted to build a boat. First they",
    "The old turtle lived by the pond. Every morning",
)
_FORM = 'Lines are {"prompt": …} or {"messages": […]}.'


class Turn(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    content: str


class Prompt(BaseModel):
    """One line of a prompts file: a user's `prompt`, or all `messages`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: str | None = Field(default=None, min_length=1)
    messages: list[Turn] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Prompt:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        return self

    @property
    def turns(self) -> list[dict[str, str]]:
        if self.messages is not None:
            return [turn.model_dump() for turn in self.messages]
        return [{"role": "user", "content": self.prompt or ""}]


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a JSON-lines file. Raises DataError that names the line."""
    prompts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            prompts.append(Prompt.model_validate_json(line))
        except ValidationError as error:
            wrong = "; ".join(item["msg"] for item in error.errors())
            raise DataError(f"{path}, line {number}: {wrong}", _FORM) from None
    if not prompts:
        raise DataError(f"{path} holds no prompts", _FORM)
    return prompts


class SamplesTask(MeasuringTask):
    """Writes the samples of all subjects to one file; the record says how long greedy answers stay the teacher's."""

    name = "samples"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        built_in = CHAT_PROMPTS if setup.chat.has_template else TEXT_PROMPTS
        path = self.plan.prompts
        prompts = [Prompt(prompt=text) for text in built_in] if path is None else read_prompts(path)
        self.prompts = prompts[: self.plan.limit]
        plan = self.plan
        modes = {"greedy": Decoding(plan.max_new_tokens, setup.chat.special.eos)}
        if plan.temperature > 0:
            modes["sampled"] = Decoding(
                plan.max_new_tokens, setup.chat.special.eos, plan.temperature, plan.top_p, plan.seed
            )
        self.modes = modes
        self._teacher: dict[str, list[list[int]]] | None = None
        self._written = False

    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        if self._teacher is None:
            self._teacher = self._answer(self.setup.teacher, "teacher")
        own, lines, shared = self._answer(student, subject), [], []
        chat = self.setup.chat
        for mode, decoding in self.modes.items():
            for prompt, ours, theirs in zip(self.prompts, own[mode], self._teacher[mode], strict=True):
                common = common_prefix(ours, theirs)
                if mode == "greedy":
                    shared.append(common)
                line: dict[str, Any] = {
                    "family": self.setup.family,
                    "subject": subject,
                    "mode": mode,
                    **(
                        {}
                        if mode == "greedy"
                        else {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": decoding.seed}
                    ),
                    "messages": prompt.turns,
                    "teacher": chat.decode(theirs),
                    "student": chat.decode(ours),
                    "tokens": {"teacher": len(theirs), "student": len(ours), "common_prefix": common},
                }
                lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        self.plan.samples.parent.mkdir(parents=True, exist_ok=True)
        with self.plan.samples.open("a" if self._written else "w", encoding="utf-8") as file:
            file.writelines(lines)
        self._written = True
        yield {
            "dtype": self.plan.dtype,
            "file": self.plan.samples.name,
            "prompts": len(self.prompts),
            "greedy_common_prefix": sum(shared) / len(shared),
        }

    def _answer(self, model: Llama, who: str) -> dict[str, list[list[int]]]:
        ids = [prompt_ids(self.setup.chat, prompt) for prompt in self.prompts]
        step = self.setup.progress.counter(f"samples {who}", len(ids) * len(self.modes))
        plan = self.plan
        return {
            mode: generate(model, ids, decoding, plan.budget, plan.dtype, step) for mode, decoding in self.modes.items()
        }


def prompt_ids(chat: Chat, prompt: Prompt) -> list[int]:
    return chat.ids(chat.text(prompt.turns))


def common_prefix(a: list[int], b: list[int]) -> int:
    """Number of tokens that both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
