"""The Triton kernel of the multi-step state update."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def multistep_kernel(
    STATE, LAST, ACCEPTED, OLD_B, OLD_V, OLD_DECAY, C, B, V, DECAY, Y,
    heads, share_b, share_v,
    c_b, c_t, c_h, b_b, b_t, b_h, v_b, v_t, v_h, a_b, a_t, a_h,
    ob_b, ob_t, ob_h, ov_b, ov_t, ov_h, oa_b, oa_t, oa_h,
    N: tl.constexpr, P: tl.constexpr, WIDTH: tl.constexpr, STEPS: tl.constexpr, CACHED: tl.constexpr,
    KEEP_LAST: tl.constexpr,
):  # fmt: skip
    """One sequence and head, WIDTH columns of its state (N, P), which stays in registers in float32.

    The state is read once; it is written once as the checkpoint (CACHED > 0) and once as the last (KEEP_LAST).
    """
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // heads, program % heads
    n = tl.arange(0, N)
    p = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    tile = program * N * P + n[:, None] * P + p[None, :]
    state = tl.load(STATE + tile).to(tl.float32)
    if CACHED > 0:
        count = tl.load(ACCEPTED + batch)
        OLD_B += batch * ob_b + head // share_b * ob_h
        OLD_V += batch * ov_b + head // share_v * ov_h
        OLD_DECAY += batch * oa_b + head * oa_h
        for t in range(0, count):  # what was rejected is not even read
            decay = tl.exp(tl.load(OLD_DECAY + t * oa_t).to(tl.float32))
            k = tl.load(OLD_B + t * ob_t + n).to(tl.float32)
            v = tl.load(OLD_V + t * ov_t + p).to(tl.float32)
            state = decay * state + k[:, None] * v[None, :]
        tl.store(STATE + tile, state.to(STATE.dtype.element_ty))
    C += batch * c_b + head * c_h
    B += batch * b_b + head // share_b * b_h
    V += batch * v_b + head // share_v * v_h
    DECAY += batch * a_b + head * a_h
    Y += (batch * STEPS * heads + head) * P + p
    for t in tl.static_range(0, STEPS):
        decay = tl.exp(tl.load(DECAY + t * a_t).to(tl.float32))
        k = tl.load(B + t * b_t + n).to(tl.float32)
        c = tl.load(C + t * c_t + n).to(tl.float32)
        v = tl.load(V + t * v_t + p).to(tl.float32)
        state = decay * state + k[:, None] * v[None, :]
        tl.store(Y + t * heads * P, tl.sum(c[:, None] * state, 0).to(Y.dtype.element_ty))
    if KEEP_LAST:
        tl.store(LAST + tile, state.to(LAST.dtype.element_ty))
