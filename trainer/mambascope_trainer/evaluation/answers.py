"""Answers to MT-Bench and AlpacaEval in those benchmarks' own files, so that their tools can judge them too.

MT-Bench (arXiv 2306.05685): `mt_bench/model_answer/<model>.jsonl`, a line a question. AlpacaEval (arXiv 2404.04475):
`alpaca_eval/<model>.json`, a list.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..data.tokens import DataError
from ..model.llama import Llama
from .decoding import Decoding, generate
from .tasks import MeasuringTask, Record, Setup

#: Temperature of MT-Bench's answers by category; 0.7 for others.
TEMPERATURES = {"extraction": 0.0, "math": 0.0, "coding": 0.0, "reasoning": 0.0, "stem": 0.1, "humanities": 0.1}
MT_BENCH, ALPACA_EVAL = "mt_bench", "alpaca_eval"


class Question(BaseModel):
    """One question of MT-Bench: the user's turns, asked one after another."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    question_id: int | str
    category: str = ""
    turns: list[str] = Field(min_length=1)


class Instruction(BaseModel):
    """One instruction of AlpacaEval; other fields (`dataset`, say) are kept in the answer."""

    model_config = ConfigDict(extra="allow", frozen=True)

    instruction: str = Field(min_length=1)


def read_questions(path: Path) -> list[Question]:
    """JSON lines in MT-Bench's form. Raises DataError that names the line."""
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            questions.append(Question.model_validate_json(line))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise DataError(
                f"{path}, line {number}: {wrong}", 'Lines are {"question_id", "category", "turns"}.'
            ) from None
    return questions


def read_instructions(path: Path) -> list[Instruction]:
    """A JSON list in AlpacaEval's form. Raises DataError."""
    try:
        return TypeAdapter(list[Instruction]).validate_json(path.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise DataError(f"{path}: {wrong}", 'The file is a JSON list of {"instruction": …}.') from None


def model_id(family: str, subject: str) -> str:
    """A model's name in answer files, fit for a file's name."""
    return re.sub(r"[^A-Za-z0-9_.~-]+", "_", f"{family}-{subject}")


class AnswersTask(MeasuringTask):
    """Writes the answers of every subject, and once those of the teacher."""

    name = "answers"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        plan = self.plan
        self.questions = read_questions(plan.questions)[: plan.limit] if plan.questions else []
        self.instructions = read_instructions(plan.instructions)[: plan.limit] if plan.instructions else []
        self._teacher_done = False

    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        if not self._teacher_done:
            self._write(self.setup.teacher, "teacher")
            self._teacher_done = True
        yield {"dtype": self.plan.dtype, "files": self._write(student, subject)}

    def _write(self, model: Llama, subject: str) -> list[str]:
        """The files written, relative to the folder of answers."""
        name, files = model_id(self.setup.family, subject), []
        if self.questions:
            turns = self._turns(model, subject)
            lines = [_mt_bench_line(question, name, own) for question, own in zip(self.questions, turns, strict=True)]
            files.append(self._save(f"{MT_BENCH}/model_answer/{name}.jsonl", "".join(lines)))
        if self.instructions:
            decoding = Decoding(self.plan.max_new_tokens, self.setup.chat.special.eos)
            conversations = [[_turn("user", item.instruction)] for item in self.instructions]
            answers = self._answer(model, conversations, decoding, f"alpaca_eval {subject}")
            items = [
                {**item.model_dump(), "output": answer, "generator": name}
                for item, answer in zip(self.instructions, answers, strict=True)
            ]
            files.append(self._save(f"{ALPACA_EVAL}/{name}.json", json.dumps(items, indent=1, ensure_ascii=False)))
        return files

    def _turns(self, model: Llama, subject: str) -> list[list[str]]:
        """The answers to each question's turns; questions of one temperature are decoded together."""
        given: list[list[str]] = [[] for _ in self.questions]
        for temperature in sorted({_temperature(question) for question in self.questions}):
            for turn in range(max(len(question.turns) for question in self.questions)):
                places = [
                    i for i, q in enumerate(self.questions) if _temperature(q) == temperature and turn < len(q.turns)
                ]
                if not places:
                    continue
                talks = [_conversation(self.questions[i].turns[: turn + 1], given[i]) for i in places]
                eos, seed = self.setup.chat.special.eos, self.plan.seed + turn
                decoding = Decoding(self.plan.max_new_tokens, eos, temperature, self.plan.top_p, seed)
                phase = f"mt_bench {subject}, turn {turn + 1}, temperature {temperature}"
                for place, answer in zip(places, self._answer(model, talks, decoding, phase), strict=True):
                    given[place].append(answer)
        return given

    def _answer(
        self, model: Llama, conversations: Sequence[list[dict[str, str]]], decoding: Decoding, phase: str
    ) -> list[str]:
        chat, plan = self.setup.chat, self.plan
        prompts = [chat.ids(chat.text(messages)) for messages in conversations]
        step = self.setup.progress.counter(phase, len(prompts))
        answers = generate(model, prompts, decoding, plan.budget, plan.dtype, step)
        return [chat.decode(answer).strip() for answer in answers]

    def _save(self, file: str, text: str) -> str:
        path = self.plan.answers / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return file


def _temperature(question: Question) -> float:
    return TEMPERATURES.get(question.category, 0.7)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _conversation(asked: Sequence[str], answered: Sequence[str]) -> list[dict[str, str]]:
    """The user's turns with the assistant's answers between them; the last turn is still open."""
    messages = []
    for place, question in enumerate(asked):
        messages.append(_turn("user", question))
        if place < len(asked) - 1:
            messages.append(_turn("assistant", answered[place]))
    return messages


def _mt_bench_line(question: Question, name: str, turns: list[str]) -> str:
    line: dict[str, Any] = {
        "question_id": question.question_id,
        "answer_id": uuid.uuid4().hex[:22],
        "model_id": name,
        "choices": [{"index": 0, "turns": turns}],
        "tstamp": time.time(),
    }
    return json.dumps(line, ensure_ascii=False) + "\n"
