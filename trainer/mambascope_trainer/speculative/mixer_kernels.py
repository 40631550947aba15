"""Triton kernels of the mixers over static states: attention for few queries, and a whole Mamba-2 recurrence."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows", "shift"])
def attention_kernel(
    Q, KEYS, VALUES, POSITION, OUT, rows, shift, heads, length, share, scale,
    ROWS: tl.constexpr, P: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """OUT (rows, heads P) of queries alike, over the caches (groups, length, P) that already hold their own keys and
    values. A program a head. Blocks of keys begin at multiples of BLOCK whatever the position, and one that a query
    does not see leaves its row as it is, bit for bit."""
    head = tl.program_id(0)
    m, p = tl.arange(0, ROWS), tl.arange(0, P)
    at = tl.load(POSITION).to(tl.int32) + shift
    here = (m < rows)[:, None]
    place = m[:, None] * (heads * P) + head * P + p[None, :]
    q = tl.load(Q + place, mask=here, other=0.0)
    KEYS += head // share * length * P
    VALUES += head // share * length * P
    best = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    out = tl.zeros((ROWS, P), tl.float32)
    for start in range(0, at + rows, BLOCK):
        k = start + tl.arange(0, BLOCK)
        held = k[:, None] * P + p[None, :]
        keys = tl.load(KEYS + held, mask=(k < at + rows)[:, None], other=0.0)
        values = tl.load(VALUES + held, mask=(k < at + rows)[:, None], other=0.0)
        scores = tl.dot(q, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(k[None, :] <= (at + m)[:, None], scores, float("-inf"))
        new = tl.maximum(best, tl.max(scores, 1))
        weights = tl.exp(scores - new[:, None])
        kept = tl.exp(best - new)
        total = total * kept + tl.sum(weights, 1)
        out = tl.dot(weights.to(values.dtype), values, out * kept[:, None], input_precision="ieee")
        best = new
    tl.store(OUT + place, (out / total[:, None]).to(OUT.dtype.element_ty), mask=here)


@triton.jit
def _softplus(x):
    """log(1 + exp(x)) by the series of artanh, as the logarithm of what is nearly 1 has no digits."""
    e = tl.exp(-tl.abs(x))
    r = e / (2 + e)
    s = r * r
    series = 1 + s * (1 / 3 + s * (1 / 5 + s * (1 / 7 + s * (1 / 9 + s * (1 / 11 + s * (1 / 13 + s / 15))))))
    return tl.maximum(x, 0.0) + 2 * r * series


@triton.jit
def _activated(x, SILU: tl.constexpr):
    """Rounded as the inputs are, then activated, in float32."""
    wide = x.to(tl.float32)
    if SILU:
        wide = (wide * tl.sigmoid(wide)).to(x.dtype).to(tl.float32)
    return wide


@triton.jit
def _taps(WEIGHT, BIAS, c):
    """The four taps of channels c, and their bias."""
    tap = WEIGHT + c * 4
    return (
        tl.load(tap).to(tl.float32),
        tl.load(tap + 1).to(tl.float32),
        tl.load(tap + 2).to(tl.float32),
        tl.load(tap + 3).to(tl.float32),
        tl.load(BIAS + c).to(tl.float32),
    )


@triton.jit
def _past(WINDOW, c, channels):
    """The three inputs before a token."""
    row = WINDOW + c
    return tl.load(row), tl.load(row + channels), tl.load(row + 2 * channels)


@triton.jit
def _convolved(x0, x1, x2, x3, w0, w1, w2, w3, bias):
    total = x0.to(tl.float32) * w0 + bias
    total = tl.fma(x1.to(tl.float32), w1, total)
    total = tl.fma(x2.to(tl.float32), w2, total)
    return tl.fma(x3.to(tl.float32), w3, total).to(x3.dtype)


@triton.jit
def _row(JOINT, x_at, b_at, c_at, dt_at, known):
    """A token's inputs of the convolution, and its dt; zeros where there is none."""
    return (
        tl.load(JOINT + x_at, mask=known, other=0.0),
        tl.load(JOINT + b_at, mask=known, other=0.0),
        tl.load(JOINT + c_at, mask=known, other=0.0),
        tl.load(JOINT + dt_at, mask=known, other=0.0).to(tl.float32),
    )


@triton.jit
def _held(B, V, DECAY, known):
    """What moved the state by an old token; nothing where there is none."""
    return (
        tl.load(B, mask=known, other=0.0).to(tl.float32),
        tl.load(V, mask=known, other=0.0).to(tl.float32),
        tl.load(DECAY, mask=known, other=0.0),
    )


@triton.jit
def _moved(state, decay, b, v):
    """Fused as written, so that a token moves the state alike in every pass."""
    return tl.fma(state, tl.zeros_like(state) + decay, b[:, None] * v[None, :])


@triton.jit(do_not_specialize=["steps", "offset"])
def mamba_kernel(
    JOINT, TAPS, BIAS, DT_BIAS, RATE, D, CHECKPOINT, RUNNING, OLD_B, OLD_V, OLD_DECAY, WINDOW, SIDE, ACCEPTED, Y,
    steps, offset, tokens, joint_row, heads, share, x_start, channels, window_rows,
    N: tl.constexpr, P: tl.constexpr, WIDTH: tl.constexpr, CONV: tl.constexpr, SILU: tl.constexpr,
    GATE: tl.constexpr, SSD: tl.constexpr, REPLAY: tl.constexpr, STEP: tl.constexpr, KEEP_LAST: tl.constexpr,
    KEEP_INPUTS: tl.constexpr,
):  # fmt: skip
    """One head and WIDTH columns of its state (N, P), in float32 registers: all between a mixer's two projections.

    JOINT (steps, joint_row): z, then from x_start the convolution's inputs x, B, C, then dt. WINDOW
    (2, window_rows, channels): the convolution's inputs before the tokens since the checkpoint, and theirs. OLD_B
    (2, tokens, G, N), OLD_V (2, tokens, H, P), OLD_DECAY (2, tokens, H): what moved the state since the checkpoint.
    Each has two sides: a pass reads the side SIDE and writes the other, which STEP (on from the running state, `offset`
    tokens after the checkpoint) goes on reading and writing. With REPLAY the first ACCEPTED of the old tokens move the
    checkpoint on. A token is loaded while the one before it is computed.
    """
    head = tl.program_id(0)
    group = head // share
    groups = heads // share
    n = tl.arange(0, N)
    p = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    tile = head * N * P + n[:, None] * P + p[None, :]
    x_at = group * P + p
    b_at = groups * P + group * N + n
    c_at = groups * (P + N) + head * N + n
    dt_at = channels + head
    ROW = JOINT + x_start

    dt_bias = tl.load(DT_BIAS + head).to(tl.float32)
    skip = tl.load(D + head).to(tl.float32)
    rate = tl.load(RATE + head).to(tl.float32)
    if CONV:
        xw0, xw1, xw2, xw3, x_bias = _taps(TAPS, BIAS, x_at)
        bw0, bw1, bw2, bw3, b_bias = _taps(TAPS, BIAS, b_at)
        cw0, cw1, cw2, cw3, c_bias = _taps(TAPS, BIAS, c_at)

    side = tl.load(SIDE).to(tl.int32)
    count = tl.load(ACCEPTED).to(tl.int32)
    state = tl.load((CHECKPOINT if REPLAY else RUNNING) + tile)
    x3, b3, c3, dt = _row(ROW, x_at, b_at, c_at, dt_at, steps > 0)
    other = 1 - side
    leads = tl.program_id(1) == 0  # writes what the columns share
    first = head % share == 0  # writes what the group's heads share
    here = tl.full((WIDTH,), 1, tl.int1) & first
    shared = tl.full((N,), 1, tl.int1) & leads
    once = shared & first

    if CONV:
        NEW = WINDOW + other * window_rows * channels
        PAST = NEW + offset * channels
        if not STEP:
            PAST = WINDOW + side * window_rows * channels + count * channels
        x0, x1, x2 = _past(PAST, x_at, channels)
        b0, b1, b2 = _past(PAST, b_at, channels)
        c0, c1, c2 = _past(PAST, c_at, channels)

    if REPLAY:
        HELD_B = OLD_B + (side * tokens * groups + group) * N + n
        HELD_V = OLD_V + (side * tokens * heads + head) * P + p
        HELD_DECAY = OLD_DECAY + side * tokens * heads + head
        b_t, v_t, decay_t = _held(HELD_B, HELD_V, HELD_DECAY, count > 0)
        for t in range(count):  # what was rejected is not even read
            after = t + 1
            b_u, v_u, decay_u = _held(
                HELD_B + after * groups * N, HELD_V + after * heads * P, HELD_DECAY + after * heads, after < count
            )
            state = _moved(state, tl.exp(decay_t), b_t, v_t)
            b_t, v_t, decay_t = b_u, v_u, decay_u
        tl.store(CHECKPOINT + tile, state)

    if CONV and not STEP:
        tl.store(NEW + x_at, x0, mask=here)
        tl.store(NEW + channels + x_at, x1, mask=here)
        tl.store(NEW + 2 * channels + x_at, x2, mask=here)
        tl.store(NEW + b_at, b0, mask=once)
        tl.store(NEW + channels + b_at, b1, mask=once)
        tl.store(NEW + 2 * channels + b_at, b2, mask=once)
        tl.store(NEW + c_at, c0, mask=shared)
        tl.store(NEW + channels + c_at, c1, mask=shared)
        tl.store(NEW + 2 * channels + c_at, c2, mask=shared)

    for s in range(steps):
        x4, b4, c4, dt_after = _row(ROW + (s + 1) * joint_row, x_at, b_at, c_at, dt_at, s + 1 < steps)
        if GATE:
            z = tl.load(JOINT + s * joint_row + head * P + p).to(tl.float32)
        x, b, c = x3, b3, c3
        if CONV:
            x = _convolved(x0, x1, x2, x3, xw0, xw1, xw2, xw3, x_bias)
            b = _convolved(b0, b1, b2, b3, bw0, bw1, bw2, bw3, b_bias)
            c = _convolved(c0, c1, c2, c3, cw0, cw1, cw2, cw3, c_bias)
        x, b, c = _activated(x, SILU), _activated(b, SILU), _activated(c, SILU)
        d = _softplus(dt + dt_bias)
        log_decay = rate * d
        v = x
        if SSD:
            v = (x * d).to(Y.dtype.element_ty).to(tl.float32)
        state = _moved(state, tl.exp(log_decay), b, v)
        y = tl.sum(c[:, None] * state, 0) + skip * x
        if GATE:
            y = y * (z * tl.sigmoid(z))
        tl.store(Y + (s * heads + head) * P + p, y.to(Y.dtype.element_ty))
        if CONV:
            kept = NEW + (offset + 3 + s) * channels
            tl.store(kept + x_at, x3, mask=here)
            tl.store(kept + b_at, b3, mask=once)
            tl.store(kept + c_at, c3, mask=shared)
            x0, x1, x2 = x1, x2, x3
            b0, b1, b2 = b1, b2, b3
            c0, c1, c2 = c1, c2, c3
        if KEEP_INPUTS:
            t = other * tokens + offset + s
            tl.store(OLD_B + (t * groups + group) * N + n, b.to(OLD_B.dtype.element_ty), mask=once)
            tl.store(OLD_V + (t * heads + head) * P + p, v.to(OLD_V.dtype.element_ty))
            tl.store(OLD_DECAY + t * heads + head, log_decay, mask=leads)
        x3, b3, c3, dt = x4, b4, c4, dt_after
    if KEEP_LAST:
        tl.store(RUNNING + tile, state)
