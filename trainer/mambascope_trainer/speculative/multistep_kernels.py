"""The Triton kernel of the multi-step state update."""

from __future__ import annotations

import triton
import triton.language as tl


# Strides of decays and counts change with the tokens of a pass: to compile for each would take minutes.
@triton.jit(do_not_specialize=["heads", "steps", "a_b", "a_t", "oa_b", "oa_t"])
def multistep_kernel(
    STATE, LAST, ACCEPTED, OLD_B, OLD_V, OLD_DECAY, C, B, V, DECAY, Y,
    heads, steps, share_b, share_v,
    c_b, c_t, c_h, b_b, b_t, b_h, v_b, v_t, v_h, a_b, a_t, a_h,
    ob_b, ob_t, ob_h, ov_b, ov_t, ov_h, oa_b, oa_t, oa_h,
    N: tl.constexpr, P: tl.constexpr, WIDTH: tl.constexpr, GROUP: tl.constexpr, CACHED: tl.constexpr,
    KEEP_LAST: tl.constexpr,
):  # fmt: skip
    """One sequence and head, WIDTH columns of its state (N, P), which stays in registers in float32.

    The state is read once; it is written once as the checkpoint (CACHED) and once as the last (KEEP_LAST).
    Tokens are taken GROUP at a time, so that their loads need not wait for one another; those past the end are masked
    to the identity: no decay, no input.
    """
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // heads, program % heads
    n = tl.arange(0, N)
    p = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    tile = program * N * P + n[:, None] * P + p[None, :]
    state = tl.load(STATE + tile).to(tl.float32)
    if CACHED:
        count = tl.load(ACCEPTED + batch).to(tl.int32)
        OLD_B += batch * ob_b + head // share_b * ob_h
        OLD_V += batch * ov_b + head // share_v * ov_h
        OLD_DECAY += batch * oa_b + head * oa_h
        for first in range(0, count, GROUP):  # what was rejected is not even read
            for i in tl.static_range(GROUP):
                t = first + i
                here = t < count
                decay = tl.exp(tl.load(OLD_DECAY + t * oa_t, mask=here, other=0.0).to(tl.float32))
                k = tl.load(OLD_B + t * ob_t + n, mask=here, other=0.0).to(tl.float32)
                v = tl.load(OLD_V + t * ov_t + p, mask=here, other=0.0).to(tl.float32)
                state = decay * state + k[:, None] * v[None, :]
        tl.store(STATE + tile, state.to(STATE.dtype.element_ty))
    C += batch * c_b + head * c_h
    B += batch * b_b + head // share_b * b_h
    V += batch * v_b + head // share_v * v_h
    DECAY += batch * a_b + head * a_h
    Y += (batch * steps * heads + head) * P + p
    for start in range(0, steps, GROUP):
        for j in tl.static_range(GROUP):
            s = start + j
            inside = s < steps
            decay_s = tl.exp(tl.load(DECAY + s * a_t, mask=inside, other=0.0).to(tl.float32))
            k_s = tl.load(B + s * b_t + n, mask=inside, other=0.0).to(tl.float32)
            c_s = tl.load(C + s * c_t + n, mask=inside, other=0.0).to(tl.float32)
            v_s = tl.load(V + s * v_t + p, mask=inside, other=0.0).to(tl.float32)
            state = decay_s * state + k_s[:, None] * v_s[None, :]
            y = tl.sum(c_s[:, None] * state, 0)
            tl.store(Y + s * heads * P, y.to(Y.dtype.element_ty), mask=inside)
    if KEEP_LAST:
        tl.store(LAST + tile, state.to(LAST.dtype.element_ty))
