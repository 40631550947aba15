"""Preference pairs for DPO (arXiv 2305.18290): a prompt, the chosen answer, the rejected one.

    PreferencePairs(path, seq_len, seed, render=None).batch(step, size, rank=0, world=1) -> PreferenceBatch
        .chosen, .rejected            LongTensor (n, seq_len): prompt and answer, padded on the right
        .chosen_mask, .rejected_mask  BoolTensor (n, seq_len - 1): true at t where token t + 1 belongs to the answer
        n = size / world; the ranks' parts, one after another, are the batch of one process

So the log-probability of an answer is the sum over t of mask[t] * log_softmax(logits[t])[ids[t + 1]], and logits of
padded places, which no earlier place sees, count nowhere.

A file is JSON lines of one form or both:
    {"prompt_ids": [1, …], "chosen_ids": [5, …, 2], "rejected_ids": [7, …, 2]}      answers with their end token
    {"prompt": "…" or [{"role": …, "content": …}, …], "chosen": "…", "rejected": "…"}   needs `render`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .documents import as_messages
from .errors import DataError
from .jsonl import LineError, read_lines
from .order import EpochOrder, places

#: (prompt's messages, answer) -> (token ids of the prompt up to the answer, those of the answer with its end).
Render = Callable[[list[dict[str, str]], str], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Pair:
    """Token ids of one pair; the answers end with their end-of-turn token unless they were cut."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    def to_json(self) -> dict[str, list[int]]:
        return {"prompt_ids": self.prompt, "chosen_ids": self.chosen, "rejected_ids": self.rejected}


@dataclass(frozen=True)
class PreferenceBatch:
    """See the top of the module."""

    chosen: Tensor
    rejected: Tensor
    chosen_mask: Tensor
    rejected_mask: Tensor

    def to(self, device: torch.device) -> PreferenceBatch:
        return PreferenceBatch(
            *(t.to(device) for t in (self.chosen, self.rejected, self.chosen_mask, self.rejected_mask))
        )


class PreferencePairs:
    """All pairs of a file that leave room for an answer in `seq_len` tokens; longer answers are cut at the end.

    `batch(step, …)` depends on its arguments alone. `render` turns messages into tokens (`ChatFormat.pair`); a file
    that holds text and comes without it is refused. Raises DataError naming the file and line that cannot be used.
    """

    def __init__(self, path: Path, seq_len: int, seed: int, render: Render | None = None, pad: int = 0) -> None:
        self.seq_len, self.pad = seq_len, pad
        pairs = list(read_pairs(path, render))
        # An answer that was cut to nothing, or two answers that became the same, teach nothing.
        self.pairs = [p for p in pairs if _told_apart(p, seq_len - len(p.prompt))]
        self.dropped = len(pairs) - len(self.pairs)
        if not self.pairs:
            raise DataError(
                f"none of the {len(pairs)} pairs in {path} leaves room for two different answers in {seq_len} tokens",
                "Raise seq_len, or name another file.",
            )
        self.order = EpochOrder(len(self.pairs), seed)

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> PreferenceBatch:
        """The part of process `rank` of `world` of a step's `size` pairs; every epoch permutes all pairs anew."""
        return self._padded([self.pairs[self.order[place]] for place in places(step, size, rank, world)])

    def once(self, size: int, limit: int | None = None) -> Iterator[PreferenceBatch]:
        """The first epoch's pairs, at most `limit` of them, each once; the last batch may be smaller than `size`."""
        count = len(self) if limit is None else min(limit, len(self))
        for start in range(0, count, size):
            yield self._padded([self.pairs[self.order[i]] for i in range(start, min(start + size, count))])

    def _padded(self, pairs: list[Pair]) -> PreferenceBatch:
        shape = (len(pairs), self.seq_len)
        ids = torch.full((2, *shape), self.pad, dtype=torch.long)
        mask = torch.zeros((2, *shape), dtype=torch.bool)
        for row, pair in enumerate(pairs):
            for side, answer in enumerate((pair.chosen, pair.rejected)):
                whole = (pair.prompt + answer)[: self.seq_len]
                ids[side, row, : len(whole)] = torch.tensor(whole)
                mask[side, row, len(pair.prompt) : len(whole)] = True
        return PreferenceBatch(ids[0], ids[1], mask[0, :, 1:], mask[1, :, 1:])


def _told_apart(pair: Pair, room: int) -> bool:
    return room > 0 and pair.chosen[:room] != pair.rejected[:room]


def read_pairs(path: Path, render: Render | None = None) -> Iterator[Pair]:
    """The pairs of a file. Raises DataError naming the line that is not one."""
    for line in read_lines(path):
        record = line.record
        if "prompt_ids" in record:
            yield Pair(*(_ids(line.fail, record, name) for name in ("prompt_ids", "chosen_ids", "rejected_ids")))
            continue
        if render is None:
            raise line.fail('expected "prompt_ids", "chosen_ids" and "rejected_ids" (text needs a tokenizer)')
        messages = as_messages(record.get("prompt"))
        answers = [record.get(name) for name in ("chosen", "rejected")]
        if messages is None or not all(isinstance(answer, str) and answer for answer in answers):
            raise line.fail('expected "prompt" (text or messages), "chosen" and "rejected" (text)')
        (prompt, chosen), (_, rejected) = (render(messages, str(answer)) for answer in answers)
        yield Pair(prompt, chosen, rejected)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Append the pairs as JSON lines; returns their number."""
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps(pair.to_json()) + "\n")
            count += 1
    return count


def _ids(fail: Callable[[str], LineError], record: dict[str, Any], name: str) -> list[int]:
    ids = record.get(name)
    if not isinstance(ids, list) or not ids or not all(type(i) is int and i >= 0 for i in ids):
        raise fail(f'"{name}" must be a list of token ids, at least one')
    return ids
