"""Prompts and a model's answers to them: sequence-level distillation data, and the two sides of preference pairs.

Prompts are read from a file, or sampled: a chat-tuned teacher that is given its template up to the user's words writes
the words itself (Magpie, arXiv 2406.08464).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ..model.llama import Llama
from .chat import ChatFormat
from .documents import as_messages
from .jsonl import read_lines
from .sampler import Sampler

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Sampling:
    """How to draw: a row's temperature is uniform between the two, or one of `choices` if there are any; `min_p` as in
    Sampler."""

    temperature: tuple[float, float] = (0.8, 0.8)
    min_p: float = 0.0
    choices: tuple[float, ...] = ()

    def temperatures(self, count: int, random: Random) -> list[float]:
        if self.choices:
            return [random.choice(self.choices) for _ in range(count)]
        low, high = self.temperature
        return [random.uniform(low, high) for _ in range(count)]


def read_prompts(path: Path) -> Iterator[Messages]:
    """Chats that end with a user turn: {"prompt": text or messages}, or {"messages": …} less the answer at their end.

    Raises LineError naming the line that is neither.
    """
    for line in read_lines(path):
        messages = as_messages(line.record.get("prompt", line.record.get("messages")))
        if messages is None:
            raise line.fail('expected "prompt" (text or messages) or "messages"')
        while messages and messages[-1]["role"] == "assistant":
            messages.pop()
        if not messages:
            raise line.fail("the chat has no turn to answer")
        yield messages


class PromptSource:
    """Chats to answer, in batches: those of a file once, or sampled from the teacher without end."""

    def __init__(
        self, model: Llama, chat: ChatFormat, batch: int, longest: int, seed: int, path: Path | None, sampling: Sampling
    ) -> None:
        self.chat, self.batch, self.longest, self.sampling = chat, batch, longest, sampling
        self.random = Random(seed)
        self.file = None if path is None else read_prompts(path)
        self.sampler = None
        if path is None:
            length = len(chat.opening) + longest
            self.sampler = Sampler(model, batch, length, None, seed, min_p=sampling.min_p)
        self.seen: set[str] = set()

    def take(self) -> list[Messages]:
        """The next chats, at most `batch`, none of them twice; nothing once the file has ended."""
        if self.file is None:
            return self._fresh(self._sample())
        found: list[Messages] = []
        for messages in self.file:
            found += self._fresh([messages])
            if len(found) == self.batch:
                break
        return found

    def _fresh(self, chats: list[Messages]) -> list[Messages]:
        fresh = []
        for messages in chats:
            key = repr(messages)
            if key not in self.seen:
                self.seen.add(key)
                fresh.append(messages)
        return fresh

    def _sample(self) -> list[Messages]:
        assert self.sampler is not None
        opening, end = self.chat.opening, self.chat.markers.end_of_turn
        temperatures = self.sampling.temperatures(self.batch, self.random)
        rows = self.sampler.sample([opening] * self.batch, temperatures, stop=end)
        chats = []
        for row in rows[:, len(opening) :].tolist():
            if end in row:
                text = self.chat.tokenizer.decode(row[: row.index(end)], skip_special_tokens=False).strip()
                if text:
                    chats.append([{"role": "user", "content": text}])
        return chats


class Answerer:
    """Answers prompts with one model, `batch` at a time, in rows of `length` tokens, prompt included."""

    def __init__(self, model: Llama, end: int, batch: int, length: int, seed: int, sampling: Sampling) -> None:
        self.sampler = Sampler(model, batch, length, None, seed, min_p=sampling.min_p)
        self.end, self.batch, self.length, self.sampling = end, batch, length, sampling
        self.random = Random(seed)

    def answers(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """The answer to each prompt with its end of turn; one that the row's end cuts off has none.

        A prompt that leaves no room for an answer gets an empty one.
        """
        order = sorted((i for i, p in enumerate(prompts) if 0 < len(p) < self.length), key=lambda i: len(prompts[i]))
        found: list[list[int]] = [[] for _ in prompts]
        for start in range(0, len(order), self.batch):
            part = order[start : start + self.batch]
            filled = [prompts[i] for i in part] + [prompts[part[-1]]] * (self.batch - len(part))
            rows = self.sampler.sample(filled, self.sampling.temperatures(self.batch, self.random), stop=self.end)
            for i, row in zip(part, rows.tolist(), strict=False):
                answer = row[len(prompts[i]) :]
                found[i] = answer[: answer.index(self.end) + 1] if self.end in answer else answer
        return found
