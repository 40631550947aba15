"""Choice accuracy: which of several continuations, or of two sentences, a model finds likelier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ..bundle.manifest import SpecialTokens
from ..model.llama import Llama
from .arithmetic import Dtype
from .choice_data import ChoiceFile, Pair, PromptForm, Question
from .scoring import Request, Score, score
from .statistics import difference, mean

#: Before and after the context; a choice follows after one space. "question" is lm-evaluation-harness's PIQA.
PROMPTS: dict[PromptForm, tuple[str, str]] = {"question": ("Question: ", "\nAnswer:"), "plain": ("", "")}


class Encoder:
    """Text to tokens, with the token that starts a text before what has no context of its own."""

    def __init__(self, tokenizer: Tokenizer, special: SpecialTokens) -> None:
        self.tokenizer = tokenizer
        self.bos = () if special.bos is None else (special.bos,)
        # A family without a BOS separates texts by the last of its end tokens: that is where a text starts.
        self.start = self.bos or special.eos[-1:]

    def ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def continuation(self, context: str, rest: str) -> Request:
        """`rest` after `context`, tokenised as one text and split where the context's own tokens end."""
        whole = self.ids(context + rest)
        cut = min(len(self.ids(context)), len(whole) - 1)
        return Request(self.bos + whole[:cut] if cut else self.start, whole[cut:])

    def whole(self, text: str) -> Request:
        """All of a text, from its start."""
        return Request(self.start, self.ids(text))


@dataclass(frozen=True)
class Choices:
    """What a model chose of each item (an index), and whether it is right."""

    chosen: list[int]
    right: list[float]


def best(scores: Sequence[float], answer: int) -> tuple[int, float]:
    """Index of the highest score, the first among equals, and whether it is the answer."""
    index = int(np.argmax(scores))
    return index, float(index == answer)


def question_requests(questions: Sequence[Question], encoder: Encoder, prompt: PromptForm) -> list[Request]:
    """One request a choice, question after question."""
    before, after = PROMPTS[prompt]
    return [
        encoder.continuation(f"{before}{question.context}{after}", f" {choice}")
        for question in questions
        for choice in question.choices
    ]


def question_choices(questions: Sequence[Question], scores: Sequence[Score]) -> dict[str, Choices]:
    """`acc`: the likeliest choice; `acc_norm`: the likeliest a byte."""
    chosen: dict[str, list[tuple[int, float]]] = {"acc": [], "acc_norm": []}
    place = 0
    for question in questions:
        own = [item.log_prob for item in scores[place : place + len(question.choices)]]
        place += len(question.choices)
        bytes_ = [len(choice.encode()) for choice in question.choices]
        chosen["acc"].append(best(own, question.answer))
        chosen["acc_norm"].append(best([s / b for s, b in zip(own, bytes_, strict=True)], question.answer))
    return {name: Choices([i for i, _ in pairs], [r for _, r in pairs]) for name, pairs in chosen.items()}


def pair_requests(pairs: Sequence[Pair], encoder: Encoder) -> list[Request]:
    """The good sentence, then the bad one, pair after pair."""
    return [encoder.whole(sentence) for pair in pairs for sentence in (pair.good, pair.bad)]


def pair_choices(scores: Sequence[Score]) -> dict[str, Choices]:
    """`acc`: the good sentence is the likelier one; a tie is wrong."""
    good = [scores[i].log_prob > scores[i + 1].log_prob for i in range(0, len(scores), 2)]
    return {"acc": Choices([0 if g else 1 for g in good], [float(g) for g in good])}


def choose(
    model: Llama,
    data: ChoiceFile,
    encoder: Encoder,
    prompt: PromptForm,
    budget: int,
    dtype: Dtype,
    step: Callable[[int], None] | None = None,
) -> dict[str, Choices]:
    """A model's choices of every item, by score name. `step` is told of scored requests."""
    if data.pairs:
        return pair_choices(score(model, pair_requests(data.pairs, encoder), budget, dtype, step))
    requests = question_requests(data.questions, encoder, prompt)
    return question_choices(data.questions, score(model, requests, budget, dtype, step))


def compare_choices(student: dict[str, Choices], teacher: dict[str, Choices], data: ChoiceFile) -> dict[str, Any]:
    """Accuracies (shares), the student's minus the teacher's in points with its paired standard error, the share of
    items on which both choose the same, and for pairs the student's and teacher's accuracy a paradigm."""
    record: dict[str, Any] = {"items": len(data)}
    for name, own in student.items():
        theirs = teacher[name]
        ours, other = mean(own.right), mean(theirs.right)
        delta = difference(own.right, theirs.right)
        record[name] = {
            "value": ours.value,
            "stderr": ours.error,
            "teacher": other.value,
            "teacher_stderr": other.error,
            "delta_points": 100 * delta.value,
            "delta_stderr": 100 * delta.error,
            "same_choice": float(np.mean([a == b for a, b in zip(own.chosen, theirs.chosen, strict=True)])),
        }
    if data.pairs:
        shares = [paradigm_accuracies(data.pairs, chosen["acc"].right) for chosen in (student, teacher)]
        record["paradigms"] = {name: {"value": shares[0][name], "teacher": shares[1][name]} for name in shares[0]}
    return record


def paradigm_accuracies(pairs: Sequence[Pair], right: Sequence[float]) -> dict[str, float]:
    """Accuracy a paradigm, in the order of the file."""
    grouped: dict[str, list[float]] = {}
    for pair, value in zip(pairs, right, strict=True):
        grouped.setdefault(pair.paradigm, []).append(value)
    return {name: float(np.mean(values)) for name, values in grouped.items()}
