"""Log-likelihoods of given continuations: what choice accuracy, the needle test and the harness are made of.

Requests are batched by length and padded on the right. Both mixers are causal, so what follows a token, padding too,
cannot change its score: a batch gives what one request at a time gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.llama import Llama
from .arithmetic import HEAD_TOKENS, Dtype, autocast, full_precision


@dataclass(frozen=True)
class Request:
    """Score `tokens` after `context`, which holds at least one token (the start of a text, say)."""

    context: tuple[int, ...]
    tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.context or not self.tokens:
            raise ValueError("a request needs a context and a continuation of at least one token each")

    @property
    def length(self) -> int:
        """Tokens that the model reads; the last one is only predicted."""
        return len(self.context) + len(self.tokens) - 1


@dataclass(frozen=True)
class Score:
    """Sum of the continuation's log-probabilities (nat), its tokens, and how many of them were the likeliest."""

    log_prob: float
    hits: int
    tokens: int

    @property
    def greedy(self) -> bool:
        """Whether greedy decoding gives this continuation."""
        return self.hits == self.tokens


def length_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of like length, longest first; a batch's padded size is at most `budget` tokens."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@torch.no_grad()
def target_log_probs(hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """hidden (n, D), head (V, D), targets (n,) -> log-probabilities (n,) and whether each is the likeliest (n,)."""
    scores, hits = [], []
    with full_precision(hidden.device):
        for start in range(0, len(targets), HEAD_TOKENS):
            part = slice(start, start + HEAD_TOKENS)
            logits = hidden[part].float() @ head.float().T
            chosen = logits.gather(1, targets[part, None])[:, 0]
            scores.append(chosen - logits.logsumexp(dim=-1))
            hits.append(chosen >= logits.amax(dim=-1))
    return torch.cat(scores), torch.cat(hits)


@torch.no_grad()
def score(
    model: Llama,
    requests: Sequence[Request],
    budget: int,
    dtype: Dtype = "float32",
    step: Callable[[int], None] | None = None,
) -> list[Score]:
    """Scores in the requests' order, at most `budget` tokens (padding included) a batch; `step` is told of progress."""
    found: list[Score | None] = [None] * len(requests)
    device = model.embed_tokens.weight.device
    for batch in length_batches([request.length for request in requests], budget):
        chosen = [requests[index] for index in batch]
        rows = [torch.tensor((r.context + r.tokens)[:-1]) for r in chosen]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        width = ids.shape[1]
        places = torch.cat(
            [torch.arange(row * width + len(r.context) - 1, row * width + r.length) for row, r in enumerate(chosen)]
        )
        targets = torch.tensor([token for r in chosen for token in r.tokens])
        with autocast(device, dtype):
            hidden = model.hidden(ids.to(device)).flatten(0, 1)
        scores, hits = target_log_probs(hidden[places.to(device)], model.head_weight, targets.to(device))
        sizes = [len(r.tokens) for r in chosen]
        parts = torch.split(scores.double().cpu(), sizes), torch.split(hits.cpu(), sizes)
        for index, own, right in zip(batch, *parts, strict=True):
            found[index] = Score(float(own.sum()), int(right.sum()), len(own))
        if step is not None:
            step(len(batch))
    return [item for item in found if item is not None]
