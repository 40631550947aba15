"""Speculative against plain decoding on real models, prompt by prompt in turn, so that both meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ..speculative.decoder import Decoded, PlainDecoder, Settings, SpeculativeDecoder


@dataclass
class Comparison:
    """Totals over all prompts. `same`: prompts whose greedy answers are equal token for token."""

    drafts: int
    plain_tokens: int = 0
    plain_seconds: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    same: int = 0
    prompts: int = 0
    #: Cycles by how many drafts stood, 0 to K.
    lengths: list[int] = field(default_factory=list)

    @property
    def plain_rate(self) -> float:
        """Plain tokens a second."""
        return self.plain_tokens / self.plain_seconds

    @property
    def rate(self) -> float:
        """Speculative tokens a second."""
        return self.tokens / self.seconds

    @property
    def acceptance(self) -> float:
        """Accepted drafts over all drafts."""
        return sum(i * count for i, count in enumerate(self.lengths)) / (sum(self.lengths) * self.drafts)

    def by_position(self) -> list[float]:
        """Share of cycles in which the draft at each position stood."""
        cycles = sum(self.lengths)
        return [sum(self.lengths[position + 1 :]) / cycles for position in range(self.drafts)]

    @property
    def tokens_per_cycle(self) -> float:
        """The accepted drafts and one token more, on average."""
        return 1 + self.acceptance * self.drafts


def compare(
    plain: PlainDecoder, speculative: SpeculativeDecoder, prompts: Sequence[Sequence[int]], settings: Settings
) -> Comparison:
    """Decode every prompt both ways. The first prompt is decoded once more, untimed, to compile and capture."""
    found = Comparison(speculative.tokens, lengths=[0] * (speculative.tokens + 1))
    for decoder in (plain, speculative):
        decoder.generate(prompts[0], settings)
    for prompt in prompts:
        one, seconds = _timed(plain.generate, prompt, settings)
        other, took = _timed(speculative.generate, prompt, settings)
        found.plain_tokens += len(one.tokens)
        found.plain_seconds += seconds
        found.tokens += len(other.tokens)
        found.seconds += took
        found.same += one.tokens == other.tokens
        found.prompts += 1
        for accepted in other.accepted:
            found.lengths[accepted] += 1
    return found


def _timed(
    work: Callable[[Sequence[int], Settings], Decoded], prompt: Sequence[int], settings: Settings
) -> tuple[Decoded, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    found = work(prompt, settings)  # reads tokens back, so it waits for the device
    return found, time.perf_counter() - start
