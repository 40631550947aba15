"""The tokens and counters of a decoder on its device, and how a cycle moves them on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..mixers.triton_launch import device_of
from .decide import decide_greedy
from .fused_model import FusedModel
from .open_model import SequenceModel


class Cycle:
    """K drafts a cycle, by `draft`; without one K is 0, and a cycle is one token of the target's.

    tokens (K+2,): the two last tokens and the drafts. best (K+1,): the target's likeliest tokens after the last one and
    after each draft (greedy decoders). result (K+2,): the cycle's drafts, the token that follows those that stand, and
    how many do. features (1, 2, D): the target's hidden states before the two last tokens, for a draft that reads them.
    """

    def __init__(self, target: SequenceModel, draft: SequenceModel | None, count: int) -> None:
        self.target, self.draft, self.count = target, draft, count
        device = target.device
        self.tokens = torch.zeros(count + 2, dtype=torch.long, device=device)
        self.best = torch.zeros(count + 1, dtype=torch.long, device=device)
        self.result = torch.zeros(count + 2, dtype=torch.long, device=device)
        #: The place of the last token.
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.features: Tensor | None = None
        if draft is not None and draft.model.features_proj is not None:
            self.features = torch.zeros(1, 2, target.hidden.shape[1], dtype=target.dtype, device=device)

    @property
    def pair(self) -> Tensor:
        """The two last tokens (1, 2): the draft reads both, as it has not yet read the last draft that stood."""
        return self.tokens[None, :2]

    @property
    def unverified(self) -> Tensor:
        """The last token and the drafts (1, K+1)."""
        return self.tokens[None, 1:]

    def moving(self) -> list[Tensor]:
        """The tensors that a cycle changes for good."""
        found = [self.tokens, self.position, *self.target.moving()]
        found += self.draft.moving() if self.draft is not None else []
        return found if self.features is None else [*found, self.features]

    def start(self, prompt: Sequence[int], features: Tensor | None) -> None:
        """At the end of a prompt; features (1, 2, D) before its last two tokens."""
        self.tokens[:2] = torch.tensor(prompt[-2:])
        self.position.fill_(len(prompt) - 1)
        if self.features is not None and features is not None:
            self.features.copy_(features)

    def settle_greedy(self) -> None:
        """End a cycle by `tokens` and `best`."""
        if isinstance(self.target, FusedModel) and isinstance(self.draft, FusedModel | None):
            self._settle_fused(self.target, self.draft)
        else:
            self.settle(*decide_greedy(self.tokens[2:], self.best))

    def settle(self, accepted: Tensor, following: Tensor) -> None:
        """End a cycle in which the first `accepted` (1,) drafts stood, and then `following` (1,)."""
        self.result[:-2] = self.tokens[2:]
        self.result[-2:-1] = following
        self.result[-1:] = accepted
        if self.features is not None:
            # Before the last token, and after it and each draft.
            known = torch.cat([self.features[0, 1:], self.target.hidden])
            self.features[0] = known.index_select(0, torch.cat([accepted, accepted + 1]))
        self.tokens[:2] = torch.cat([self.tokens[1:].index_select(0, accepted), following])
        self.position += accepted + 1
        self.target.moved_by(accepted + 1)
        if self.draft is not None:
            self.draft.moved_by(accepted + 1)

    def _settle_fused(self, target: FusedModel, draft: FusedModel | None) -> None:
        from .cycle_kernels import settle_kernel

        width = target.hidden.shape[1]
        other = target if draft is None else draft
        with device_of(self.tokens):
            settle_kernel[(1,)](
                self.tokens, self.best, self.position, self.result, target.accepted, target.side, other.accepted,
                other.side, target.hidden, target.hidden if self.features is None else self.features, width,
                K=self.count, KP=1 << self.count.bit_length(), WIDTH=1 << (width - 1).bit_length(),
                OTHER=draft is not None, KEEP=self.features is not None, **target.launch.options(1),
            )  # fmt: skip
