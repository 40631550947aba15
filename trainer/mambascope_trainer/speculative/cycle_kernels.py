"""Triton kernels of what is beside a cycle's layers: embedding, the likeliest token, and which drafts stand."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def embed_kernel(IDS, EMBEDDING, X, width, WIDTH: tl.constexpr):
    """X (rows, width): the rows of EMBEDDING for IDS. A program a row."""
    row = tl.program_id(0)
    k = tl.arange(0, WIDTH)
    token = tl.load(IDS + row).to(tl.int64)
    tl.store(X + row * width + k, tl.load(EMBEDDING + token * width + k, mask=k < width), mask=k < width)


@triton.jit
def pick_kernel(
    BEST, PLACE, SHORTLIST, TOKENS, parts, ROWS: tl.constexpr, SHORT: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """TOKENS (rows,): the place of the largest of a row's `parts` bests, the first of equals; or what SHORTLIST holds
    there. BEST and PLACE are (parts, ROWS). A program a row."""
    row = tl.program_id(0)
    part = tl.arange(0, PARTS)
    best = tl.load(BEST + part * ROWS + row, mask=part < parts, other=float("-inf"))
    place = tl.load(PLACE + tl.argmax(best, 0) * ROWS + row).to(tl.int64)
    if SHORT:
        place = tl.load(SHORTLIST + place)
    tl.store(TOKENS + row, place)


@triton.jit
def settle_kernel(
    TOKENS, BEST, POSITION, RESULT, COUNTS, SIDES, OTHER_COUNTS, OTHER_SIDES, HIDDEN, FEATURES, width,
    K: tl.constexpr, KP: tl.constexpr, WIDTH: tl.constexpr, OTHER: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """The end of a greedy cycle; one program of one warp.

    TOKENS (K+2,): the two last tokens and the drafts; BEST (K+1,): the target's choice after the last token and after
    each draft. RESULT (K+2,): the drafts, the token that follows those that stand, and how many do. The position, the
    counts of tokens to replay and the sides of the state's buffers move on, of one model or (OTHER) two. With KEEP,
    FEATURES (2, width) become the hidden states before the next pair, from HIDDEN (K+1, width).
    """
    k = tl.arange(0, KP)
    drafts = tl.load(TOKENS + 2 + k, mask=k < K, other=0)
    best = tl.load(BEST + k, mask=k < K, other=0)
    accepted = tl.min(tl.where((drafts == best) & (k < K), K, tl.minimum(k, K)), 0)
    following = tl.load(BEST + accepted)
    last = tl.load(TOKENS + 1 + accepted)
    if KEEP:
        d = tl.arange(0, WIDTH)
        known = d < width
        # Where no draft stands the last token becomes the one before it, and its feature is held already.
        held = tl.load(FEATURES + width + d, mask=known & (accepted == 0), other=0.0)
        read = tl.load(HIDDEN + (accepted - 1) * width + d, mask=known & (accepted > 0), other=0.0)
        first = tl.where(accepted > 0, read, held)
        second = tl.load(HIDDEN + accepted * width + d, mask=known, other=0.0)
        tl.store(FEATURES + d, first, mask=known)
        tl.store(FEATURES + width + d, second, mask=known)
    tl.store(RESULT + k, drafts, mask=k < K)
    tl.store(RESULT + K, following)
    tl.store(RESULT + K + 1, accepted.to(tl.int64))
    tl.store(POSITION, tl.load(POSITION) + accepted + 1)
    tl.store(COUNTS, (accepted + 1).to(tl.int64))
    tl.store(SIDES, 1 - tl.load(SIDES))
    if OTHER:
        tl.store(OTHER_COUNTS, (accepted + 1).to(tl.int64))
        tl.store(OTHER_SIDES, 1 - tl.load(OTHER_SIDES))
    tl.debug_barrier()
    tl.store(TOKENS, last)
    tl.store(TOKENS + 1, following)
