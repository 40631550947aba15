"""What a run reads: token rows, or preference pairs for DPO."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ..bundle.bundle import Bundle
from ..data.chat import ChatFormat
from ..data.mixture import DataSource, open_training_data
from ..data.preferences import PreferencePairs, Render
from .config import RunConfig


class Batches(Protocol):
    """`batch(step, …)` depends on its arguments alone; the ranks' parts together are what one process gets."""

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Any: ...


def open_data(config: RunConfig) -> tuple[Batches, Batches | None]:
    """What the run trains on, and what it holds out. Raises DataError for data that cannot be used."""
    held_out = config.data.evaluation
    return _open(config, config.data.train), None if held_out is None else _open(config, held_out)


def _open(config: RunConfig, source: str | list[DataSource]) -> Batches:
    if config.method != "dpo":
        return open_training_data(source, config.data.seq_len, config.seed)
    assert isinstance(source, str)
    bundle = Bundle.open([Path(root) / config.family for root in config.bundle])
    chat, pad = ChatFormat.of(bundle), bundle.manifest.special_tokens.pad
    render = chat.pair if chat.template is not None else _continuation(chat)
    return PreferencePairs(Path(source), config.data.seq_len, config.seed, render, pad or 0)


def _continuation(chat: ChatFormat) -> Render:
    """Text for a teacher without a chat template: the answer goes on where the prompt ends."""

    def render(messages: list[dict[str, str]], answer: str) -> tuple[list[int], list[int]]:
        text = "".join(turn["content"] for turn in messages)
        start = [] if chat.bos is None else [chat.bos]
        return [*start, *chat.encode(text)], [*chat.encode(answer), chat.end_of_text]

    return render
