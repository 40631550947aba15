"""Speculative against plain decoding on real models, prompt by prompt in turn, so that both meet the same machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..speculative.decoder import Decoded, PlainDecoder, Settings, SpeculativeDecoder

Key = TypeVar("Key")


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

    def add(self, plain: Decoded, other: Decoded) -> None:
        """Count one prompt's two answers."""
        self.plain_tokens += len(plain.tokens)
        self.plain_seconds += plain.seconds
        self.tokens += len(other.tokens)
        self.seconds += other.seconds
        self.same += plain.tokens == other.tokens
        self.prompts += 1
        for accepted in other.accepted:
            self.lengths[accepted] += 1

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
        """Accepted drafts over those that were decided on: what follows a rejected draft is not."""
        decided = sum(min(i + 1, self.drafts) * count for i, count in enumerate(self.lengths))
        return self._accepted / decided

    @property
    def _accepted(self) -> int:
        return sum(i * count for i, count in enumerate(self.lengths))

    def by_position(self) -> list[float]:
        """Share of cycles in which the draft at each position stood."""
        cycles = sum(self.lengths)
        return [sum(self.lengths[position + 1 :]) / cycles for position in range(self.drafts)]

    @property
    def cycle_milliseconds(self) -> float:
        """The time of one cycle, on average."""
        return 1000 * self.seconds / sum(self.lengths)

    @property
    def tokens_per_cycle(self) -> float:
        """The accepted drafts and one token more, on average."""
        return 1 + self._accepted / sum(self.lengths)


def compare(
    plain: PlainDecoder,
    speculative: Mapping[Key, SpeculativeDecoder],
    prompts: Sequence[Sequence[int]],
    settings: Settings,
) -> dict[Key, Comparison]:
    """Decode every prompt plainly, then by each of the others, so that all meet the same machine.

    The first prompt is decoded once more, untimed, to compile and capture. Times are those after the prompt is read.
    """
    found = {key: Comparison(d.tokens, lengths=[0] * (d.tokens + 1)) for key, d in speculative.items()}
    plain.generate(prompts[0], settings)
    for decoder in speculative.values():
        decoder.generate(prompts[0], settings)
    for prompt in prompts:
        one = plain.generate(prompt, settings)
        for key, decoder in speculative.items():
            found[key].add(one, decoder.generate(prompt, settings))
    return found


def count_different(
    plain: PlainDecoder,
    speculative: Mapping[Key, SpeculativeDecoder],
    prompts: Sequence[Sequence[int]],
    settings: Settings,
) -> dict[Key, int]:
    """Prompts whose tokens differ from plain decoding's; at temperature 0 none should."""
    expected = [plain.generate(prompt, settings).tokens for prompt in prompts]
    return {
        key: sum(decoder.generate(p, settings).tokens != tokens for p, tokens in zip(prompts, expected, strict=True))
        for key, decoder in speculative.items()
    }
