"""Grades answers from 1 to 10, one at a time, by a language model behind an OpenAI-compatible endpoint.

Single-answer grading after MT-Bench (arXiv 2306.05685, section 3.1), with wording of our own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.tokens import DataError
from ..progress import Progress
from .answers import ALPACA_EVAL, MT_BENCH, read_questions
from .endpoint import Endpoint, configured_endpoint
from .plan import Plan
from .statistics import mean

PROMPT_NAME = "single-answer"
SYSTEM = (
    "You grade the answers of AI assistants. You are fair and strict, and you judge what is said, not how much is said."
)
PROMPT = """Below are a conversation's question and an assistant's answer. Grade the answer to the last question.
Ask yourself: is it correct, does it do what was asked, is it useful and clear?
First give your reasons in a few sentences. Then end with the grade, a number from 1 (useless) to 10 (excellent), on a
line of its own in exactly this form: Rating: [[5]]

{conversation}"""
_RATING = re.compile(r"\[\[(\d+(?:\.\d+)?)\]\]")


@dataclass(frozen=True)
class Judged:
    """An answer to grade: one turn of one item of a model's."""

    model: str
    item: int | str
    turn: int
    conversation: tuple[tuple[str, str], ...]

    @property
    def prompt(self) -> str:
        parts = [f"[Question]\n{asked}\n\n[Answer]\n{answered}" for asked, answered in self.conversation]
        return PROMPT.format(conversation="\n\n".join(parts))


def rating(text: str) -> float | None:
    """The last grade of a judgement, or None if it holds none from 1 to 10."""
    found = [float(number) for number in _RATING.findall(text)]
    return found[-1] if found and 1 <= found[-1] <= 10 else None


def judge_answers(plan: Plan, progress: Progress) -> Iterator[dict[str, Any]]:
    """Grades all answer files of the plan's folder; one record a benchmark and model, worst grades not hidden:
    `unrated` counts judgements without a grade.

    Writes `<benchmark>/model_judgment/<judge>.jsonl`. Raises DataError for bad answer files, and JudgeError.
    """
    endpoint = configured_endpoint(plan.judge_url, plan.judge_model, plan.judge_key_env)
    benchmarks = {
        MT_BENCH: _mt_bench(plan) if plan.questions else [],
        ALPACA_EVAL: _alpaca_eval(plan) if plan.instructions else [],
    }
    for benchmark, items in benchmarks.items():
        if not items:
            continue
        step = progress.counter(f"judge {benchmark}", len(items))
        # The first answer alone: an endpoint that does not work is said at once, not once a thread.
        lines = [_grade(endpoint, items[0])]
        step(1)
        with ThreadPoolExecutor(plan.judge_parallel) as pool:
            for line in pool.map(lambda item: _grade(endpoint, item), items[1:]):
                lines.append(line)
                step(1)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", endpoint.model)
        path = plan.answers / benchmark / "model_judgment" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        yield from _records(benchmark, endpoint.model, lines)


def _grade(endpoint: Endpoint, item: Judged) -> dict[str, Any]:
    """A line in the form of FastChat's single-answer judgements."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": item.prompt}]
    judgement = endpoint.complete(messages)
    score = rating(judgement)
    return {
        "question_id": item.item,
        "model": item.model,
        "judge": [endpoint.model, PROMPT_NAME],
        "user_prompt": item.prompt,
        "judgment": judgement,
        "score": -1 if score is None else score,
        "turn": item.turn,
        "tstamp": time.time(),
    }


def _records(benchmark: str, judge: str, lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for model in dict.fromkeys(line["model"] for line in lines):
        own = [line for line in lines if line["model"] == model]
        rated = [line for line in own if line["score"] != -1]
        record: dict[str, Any] = {
            "task": "judge",
            "data": benchmark,
            "model": model,
            "judge": judge,
            "answers": len(own),
            "unrated": len(own) - len(rated),
        }
        if rated:
            grades = mean([line["score"] for line in rated])
            turns = {line["turn"] for line in rated}
            record |= {"score": grades.value, "stderr": grades.error if len(rated) > 1 else None}
            record["turns"] = {
                str(turn): mean([line["score"] for line in rated if line["turn"] == turn]).value
                for turn in sorted(turns)
            }
        yield record


def _mt_bench(plan: Plan) -> list[Judged]:
    assert plan.questions is not None
    questions = {question.question_id: question for question in read_questions(plan.questions)}
    items = []
    for path in _files(plan.answers / MT_BENCH / "model_answer", "*.jsonl"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                answer = json.loads(line)
                turns, question = answer["choices"][0]["turns"], questions[answer["question_id"]]
                pairs = tuple(zip(question.turns, turns, strict=True))
                name = str(answer["model_id"])
            except (ValueError, KeyError, IndexError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
                raise DataError(f"{path}, line {number}: not an answer to the questions ({problem})") from None
            items += [Judged(name, question.question_id, n, pairs[:n]) for n in range(1, len(pairs) + 1)]
    return items


def _alpaca_eval(plan: Plan) -> list[Judged]:
    items = []
    for path in _files(plan.answers / ALPACA_EVAL, "*.json"):
        try:
            for place, answer in enumerate(json.loads(path.read_text(encoding="utf-8"))):
                pair = (str(answer["instruction"]), str(answer["output"]))
                items.append(Judged(str(answer["generator"]), place, 1, (pair,)))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not AlpacaEval outputs ({type(error).__name__}: {error})") from None
    return items


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise DataError(f"there are no answers in {folder}", "Make them with the task answers.")
    return files
