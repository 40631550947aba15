"""Triton kernel of the distillation loss: a program a token walks the vocabulary, after the first time in the cache."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_logits(ROW, start, vocabulary, BLOCK: tl.constexpr, POLICY: tl.constexpr):
    """A block of a row in float32, -inf past its end."""
    at = start + tl.arange(0, BLOCK)
    return tl.load(ROW + at, mask=at < vocabulary, other=float("-inf"), eviction_policy=POLICY).to(tl.float32)


@triton.jit
def distillation_kernel(STUDENT, TEACHER, LABELS, SUMS, vocabulary, alpha, beta, BLOCK: tl.constexpr):
    """Logits (n, V) of student and teacher, labels (n,) -> [kl, ce, teacher ce, agreement] (n, 4) in float32.

    Overwrites the student's logits with the gradient of alpha ce + beta kl for them. KL = sum p_t (t - s) - log Z_t +
    log Z_s. Each lane keeps its own maxima and sums: they meet once a walk, not once a block.
    """
    row = tl.program_id(0).to(tl.int64)
    STUDENT += row * vocabulary
    TEACHER += row * vocabulary
    lane = tl.arange(0, BLOCK)

    s_top = tl.full((BLOCK,), float("-inf"), tl.float32)
    t_top = tl.full((BLOCK,), float("-inf"), tl.float32)
    s_at = tl.zeros((BLOCK,), tl.int32)
    t_at = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, vocabulary, BLOCK):
        s = load_logits(STUDENT, start, vocabulary, BLOCK, "evict_last")
        t = load_logits(TEACHER, start, vocabulary, BLOCK, "evict_last")
        s_at = tl.where(s > s_top, start + lane, s_at)
        t_at = tl.where(t > t_top, start + lane, t_at)
        s_top, t_top = tl.maximum(s_top, s), tl.maximum(t_top, t)
    s_max, t_max = tl.max(s_top, 0), tl.max(t_top, 0)
    # The first entry of the greatest value, as argmax has it.
    s_best = tl.min(tl.where(s_top == s_max, s_at, vocabulary), 0)
    t_best = tl.min(tl.where(t_top == t_max, t_at, vocabulary), 0)

    s_sums = tl.zeros((BLOCK,), tl.float32)
    t_sums = tl.zeros((BLOCK,), tl.float32)
    crosses = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        s = load_logits(STUDENT, start, vocabulary, BLOCK, "evict_last")
        t = load_logits(TEACHER, start, vocabulary, BLOCK, "evict_last")
        weight = tl.exp(t - t_max)
        s_sums += tl.exp(s - s_max)
        t_sums += weight
        crosses += tl.where(start + lane < vocabulary, weight * (t - s), 0.0)
    t_sum = tl.sum(t_sums, 0)
    s_log, t_log = s_max + tl.log(tl.sum(s_sums, 0)), t_max + tl.log(t_sum)

    label = tl.load(LABELS + row)
    tl.store(SUMS + row * 4, tl.sum(crosses, 0) / t_sum - t_log + s_log)
    tl.store(SUMS + row * 4 + 1, s_log - tl.load(STUDENT + label).to(tl.float32))
    tl.store(SUMS + row * 4 + 2, t_log - tl.load(TEACHER + label).to(tl.float32))
    tl.store(SUMS + row * 4 + 3, tl.where(s_best == t_best, 1.0, 0.0))
    tl.debug_barrier()  # every warp has read the label's logit before one of them overwrites it
    for start in range(0, vocabulary, BLOCK):
        s = load_logits(STUDENT, start, vocabulary, BLOCK, "evict_first")
        t = load_logits(TEACHER, start, vocabulary, BLOCK, "evict_first")
        gradient = (alpha + beta) * tl.exp(s - s_log) - beta * tl.exp(t - t_log)
        gradient -= tl.where(start + lane == label, alpha, 0.0)
        tl.store(STUDENT + start + lane, gradient.to(STUDENT.dtype.element_ty), mask=start + lane < vocabulary)
