"""Which drafted tokens stand, and the token after them: exact for the target (arXiv 2211.17192, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def distribution(logits: Tensor, temperature: float, top_p: float = 1.0) -> Tensor:
    """Probabilities (..., V): at temperature 0 all on the likeliest token; else the nucleus of the softmax."""
    if temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    probabilities = (logits / temperature).softmax(dim=-1)
    if top_p >= 1:
        return probabilities
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    ranked = ranked.masked_fill(ranked.cumsum(dim=-1) - ranked >= top_p, 0.0)
    kept = torch.zeros_like(probabilities).scatter_(-1, order, ranked)
    return kept / kept.sum(dim=-1, keepdim=True)


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """One token (...) from probabilities (..., V), by its own number in [0, 1)."""
    total = probabilities.double().cumsum(dim=-1)
    place = (total <= (uniform.double() * total[..., -1])[..., None]).sum(dim=-1)
    # Rounding may put the number past the last token that has a probability.
    last = probabilities.shape[-1] - 1 - probabilities.gt(0).flip(-1).long().argmax(dim=-1)
    return torch.minimum(place, last)


def decide(drafts: Tensor, q: Tensor, p: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """How many of drafts (K,) stand (1,), and the next token (1,): the correction of the first that falls, or a bonus.

    q (K, V): the distributions that the drafts were drawn from; p (K+1, V): the target's; uniforms (K+1,) in [0, 1).
    Whatever q is, the tokens are distributed as if drawn from p one after the other.
    """
    count = drafts.shape[0]
    at = drafts[:, None]
    stands = uniforms[:count] * q.gather(1, at)[:, 0] < p[:count].gather(1, at)[:, 0]
    accepted = stands.long().cumprod(0).sum(dim=0, keepdim=True)
    own = p.index_select(0, accepted)
    drafted = torch.cat([q, torch.zeros_like(q[:1])]).index_select(0, accepted)
    residual = (own - drafted).clamp(min=0)
    # Where both are equal up to rounding nothing is left; nothing then falls, but for rounding.
    residual = torch.where(residual.sum(dim=-1, keepdim=True) > 0, residual, own)
    return accepted, draw(residual, uniforms[count:])


def decide_greedy(drafts: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """As `decide` at temperature 0, from the target's likeliest tokens (K+1,), without distributions."""
    accepted = (drafts == best[:-1]).long().cumprod(0).sum(dim=0, keepdim=True)
    return accepted, best.index_select(0, accepted)
