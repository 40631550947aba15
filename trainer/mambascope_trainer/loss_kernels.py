"""Triton kernel of the distillation loss: a program a token walks the vocabulary twice, the second time in the cache."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def distillation_kernel(STUDENT, TEACHER, LABELS, SUMS, vocabulary, alpha, beta, BLOCK: tl.constexpr):
    """Logits (n, V) of student and teacher, labels (n,) -> [kl, ce, teacher ce, agreement] (n, 4) in float32.

    Overwrites the student's logits with the gradient of alpha ce + beta kl for them. Sums are in float32, by running
    maxima; KL = sum p_t (t - s) - log Z_t + log Z_s.
    """
    row = tl.program_id(0).to(tl.int64)
    STUDENT += row * vocabulary
    TEACHER += row * vocabulary
    at = tl.arange(0, BLOCK)
    s_top, t_top = float("-inf"), float("-inf")
    s_best, t_best = 0, 0
    s_sum, t_sum, cross = 0.0, 0.0, 0.0
    for start in range(0, vocabulary, BLOCK):
        inside = start + at < vocabulary
        s = tl.load(STUDENT + start + at, mask=inside, other=float("-inf")).to(tl.float32)
        t = tl.load(TEACHER + start + at, mask=inside, other=float("-inf")).to(tl.float32)
        s_max, t_max = tl.max(s, 0), tl.max(t, 0)
        # The first entry of the greatest value, as argmax has it.
        s_best = tl.where(s_max > s_top, start + tl.min(tl.where(s == s_max, at, BLOCK), 0), s_best)
        t_best = tl.where(t_max > t_top, start + tl.min(tl.where(t == t_max, at, BLOCK), 0), t_best)
        s_new, t_new = tl.maximum(s_top, s_max), tl.maximum(t_top, t_max)
        weight = tl.exp(t - t_new)
        fade = tl.exp(t_top - t_new)
        s_sum = s_sum * tl.exp(s_top - s_new) + tl.sum(tl.exp(s - s_new), 0)
        t_sum = t_sum * fade + tl.sum(weight, 0)
        cross = cross * fade + tl.sum(tl.where(inside, weight * (t - s), 0.0), 0)
        s_top, t_top = s_new, t_new
    s_log, t_log = s_top + tl.log(s_sum), t_top + tl.log(t_sum)
    label = tl.load(LABELS + row)
    tl.store(SUMS + row * 4, cross / t_sum - t_log + s_log)
    tl.store(SUMS + row * 4 + 1, s_log - tl.load(STUDENT + label).to(tl.float32))
    tl.store(SUMS + row * 4 + 2, t_log - tl.load(TEACHER + label).to(tl.float32))
    tl.store(SUMS + row * 4 + 3, tl.where(s_best == t_best, 1.0, 0.0))
    tl.debug_barrier()  # every warp has read the label's logit before one of them overwrites it
    for start in range(0, vocabulary, BLOCK):
        inside = start + at < vocabulary
        s = tl.load(STUDENT + start + at, mask=inside, other=0.0).to(tl.float32)
        t = tl.load(TEACHER + start + at, mask=inside, other=0.0).to(tl.float32)
        gradient = (alpha + beta) * tl.exp(s - s_log) - beta * tl.exp(t - t_log)
        gradient -= tl.where(start + at == label, alpha, 0.0)
        tl.store(STUDENT + start + at, gradient.to(STUDENT.dtype.element_ty), mask=inside)
