"""Which tokens of a row the teacher said itself, in its own turns: what sequence-level distillation trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AnswerMask:
    """An answer follows the tokens `opening` (the end of another's turn, and the header of the assistant's), and ends
    with the token `end_of_turn`, which counts."""

    opening: Sequence[int]
    end_of_turn: int

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (b, T) -> (b, T), true for tokens of answers, and for all of a row in which none begins (text)."""
        count = ids.shape[1]
        place = torch.arange(count, device=ids.device).expand_as(ids)
        opened = torch.ones_like(ids, dtype=torch.bool)
        for back, token in enumerate(reversed(self.opening)):
            opened[:, back:] &= ids[:, : count - back] == token
            opened[:, :back] = False
        never = torch.full_like(place, -1)
        last_opened = torch.where(opened, place, never).cummax(dim=1).values
        last_ended = torch.where(ids == self.end_of_turn, place, never).cummax(dim=1).values
        inside = torch.zeros_like(opened)
        inside[:, 1:] = ((last_opened >= last_ended) & (last_opened >= 0))[:, :-1]
        return inside | ~opened.any(dim=1, keepdim=True)


def answer_ce(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy of the tokens in `mask`, both (n,); 0 if there is none."""
    return -(log_probs * mask).sum() / mask.sum().clamp(min=1)
