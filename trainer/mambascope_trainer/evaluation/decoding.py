"""Cached decoding of a batch of prompts of different lengths, exact for both mixers.

Nothing is padded: a Mamba state would take the padding in. All rows are read together up to the shortest prompt's end;
then each step gives a row its next prompt token while it has one, and its own choice afterwards. So all rows are always
at one position, and caches and states are those of a row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..model.llama import LayerState, Llama
from .arithmetic import Dtype, autocast, full_precision

#: Prompts in one batch differ by at most this many tokens: each is a step.
SPREAD = 64


@dataclass(frozen=True)
class Decoding:
    """How to decode. `temperature` 0 is greedy; a row ends before a token of `stop`, or after `max_new_tokens`."""

    max_new_tokens: int
    stop: tuple[int, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@torch.no_grad()
def advance(
    model: Llama, ids: Tensor, states: Sequence[LayerState] | None, position: int
) -> tuple[Tensor, list[LayerState]]:
    """Logits (b, V) after the last of ids (b, T), float32, and the layers' states.

    The head is applied to the last position alone: a long prompt's logits would not fit.
    """
    x, rotary = model.embed_tokens(ids), model.rotary(position, ids.shape[1])
    after = []
    for index, layer in enumerate(model.layers):
        x, state = layer(x, rotary, None if states is None else states[index])
        after.append(state)
    last = model.norm(x[:, -1])
    with full_precision(ids.device):
        return last.float() @ model.head_weight.float().T, after


def sample(logits: Tensor, draws: Tensor, decoding: Decoding) -> Tensor:
    """One token a row of logits (b, V): the likeliest, or by `draws` (b,) in [0, 1) from the nucleus.

    The nucleus is that of arXiv 1904.09751. A row's choice depends on its own logits and draw alone.
    """
    if decoding.temperature == 0:
        return logits.argmax(dim=-1)
    ranked, order = (logits / decoding.temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    before = ranked.cumsum(dim=-1) - ranked
    ranked = ranked.masked_fill(before >= decoding.top_p, 0.0)
    total = ranked.cumsum(dim=-1)
    place = (total <= draws[:, None] * total[:, -1:]).sum(dim=-1).clamp(max=logits.shape[-1] - 1)
    return order.gather(1, place[:, None])[:, 0]


def prompt_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of prompts at most `SPREAD` tokens apart, longest first, within `budget` tokens."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches:
            longest = lengths[batches[-1][0]]
            if longest - lengths[index] <= SPREAD and longest * (len(batches[-1]) + 1) <= budget:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches


@torch.no_grad()
def generate(
    model: Llama,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    budget: int,
    dtype: Dtype = "float32",
    step: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """New tokens of every prompt, without the stop token; at most `budget` tokens of prompts and answers a batch.

    A prompt's draws depend on the seed and its place in `prompts`, not on the batch. Raises ValueError for an empty
    prompt.
    """
    if not all(prompts):
        raise ValueError("a prompt is empty")
    found: list[list[int]] = [[] for _ in prompts]
    lengths = [len(prompt) + decoding.max_new_tokens for prompt in prompts]
    for batch in prompt_batches(lengths, budget):
        rows = _generate_batch(model, [prompts[i] for i in batch], batch, decoding, dtype)
        for index, row in zip(batch, rows, strict=True):
            found[index] = row
        if step is not None:
            step(len(batch))
    return found


def _generate_batch(
    model: Llama, prompts: list[Sequence[int]], places: list[int], decoding: Decoding, dtype: Dtype
) -> list[list[int]]:
    device = model.embed_tokens.weight.device
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    shortest, longest = int(lengths.min()), int(lengths.max())
    total = longest + decoding.max_new_tokens
    forced = torch.zeros(len(prompts), total, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        forced[row, : len(prompt)] = torch.tensor(list(prompt))
    draws = torch.zeros(len(prompts), decoding.max_new_tokens)
    if decoding.temperature > 0:
        count = decoding.max_new_tokens
        random = [np.random.default_rng([decoding.seed, place]).random(count, np.float32) for place in places]
        draws = torch.from_numpy(np.stack(random))
    rows, ends, draws = forced.to(device), lengths.to(device), draws.to(device)
    stop = torch.tensor(decoding.stop, dtype=torch.long, device=device)
    stopped = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    states: list[LayerState] | None = None
    ids, position = rows[:, :shortest], 0
    for place in range(shortest, total):
        with autocast(device, dtype):
            logits, states = advance(model, ids, states, position)
        age = (place - ends).clamp(0, decoding.max_new_tokens - 1)
        choice = sample(logits, draws.gather(1, age[:, None])[:, 0], decoding)
        own = place >= ends
        rows[:, place] = torch.where(own, choice, rows[:, place])
        stopped |= own & torch.isin(choice, stop)
        # Reading the flags waits for the device: every few steps is enough.
        if (place - shortest) % 8 == 7 and bool((stopped | (place + 1 >= ends + decoding.max_new_tokens)).all()):
            break
        ids, position = rows[:, place : place + 1], place
    answers = []
    for row, length in zip(rows.tolist(), lengths.tolist(), strict=True):
        answer = row[length : length + decoding.max_new_tokens]
        ends_at = next((i for i, token in enumerate(answer) if token in decoding.stop), len(answer))
        answers.append(answer[:ends_at])
    return answers
