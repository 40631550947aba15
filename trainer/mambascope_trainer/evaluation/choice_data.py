"""Choice items from JSON lines: questions with answers to choose from (PIQA's form) and minimal pairs (BLiMP's)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..data.tokens import DataError

PromptForm = Literal["question", "plain"]


class Question(BaseModel):
    """A context, answers to choose from, and the right one's index."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    context: str = Field(min_length=1)
    choices: list[str] = Field(min_length=2)
    answer: int = Field(ge=0)

    @model_validator(mode="after")
    def _answer_exists(self) -> Question:
        if self.answer >= len(self.choices):
            raise ValueError(f"answer {self.answer} is not one of {len(self.choices)} choices")
        if not all(choice.strip() for choice in self.choices):
            raise ValueError("a choice is empty")
        return self


class Pair(BaseModel):
    """Two sentences that differ in one point of grammar (BLiMP, arXiv 1912.00582)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    paradigm: str
    good: str = Field(min_length=1)
    bad: str = Field(min_length=1)


@dataclass(frozen=True)
class ChoiceFile:
    """The items of one file, all of one form."""

    name: str
    questions: list[Question]
    pairs: list[Pair]

    def __len__(self) -> int:
        return len(self.questions) + len(self.pairs)


def read_choice_file(path: Path, name: str, limit: int | None = None) -> ChoiceFile:
    """Items of a file, the first line's form for all; with `limit`, that many spread evenly over the file.

    Raises DataError that names the line and what is wrong with it.
    """
    lines = [(n, line) for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path} holds no items", "Name a file of JSON lines.")
    kind = Pair if "good" in _parse(path, *lines[0]) else Question
    items: list[Question | Pair] = []
    for number, line in lines:
        try:
            items.append(kind.model_validate(_parse(path, number, line)))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'item'}: {e['msg']}" for e in error.errors())
            raise _bad_line(path, number, wrong) from None
    if limit is not None and limit < len(items):
        items = [items[i * len(items) // limit] for i in range(limit)]
    return ChoiceFile(name, [i for i in items if isinstance(i, Question)], [i for i in items if isinstance(i, Pair)])


def _parse(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise _bad_line(path, number, f"not JSON ({error.msg})") from None
    if not isinstance(item, dict):
        raise _bad_line(path, number, "not an object")
    return item


def _bad_line(path: Path, number: int, wrong: str) -> DataError:
    return DataError(
        f"{path}, line {number}: {wrong}",
        'Lines are {"context", "choices", "answer"} or {"paradigm", "good", "bad"}.',
    )
