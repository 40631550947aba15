"""Distillation losses over a large vocabulary without holding the logits of a batch.

alpha * CE on the (teacher-generated) text + beta * KL(teacher || student) a token (arXiv 2408.15237, section 3,
equation 1). Logits exist for one chunk of tokens at a time; the gradient with respect to the student's hidden states is
formed in the same pass, so the head is applied once and not recomputed in the backward pass. The head itself is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .mixers.triton_launch import triton_available

#: Tokens whose logits exist at a time, and on CUDA: larger chunks fill the GPU, and it has the memory.
CHUNK_TOKENS = 4096
CHUNK_TOKENS_CUDA = 8192
#: Entries of the vocabulary that the kernel holds at a time, and the warps that share them.
KERNEL_BLOCK, KERNEL_WARPS = 4096, 16


@dataclass(frozen=True)
class LossWeights:
    """alpha weighs CE, beta KL; `temperature` softens both distributions of the KL (scaled back by its square)."""

    alpha: float = 0.0
    beta: float = 1.0
    temperature: float = 1.0


def chunk_loss(
    student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor, weights: LossWeights
) -> tuple[Tensor, Tensor]:
    """One chunk: hidden states (n, D), head (V, D), labels (n,).

    Returns the sums [kl, ce, teacher ce, agreements] and the gradient of the summed loss for `student` (n, D).
    """
    t = weights.temperature
    s_logits, t_logits = (student @ head.T).float(), (teacher @ head.T).float()
    s_log, t_log = F.log_softmax(s_logits, dim=-1), F.log_softmax(t_logits, dim=-1)
    if t == 1.0:
        s_soft, t_soft = s_log, t_log
    else:
        s_soft, t_soft = F.log_softmax(s_logits / t, dim=-1), F.log_softmax(t_logits / t, dim=-1)
    t_prob = t_soft.exp()
    kl = (t_prob * (t_soft - s_soft)).sum() * t * t
    ce = -s_log.gather(1, labels[:, None]).sum()
    teacher_ce = -t_log.gather(1, labels[:, None]).sum()
    agree = (s_logits.argmax(dim=-1) == t_logits.argmax(dim=-1)).sum()
    gradient = weights.beta * t * (s_soft.exp() - t_prob)
    if weights.alpha:
        s_prob = s_log.exp()
        gradient = gradient + weights.alpha * s_prob
        gradient = gradient.scatter_add(1, labels[:, None], torch.full_like(gradient[:, :1], -weights.alpha))
    return torch.stack([kl, ce, teacher_ce, agree.float()]), gradient.to(student.dtype) @ head


def kernel_chunk_loss(
    student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor, weights: LossWeights
) -> tuple[Tensor, Tensor]:
    """`chunk_loss` by a Triton kernel, at temperature 1: logits are read once, and once more from the cache."""
    from .loss_kernels import distillation_kernel

    logits, t_logits = student @ head.T, teacher @ head.T
    sums = torch.empty(len(labels), 4, dtype=torch.float32, device=student.device)
    distillation_kernel[(len(labels),)](
        logits, t_logits, labels.contiguous(), sums, head.shape[0], weights.alpha, weights.beta,
        BLOCK=KERNEL_BLOCK, num_warps=KERNEL_WARPS,
    )  # fmt: skip
    return sums.sum(dim=0), logits @ head


@cache
def _compiled_chunk_loss() -> Callable[..., tuple[Tensor, Tensor]]:
    """Made when it is first wanted: the compiler's import takes seconds."""
    return torch.compile(chunk_loss, dynamic=False)


def _choose(student: Tensor, weights: LossWeights, compiled: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    if student.is_cuda and weights.temperature == 1.0 and triton_available():
        return kernel_chunk_loss
    return _compiled_chunk_loss() if compiled else chunk_loss


class _Distillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        student: Tensor,
        teacher: Tensor,
        head: Tensor,
        labels: Tensor,
        weights: LossWeights,
        compiled: bool,
    ) -> Tensor:
        step = _choose(student, weights, compiled)
        count = student.shape[0]
        chunk = CHUNK_TOKENS_CUDA if student.is_cuda else CHUNK_TOKENS
        gradient = torch.empty_like(student)
        sums = torch.zeros(4, device=student.device)
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            chunk_sums, chunk_gradient = step(student[part], teacher[part], head, labels[part], weights)
            sums += chunk_sums
            gradient[part] = chunk_gradient / count
        ctx.save_for_backward(gradient)
        means = sums / count
        loss = weights.beta * means[0] + weights.alpha * means[1]
        return torch.cat([loss[None], means])

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * grads[0][0].to(gradient.dtype), None, None, None, None, None


def distillation_loss(
    student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor, weights: LossWeights, compiled: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss a token, and the measures kl, ce, teacher_ce (nat a token) and agreement (top-1, 0..1).

    student, teacher: hidden states (n, D) before the head (V, D); labels (n,): the next tokens.
    """
    with torch.autocast(student.device.type, enabled=False):
        dtype = student.dtype
        apply: Callable[..., Tensor] = _Distillation.apply
        out = apply(student, teacher.to(dtype), head.to(dtype), labels, weights, compiled)
    measures = {name: out[i + 1].detach() for i, name in enumerate(("kl", "ce", "teacher_ce", "agreement"))}
    return out[0], measures
