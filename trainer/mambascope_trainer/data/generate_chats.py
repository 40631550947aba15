"""Files of chats: the teacher's answers, and preference pairs of the teacher's answer and a student's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..model.llama import Llama
from .answers import Answerer, Messages, PromptSource, Sampling
from .chat import ChatFormat
from .errors import DataError
from .preferences import Pair, write_pairs

#: Batches in a row without a single usable line, after which sampled prompts are given up.
FRUITLESS = 20


@dataclass(frozen=True)
class ChatRequest:
    """What to make: `count` lines at most, rows of `length` tokens, `batch` at a time.

    Prompts come from `prompts`, or are sampled, at most `longest_prompt` tokens of the user's.
    """

    count: int
    length: int
    batch: int
    seed: int
    prompts: Path | None = None
    longest_prompt: int = 256
    prompting: Sampling = field(default_factory=Sampling)
    teacher: Sampling = field(default_factory=Sampling)
    student: Sampling = field(default_factory=Sampling)


def generate_answers(model: Llama, chat: ChatFormat, out: Path, request: ChatRequest) -> dict[str, int]:
    """Write {"messages": […]} lines whose last turn is the teacher's whole answer; returns their number and tokens."""
    answerer = Answerer(model, chat.markers.end_of_turn, request.batch, request.length, request.seed, request.teacher)
    report = _Report("answers", request.count)
    with _opened(out).open("w", encoding="utf-8") as file:
        for chats in _rounds(model, chat, request, report):
            prompts = [chat.prompt(messages) for messages in chats]
            for messages, answer in zip(chats, answerer.answers(prompts), strict=True):
                if answer[-1:] != [answerer.end] or len(answer) < 2 or report.full:
                    report.dropped += 1
                    continue
                text = chat.tokenizer.decode(answer[:-1], skip_special_tokens=False)
                turns = [*messages, {"role": "assistant", "content": text}]
                file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
                report.add(len(answer))
            file.flush()
    return report.result()


def generate_preferences(
    teacher: Llama, student: Llama, chat: ChatFormat, out: Path, request: ChatRequest
) -> dict[str, int]:
    """Write pairs (see `preferences`): the teacher's whole answer is chosen, the student's, which may be cut off,
    rejected; returns their number and tokens."""
    end = chat.markers.end_of_turn
    chosen_by = Answerer(teacher, end, request.batch, request.length, request.seed, request.teacher)
    rejected_by = Answerer(student, end, request.batch, request.length, request.seed + 1, request.student)
    report = _Report("preferences", request.count)
    _opened(out).write_text("")
    for chats in _rounds(teacher, chat, request, report):
        prompts = [chat.prompt(messages) for messages in chats]
        chosen = chosen_by.answers(prompts)
        whole = [i for i, answer in enumerate(chosen) if answer[-1:] == [end] and len(answer) > 1]
        rejected = rejected_by.answers([prompts[i] for i in whole])
        pairs = [Pair(prompts[i], chosen[i], other) for i, other in zip(whole, rejected, strict=True)]
        kept = [pair for pair in pairs if pair.rejected and pair.chosen != pair.rejected][: report.missing]
        report.dropped += len(chats) - len(kept)
        write_pairs(out, kept)
        for pair in kept:
            report.add(len(pair.chosen) + len(pair.rejected))
    return report.result()


class _Report:
    """Counts lines, and says how far it is."""

    def __init__(self, phase: str, count: int) -> None:
        self.phase, self.count, self.made, self.tokens, self.dropped = phase, count, 0, 0, 0
        self.started = time.perf_counter()

    @property
    def missing(self) -> int:
        return self.count - self.made

    @property
    def full(self) -> bool:
        return self.made >= self.count

    def add(self, tokens: int) -> None:
        self.made += 1
        self.tokens += tokens

    def show(self) -> None:
        seconds = round(time.perf_counter() - self.started, 1)
        print(json.dumps({"phase": self.phase, **self.result(), "seconds": seconds}), flush=True)

    def result(self) -> dict[str, int]:
        return {"made": self.made, "tokens": self.tokens, "dropped": self.dropped}


def _rounds(model: Llama, chat: ChatFormat, request: ChatRequest, report: _Report) -> Iterator[list[Messages]]:
    """Batches of prompts until enough is made. Raises DataError if sampled prompts lead to nothing."""
    source = PromptSource(
        model, chat, request.batch, request.longest_prompt, request.seed + 2, request.prompts, request.prompting
    )
    fruitless = 0
    while not report.full:
        before = report.made
        chats = source.take()
        if not chats and request.prompts is not None:
            break
        if chats:
            yield chats
            report.show()
        fruitless = 0 if report.made > before else fruitless + 1
        if fruitless == FRUITLESS:
            raise DataError(
                f"{FRUITLESS} batches of prompts gave no whole answer in {request.length} tokens",
                "Raise --length, or give prompts in a file.",
            )


def _opened(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out
