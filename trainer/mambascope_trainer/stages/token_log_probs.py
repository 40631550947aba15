"""Log-probabilities of given tokens over a large vocabulary, without holding the logits of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_TOKENS = 4096


def token_log_probs(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    """log softmax(hidden head^T) at `labels`: hidden (n, D), frozen head (V, D), labels (n,) -> (n,) float32.

    Logits exist for a chunk of tokens at a time; the gradient for `hidden` is formed in the same pass.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        apply: Callable[..., Tensor] = _TokenLogProbs.apply
        return apply(hidden, head.to(hidden.dtype), labels, torch.is_grad_enabled() and hidden.requires_grad)


class _TokenLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, hidden: Tensor, head: Tensor, labels: Tensor, needs_gradient: bool
    ) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        out = torch.empty(labels.shape, dtype=wide, device=hidden.device)
        slope = torch.empty_like(hidden) if needs_gradient else hidden.new_empty(0)
        for start in range(0, len(labels), CHUNK_TOKENS):
            part = slice(start, start + CHUNK_TOKENS)
            wanted = labels[part, None]
            log = F.log_softmax((hidden[part] @ head.T).to(wide), dim=-1)
            out[part] = log.gather(1, wanted)[:, 0]
            if needs_gradient:
                # d log p(label) / d hidden = head[label] - sum over v of p(v) head[v].
                error = log.exp_().neg_().scatter_add_(1, wanted, torch.ones_like(log[:, :1]))
                slope[part] = error.to(hidden.dtype) @ head
        ctx.save_for_backward(slope)
        return out

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return (grads[0][:, None] * slope).to(slope.dtype), None, None, None
