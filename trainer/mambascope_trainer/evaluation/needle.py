"""The needle test: is a sentence at some depth of a long text found again at its end, a grid of lengths by depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..model.llama import Llama
from .arithmetic import Dtype
from .chat import Chat
from .decoding import Decoding, generate
from .haystack import Haystack, NeedleKind, make_haystack
from .scoring import Request, score
from .statistics import mean

#: Tokens that a greedy answer may take.
ANSWER_TOKENS = 16
#: Name to meaning: `answered` the greedy answer holds the needle; `top1` the share of the needle's tokens that are the
#: likeliest when those before are given; `log_prob` their mean log-probability (nat a token).
SCORES = ("answered", "top1", "log_prob")

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NeedleGrid:
    """What is asked: prompt lengths in tokens, depths 0..1, seeded trials a cell."""

    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    trials: int
    kind: NeedleKind
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.lengths), len(self.depths), self.trials

    def haystacks(self, chat: Chat) -> list[Haystack]:
        """All trials, lengths outermost. Trial n has the same needle in every cell."""
        return [
            make_haystack(chat, length, depth, self.kind, self.seed + trial)
            for length in self.lengths
            for depth in self.depths
            for trial in range(self.trials)
        ]


def find_needles(
    model: Llama,
    chat: Chat,
    grid: NeedleGrid,
    haystacks: Sequence[Haystack],
    budget: int,
    dtype: Dtype,
    step: Callable[[int], None] | None = None,
) -> dict[str, F64]:
    """A model's scores, each (lengths, depths, trials). `step` is told of finished passes: two a trial."""
    forced = score(model, [Request(h.prompt, h.needle) for h in haystacks], budget, dtype, step)
    decoding = Decoding(ANSWER_TOKENS, chat.special.eos)
    answers = generate(model, [h.prompt for h in haystacks], decoding, budget, dtype, step)
    found = [h.answer in chat.decode(answer) for h, answer in zip(haystacks, answers, strict=True)]
    values = {
        "answered": [float(right) for right in found],
        "top1": [item.hits / item.tokens for item in forced],
        "log_prob": [item.log_prob / item.tokens for item in forced],
    }
    return {name: np.array(values[name]).reshape(grid.shape) for name in SCORES}


def compare_needles(student: dict[str, F64], teacher: dict[str, F64], grid: NeedleGrid) -> dict[str, Any]:
    """The grid as JSON: for each score a mean a cell (`cells[length][depth]`), a mean a length, and the whole mean,
    the student's beside the teacher's."""
    record: dict[str, Any] = {
        "kind": grid.kind,
        "lengths": list(grid.lengths),
        "depths": list(grid.depths),
        "trials": grid.trials,
        "seed": grid.seed,
    }
    for name in SCORES:
        record[name] = {}
        for prefix, values in (("", student[name]), ("teacher_", teacher[name])):
            estimate = mean(values.flatten().tolist())
            record[name] |= {
                f"{prefix}value": estimate.value,
                f"{prefix}stderr": estimate.error,
                f"{prefix}by_length": [round(float(v), 5) for v in values.mean(axis=(1, 2))],
                f"{prefix}cells": [[round(float(v), 5) for v in row] for row in values.mean(axis=2)],
            }
    return record
