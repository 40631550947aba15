"""How often speculative sampling would accept a draft's token."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_TOKENS = 1024


@torch.no_grad()
def expected_acceptance(draft: Tensor, target: Tensor, head: Tensor) -> Tensor:
    """Mean over positions of sum_v min(p(v), q(v)): the probability that a token drawn from the draft's q is accepted
    under the target's p (Leviathan et al., arXiv 2211.17192, theorem 3.5), at temperature 1.

    draft, target: hidden states (n, D) before the head (V, D) that both share. Logits exist for a chunk at a time.
    """
    with torch.autocast(draft.device.type, enabled=False):
        total = torch.zeros((), device=draft.device)
        head = head.to(draft.dtype)
        parts = (torch.split(hidden, CHUNK_TOKENS) for hidden in (draft, target.to(draft.dtype)))
        for q_part, p_part in zip(*parts, strict=True):
            q, p = ((part @ head.T).float().softmax(dim=-1) for part in (q_part, p_part))
            total += torch.minimum(q, p).sum()
    return total / draft.shape[0]
