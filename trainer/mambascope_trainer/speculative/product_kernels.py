"""Triton kernels of products of few rows with weights, each with what comes before and after it in a layer.

A program takes BN columns of the output for all rows, which are padded to ROWS: what comes out for a row does not
depend on how many there are, so that a pass over several tokens gives what one after the other would, bit for bit.
A weight's rows are read as two blocks of A and C entries, powers of two (C may be 0), and each is cut into S pieces
whose products run side by side, a warp each, and are added up last.

Weights are loaded first: the reads of them are what a product waits for.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .loaded import loaded

#: Rows of every tile; the tensor cores know no smaller one.
ROWS = tl.constexpr(16)
#: Norms before a product: none, of the row, or of each of its groups.
NO_NORM, ROW_NORM, GROUP_NORM = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def _tile(X, rows, stride, start, K: tl.constexpr, WIDTH: tl.constexpr):
    """Columns start .. start+WIDTH of x (rows, K), zeros beyond it."""
    m = tl.arange(0, ROWS)
    k = start + tl.arange(0, WIDTH)
    return tl.load(X + m[:, None] * stride + k[None, :], mask=(m < rows)[:, None] & (k < K)[None, :], other=0.0)


@triton.jit
def _norm_weights(WEIGHT, K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, NORM: tl.constexpr):
    """A norm's weight for the two blocks of a row; anything where there is no norm, or no second block."""
    first = 1.0
    second = 1.0
    if NORM != NO_NORM:
        first = tl.load(WEIGHT + tl.arange(0, A)).to(tl.float32)
        second = first
        if C > 0:
            k = A + tl.arange(0, C)
            second = tl.load(WEIGHT + k, mask=k < K, other=0.0).to(tl.float32)
    return first, second


@triton.jit
def _scaled(x, scale, weight):
    return (x.to(tl.float32) * scale * weight[None, :]).to(x.dtype)


@triton.jit
def _squares(x):
    wide = x.to(tl.float32)
    return tl.sum(wide * wide, 1)


@triton.jit
def _group_scale(x, eps, WIDTH: tl.constexpr, GROUP: tl.constexpr):
    """1 / root mean square of each GROUP columns of x (ROWS, WIDTH), spread over them."""
    wide = tl.reshape(x.to(tl.float32), (ROWS, WIDTH // GROUP, GROUP))
    scale = tl.rsqrt(tl.sum(wide * wide, 2) / GROUP + eps)
    return tl.reshape(tl.broadcast_to(scale[:, :, None], (ROWS, WIDTH // GROUP, GROUP)), (ROWS, WIDTH))


@triton.jit
def _inputs(
    X, weight, more, rows, stride, eps, K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, NORM: tl.constexpr,
    GROUP: tl.constexpr, GPU: tl.constexpr,
):  # fmt: skip
    """The two blocks of x (rows, K), normed by the weight's two; the second is the first where there is none."""
    first = _tile(X, rows, stride, 0, K, A)
    second = first
    if C > 0:
        second = _tile(X, rows, stride, A, K, C)
    first = loaded(first, GPU)
    if C > 0:
        second = loaded(second, GPU)
    if NORM == ROW_NORM:
        total = _squares(first)
        if C > 0:
            total += _squares(second)
        scale = tl.rsqrt(total / K + eps)[:, None]
        first = _scaled(first, scale, weight)
        if C > 0:
            second = _scaled(second, scale, more)
    if NORM == GROUP_NORM:
        first = _scaled(first, _group_scale(first, eps, A, GROUP), weight)
        if C > 0:
            second = _scaled(second, _group_scale(second, eps, C, GROUP), more)
    return first, second


@triton.jit
def _pieces(x, ROW: tl.constexpr, WIDTH: tl.constexpr, S: tl.constexpr):
    """(ROW, WIDTH) -> (S, ROW, WIDTH/S)."""
    return tl.permute(tl.reshape(x, (ROW, S, WIDTH // S)), (1, 0, 2))


@triton.jit
def _block(W, n, columns, start, K: tl.constexpr, WIDTH: tl.constexpr):
    """Entries start .. start+WIDTH of the weight's rows n."""
    k = start + tl.arange(0, WIDTH)
    known = (n < columns)[:, None] & (k < K)[None, :]
    return tl.load(W + n.to(tl.int64)[:, None] * K + k[None, :], mask=known, other=0.0)


@triton.jit
def _weights(W, n, columns, K: tl.constexpr, A: tl.constexpr, C: tl.constexpr):
    """The two blocks of the weight's rows n; the second is the first where there is none."""
    first = _block(W, n, columns, 0, K, A)
    second = first
    if C > 0:
        second = _block(W, n, columns, A, K, C)
    return first, second


@triton.jit
def _dot(x, w, total, BN: tl.constexpr, WIDTH: tl.constexpr, S: tl.constexpr):
    """total (S, ROWS, BN) and the products of the S pieces of x (ROWS, WIDTH) and w (BN, WIDTH)."""
    left = tl.permute(tl.reshape(x, (ROWS, S, WIDTH // S)), (1, 0, 2))
    right = tl.permute(tl.reshape(w, (BN, S, WIDTH // S)), (1, 2, 0))
    return tl.dot(left, right, total, input_precision="ieee")


@triton.jit
def _product(x, y, w, v, A: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, S: tl.constexpr, GPU: tl.constexpr):
    """(ROWS, BN) in float32: the inputs' blocks x, y times the weight's w, v."""
    total = _dot(x, loaded(w, GPU), tl.zeros((S, ROWS, BN), tl.float32), BN, A, S)
    if C > 0:
        total = _dot(y, loaded(v, GPU), total, BN, C, S)
    return tl.sum(total, 0)


@triton.jit(do_not_specialize=["rows"])
def product_kernel(
    X, NORM_WEIGHT, W, OUT, rows, columns, x_row, out_row, eps,
    K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, S: tl.constexpr, NORM: tl.constexpr,
    GROUP: tl.constexpr, ADD: tl.constexpr, GPU: tl.constexpr,
):  # fmt: skip
    """OUT (rows, columns) = norm(X) W^T; with ADD onto what OUT holds, the residual stream."""
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    w, v = _weights(W, n, columns, K, A, C)
    weight, more = _norm_weights(NORM_WEIGHT, K, A, C, NORM)
    place = OUT + m[:, None] * out_row + n[None, :]
    known = (m < rows)[:, None] & (n < columns)[None, :]
    if ADD:
        before = tl.load(place, mask=known, other=0.0)
    x, y = _inputs(X, weight, more, rows, x_row, eps, K, A, C, NORM, GROUP, GPU)
    out = _product(x, y, w, v, A, C, BN, S, GPU)
    if ADD:
        out += loaded(before, GPU).to(tl.float32)
    tl.store(place, out.to(OUT.dtype.element_ty), mask=known)


@triton.jit(do_not_specialize=["rows"])
def gated_kernel(
    X, NORM_WEIGHT, GATE, UP, OUT, rows, columns, x_row, out_row, eps,
    K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, S: tl.constexpr, GPU: tl.constexpr,
):  # fmt: skip
    """OUT (rows, columns) = silu(norm(X) GATE^T) norm(X) UP^T."""
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    gate_w, gate_v = _weights(GATE, n, columns, K, A, C)
    up_w, up_v = _weights(UP, n, columns, K, A, C)
    weight, more = _norm_weights(NORM_WEIGHT, K, A, C, ROW_NORM)
    x, y = _inputs(X, weight, more, rows, x_row, eps, K, A, C, ROW_NORM, K, GPU)
    gate = _product(x, y, gate_w, gate_v, A, C, BN, S, GPU)
    up = _product(x, y, up_w, up_v, A, C, BN, S, GPU)
    out = (gate * tl.sigmoid(gate) * up).to(OUT.dtype.element_ty)
    tl.store(OUT + m[:, None] * out_row + n[None, :], out, mask=(m < rows)[:, None] & (n < columns)[None, :])


@triton.jit(do_not_specialize=["rows", "shift"])
def rotary_product_kernel(
    X, NORM_WEIGHT, WQ, WK, WV, COS, SIN, POSITION, Q, KEYS, VALUES, rows, shift, heads, groups, length, x_row, eps,
    K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
    GPU: tl.constexpr,
):  # fmt: skip
    """Queries of norm(X) to Q (rows, heads P), keys and values to their places in the caches (groups, length, P);
    queries and keys rotated. A program takes BN columns of a head's low half, and those of its high half."""
    HALF: tl.constexpr = P // 2
    PARTS: tl.constexpr = HALF // BN
    head = tl.program_id(0) // PARTS
    column = tl.program_id(0) % PARTS * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    here = (m < rows)[:, None]
    # A head's number among the queries, the keys or the values.
    local = head
    W = WQ
    if head >= heads + groups:
        local = head - heads - groups
        W = WV
    elif head >= heads:
        local = head - heads
        W = WK
    n = local * P + column
    low_w, low_v = _weights(W, n, (local + 1) * P, K, A, C)
    high_w, high_v = _weights(W, n + HALF, (local + 1) * P, K, A, C)
    weight, more = _norm_weights(NORM_WEIGHT, K, A, C, ROW_NORM)
    at = tl.load(POSITION).to(tl.int32) + shift + m
    table = at[:, None] * P + column[None, :]
    cos, sin = tl.load(COS + table, mask=here, other=0.0), tl.load(SIN + table, mask=here, other=0.0)
    x, y = _inputs(X, weight, more, rows, x_row, eps, K, A, C, ROW_NORM, K, GPU)
    low = _product(x, y, low_w, low_v, A, C, BN, S, GPU)
    high = _product(x, y, high_w, high_v, A, C, BN, S, GPU)
    if head < heads + groups:
        cos, sin = loaded(cos, GPU), loaded(sin, GPU)
        low, high = low * cos - high * sin, high * cos + low * sin
    if head < heads:
        out = Q + m[:, None] * (heads * P) + n[None, :]
    elif head < heads + groups:
        out = KEYS + local * length * P + table
    else:
        out = VALUES + local * length * P + table
    tl.store(out, low.to(Q.dtype.element_ty), mask=here)
    tl.store(out + HALF, high.to(Q.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=["rows"])
def head_kernel(
    X, NORM_WEIGHT, W, HIDDEN, LOGITS, BEST, PLACE, rows, columns, x_row, eps,
    K: tl.constexpr, A: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, S: tl.constexpr, GREEDY: tl.constexpr,
    GPU: tl.constexpr,
):  # fmt: skip
    """Of norm(X), which HIDDEN (rows, K) keeps: LOGITS (rows, columns) in float32; if GREEDY, each program's largest
    in BEST (programs, ROWS) and where it is in PLACE."""
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    w, v = _weights(W, n, columns, K, A, C)
    weight, more = _norm_weights(NORM_WEIGHT, K, A, C, ROW_NORM)
    x, y = _inputs(X, weight, more, rows, x_row, eps, K, A, C, ROW_NORM, K, GPU)
    if tl.program_id(0) == 0:
        k = tl.arange(0, A)
        tl.store(HIDDEN + m[:, None] * K + k[None, :], x, mask=(m < rows)[:, None])
        if C > 0:
            k = A + tl.arange(0, C)
            tl.store(HIDDEN + m[:, None] * K + k[None, :], y, mask=(m < rows)[:, None] & (k < K)[None, :])
    out = _product(x, y, w, v, A, C, BN, S, GPU)
    if GREEDY:
        out = tl.where((n < columns)[None, :], out, float("-inf"))
        best, place = tl.max(out, 1, return_indices=True)
        at = tl.program_id(0) * ROWS + m
        tl.store(BEST + at, best)
        tl.store(PLACE + at, tl.program_id(0) * BN + place)
    else:
        known = (m < rows)[:, None] & (n < columns)[None, :]
        tl.store(LOGITS + m[:, None] * columns + n[None, :], out, mask=known)
