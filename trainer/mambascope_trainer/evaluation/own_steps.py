"""How many of a draft's greedy tokens the target's greedy decoding confirms, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

import torch
from torch import Tensor

from ..model.llama import LayerState, Llama

#: Tokens that are drafted in a row, and the places in a row of text after which they are.
STEPS, PLACES = 4, 16


class OwnSteps:
    """Counts over batches. The measure of step k is the share of its drafts that stand, of those that are decided on:
    whose earlier drafts in the row all stood. That is what greedy speculation accepts (Leviathan et al., arXiv
    2211.17192, section 3.1), with true features up to the first draft. compiled: the models' layers are."""

    def __init__(self, target: Llama, draft: Llama, compiled: bool = False) -> None:
        self.target, self.draft, self.compiled = target, draft, compiled
        self.head = target.head_weight.detach().float()
        self.accepted = torch.zeros(STEPS, device=self.head.device)
        self.decided = torch.zeros_like(self.accepted)

    @torch.no_grad()
    def add(self, ids: Tensor) -> None:
        """Draft after PLACES evenly spaced places of every row of ids (b, T)."""
        places = min(PLACES, ids.shape[1])
        ends = [ids.shape[1] * (index + 1) // places for index in range(places)]
        # Pieces of text of many lengths: compiling for each would take longer than running them. Only where there is
        # something compiled: the compiler's import takes seconds.
        with torch.compiler.set_stance("force_eager") if self.compiled else nullcontext():
            for agree in self._agreements(ids, ends):
                stands = agree.cumprod(dim=1).float()
                self.accepted += stands.sum(dim=0)
                self.decided += torch.cat([torch.ones_like(stands[:, :1]), stands[:, :-1]], dim=1).sum(dim=0)

    def measures(self) -> dict[str, float]:
        """agreement.1 and so on, 0..1; NaN for a step that no draft came to."""
        shares = (self.accepted / self.decided).tolist()
        return {f"agreement.{step + 1}": share for step, share in enumerate(shares)}

    def _agreements(self, ids: Tensor, ends: list[int]) -> Iterable[Tensor]:
        """Of each place, whether the target would have chosen each draft (b, STEPS), given those before it."""
        target_states: list[LayerState] | None = None
        draft_states: list[LayerState] | None = None
        before: Tensor | None = None
        begin = 0
        for end in ends:
            piece = ids[:, begin:end]
            read, target_states = self.target.read(piece, target_states, begin)
            before = torch.zeros_like(read[:, :1]) if before is None else before
            features = self._if_read(torch.cat([before, read[:, :-1]], dim=1))
            own, draft_states = self.draft.read(piece, draft_states, begin, features)
            before, begin = read[:, -1:], end
            drafts = self._draft(own[:, -1:], draft_states, end)
            verified, _ = self.target.read(drafts[:, :-1], target_states, end)
            yield drafts == self._choose(torch.cat([before, verified], dim=1))

    def _draft(self, own: Tensor, states: list[LayerState], position: int) -> Tensor:
        """STEPS greedy tokens (b, STEPS) on from the draft's last hidden state (b, 1, D)."""
        drafts = [self._choose(own)]
        for index in range(STEPS - 1):
            own, states = self.draft.read(drafts[-1], states, position + index, self._if_read(own))
            drafts.append(self._choose(own))
        return torch.cat(drafts, dim=1)

    def _if_read(self, features: Tensor) -> Tensor | None:
        return None if self.draft.features_proj is None else features

    def _choose(self, hidden: Tensor) -> Tensor:
        """The likeliest token after each hidden state, from logits in float32: rounded ones have ties."""
        with torch.autocast(hidden.device.type, enabled=False):
            return (hidden.float() @ self.head.T).argmax(dim=-1)
