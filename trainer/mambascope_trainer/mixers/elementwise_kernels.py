"""Triton kernels of the causal convolution and of SwiGLU, whose gradients compiled code spreads over slow passes."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def conv_kernel(
    X, WEIGHT, BIAS, OUT, length, channels, x_b, x_t,
    K: tl.constexpr, BT: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Depthwise causal convolution of one block of tokens and channels; weight (channels, K), last tap current."""
    batch = tl.program_id(2).to(tl.int64)
    t = tl.program_id(0) * BT + tl.arange(0, BT)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    known = c < channels
    X += batch * x_b
    total = tl.zeros((BT, BC), tl.float32) + tl.load(BIAS + c, mask=known, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(K):
        at = t - (K - 1 - tap)
        mask = (at >= 0)[:, None] & (at < length)[:, None] & known[None, :]
        weight = tl.load(WEIGHT + c * K + tap, mask=known, other=0.0).to(tl.float32)
        total += tl.load(X + at[:, None] * x_t + c[None, :], mask=mask, other=0.0).to(tl.float32) * weight[None, :]
    out = OUT + (batch * length + t[:, None]) * channels + c[None, :]
    tl.store(out, total.to(OUT.dtype.element_ty), mask=(t < length)[:, None] & known[None, :])


@triton.jit
def conv_backward_kernel(
    X, WEIGHT, DOUT, DX, SHARES, length, channels, x_b, x_t,
    K: tl.constexpr, BT: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """dX of one block of tokens and channels, and its share of the gradients of the taps and (last) of the bias."""
    batch = tl.program_id(2).to(tl.int64)
    t = tl.program_id(0) * BT + tl.arange(0, BT)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    known = c < channels
    inside = (t < length)[:, None] & known[None, :]
    X += batch * x_b
    DOUT += batch * length * channels
    DX += batch * length * channels
    SHARES += ((batch * tl.num_programs(0) + tl.program_id(0)) * channels + c) * (K + 1)
    dout = tl.load(DOUT + t[:, None] * channels + c[None, :], mask=inside, other=0.0).to(tl.float32)
    tl.store(SHARES + K, tl.sum(dout, 0), mask=known)
    dx = tl.zeros((BT, BC), tl.float32)
    for tap in tl.static_range(K):
        after, before = t + (K - 1 - tap), t - (K - 1 - tap)
        weight = tl.load(WEIGHT + c * K + tap, mask=known, other=0.0).to(tl.float32)
        mask = (after < length)[:, None] & known[None, :]
        later = tl.load(DOUT + after[:, None] * channels + c[None, :], mask=mask, other=0.0).to(tl.float32)
        dx += later * weight[None, :]
        mask = (before >= 0)[:, None] & inside
        x = tl.load(X + before[:, None] * x_t + c[None, :], mask=mask, other=0.0).to(tl.float32)
        tl.store(SHARES + tap, tl.sum(dout * x, 0), mask=known)
    tl.store(DX + t[:, None] * channels + c[None, :], dx.to(DX.dtype.element_ty), mask=inside)


@triton.jit
def swiglu_kernel(JOINT, OUT, size, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """silu(gate) up of rows [gate, up] (n, 2 WIDTH)."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row, column = at // WIDTH, at % WIDTH
    gate = tl.load(JOINT + row * (2 * WIDTH) + column, mask=at < size, other=0.0).to(tl.float32)
    up = tl.load(JOINT + row * (2 * WIDTH) + WIDTH + column, mask=at < size, other=0.0).to(tl.float32)
    tl.store(OUT + at, (gate * tl.sigmoid(gate) * up).to(OUT.dtype.element_ty), mask=at < size)


@triton.jit
def swiglu_backward_kernel(JOINT, DOUT, DJOINT, size, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """The gradient of rows [gate, up]."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row, column = at // WIDTH, at % WIDTH
    to_gate = row * (2 * WIDTH) + column
    gate = tl.load(JOINT + to_gate, mask=at < size, other=0.0).to(tl.float32)
    up = tl.load(JOINT + to_gate + WIDTH, mask=at < size, other=0.0).to(tl.float32)
    dout = tl.load(DOUT + at, mask=at < size, other=0.0).to(tl.float32)
    open_share = tl.sigmoid(gate)
    dgate = dout * up * open_share * (1 + gate * (1 - open_share))
    tl.store(DJOINT + to_gate, dgate.to(DJOINT.dtype.element_ty), mask=at < size)
    tl.store(DJOINT + to_gate + WIDTH, (dout * gate * open_share).to(DJOINT.dtype.element_ty), mask=at < size)


@triton.jit
def rotary_kernel(
    JOINT, COS, SIN, Q, K, V, length, heads, groups, table, q_b, q_h, q_t, k_b, k_h, k_t, v_b, v_h, v_t,
    P: tl.constexpr, BT: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """Rows [q, k, v] (b, T, (H + 2 G) P) to q (b, H, T, P) and k, v (b, G, T, P), q and k rotated; with BACK the way
    back of their gradients."""
    HALF: tl.constexpr = P // 2
    head = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    t = tl.program_id(0) * BT + tl.arange(0, BT)
    n = tl.arange(0, HALF)
    inside = (t < length)[:, None]
    joint = JOINT + (batch * length + t[:, None]) * (heads + 2 * groups) * P + head * P + n[None, :]
    if head < heads:
        part = Q + batch * q_b + head * q_h + t[:, None] * q_t + n[None, :]
    elif head < heads + groups:
        part = K + batch * k_b + (head - heads) * k_h + t[:, None] * k_t + n[None, :]
    else:
        part = V + batch * v_b + (head - heads - groups) * v_h + t[:, None] * v_t + n[None, :]
    source = part if BACK else joint
    target = joint if BACK else part
    low = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    high = tl.load(source + HALF, mask=inside, other=0.0).to(tl.float32)
    if head < heads + groups:
        cos = tl.load(COS + t[:, None] * table + n[None, :], mask=inside, other=0.0)
        sin = tl.load(SIN + t[:, None] * table + n[None, :], mask=inside, other=0.0)
        sin = -sin if BACK else sin
        low, high = low * cos - high * sin, high * cos + low * sin
    tl.store(target, low.to(JOINT.dtype.element_ty), mask=inside)
    tl.store(target + HALF, high.to(JOINT.dtype.element_ty), mask=inside)
