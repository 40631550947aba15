"""Triton kernels of the chunked Mamba-2 scan, forward and backward.

The block decomposition of "Transformers are SSMs" (arXiv 2405.21060, section 6): within a chunk a masked matrix
product, from chunk to chunk the state. Forward, one program walks the chunks of a sequence and head, so that the state
(N, P) stays in registers in float32. Backward, a first kernel walks back with the gradient of the state, a second has
a program a chunk. Products are of the inputs' type with float32 accumulation.

Triton 3.4 to 3.7.0 miscompiles `dot(trans(d), ...)` for Hopper where d is itself a product held in registers
(github.com/fla-org/flash-linear-attention/issues/640). So nothing computed is transposed here: transposed operands come
from memory, the keys' gradient is formed transposed, and the values' gradient has its own product B C^T.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def chunk_decay(log_decay, start, length, stride, L: tl.constexpr):
    """Cumulative log decay within a chunk (L) in float32, and its last entry. Past the end the decay is none."""
    at = tl.arange(0, L)
    inside = start + at < length
    total = tl.cumsum(tl.load(log_decay + (start + at) * stride, mask=inside, other=0.0).to(tl.float32), 0)
    return total, tl.sum(tl.where(at == L - 1, total, 0.0), 0)


@triton.jit
def load_rows(rows, start, length, stride, L: tl.constexpr, W: tl.constexpr):
    """A tile (L, W) of consecutive rows, zeros past the end."""
    at = start + tl.arange(0, L)
    return tl.load(rows + at[:, None] * stride + tl.arange(0, W)[None, :], mask=(at < length)[:, None], other=0.0)


@triton.jit
def store_rows(rows, values, start, length, stride, L: tl.constexpr, W: tl.constexpr):
    """Write a tile (L, W) of consecutive rows, in the type of the memory."""
    at = start + tl.arange(0, L)
    pointers = rows + at[:, None] * stride + tl.arange(0, W)[None, :]
    tl.store(pointers, values.to(rows.dtype.element_ty), mask=(at < length)[:, None])


@triton.jit
def forward_kernel(
    C, B, V, LOG_DECAY, STATE, Y, LAST, STARTS,
    length, heads, share_b, share_v,
    c_b, c_t, c_h, b_b, b_t, b_h, v_b, v_t, v_h, a_b, a_t, a_h,
    N: tl.constexpr, P: tl.constexpr, L: tl.constexpr,
    HAS_STATE: tl.constexpr, KEEP_STARTS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """y and the last state of one sequence and head; with KEEP_STARTS the state before each chunk."""
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // heads, program % heads
    C += batch * c_b + head * c_h
    B += batch * b_b + head // share_b * b_h
    V += batch * v_b + head // share_v * v_h
    LOG_DECAY += batch * a_b + head * a_h
    Y += (batch * length * heads + head) * P
    STARTS += program * tl.cdiv(length, L) * N * P
    at = tl.arange(0, L)
    tile = tl.arange(0, N)[:, None] * P + tl.arange(0, P)[None, :]
    state = tl.load(STATE + program * N * P + tile).to(tl.float32) if HAS_STATE else tl.zeros((N, P), tl.float32)
    for start in range(0, length, L):
        c = load_rows(C, start, length, c_t, L, N)
        k = load_rows(B, start, length, b_t, L, N)
        v = load_rows(V, start, length, v_t, L, P)
        total, last = chunk_decay(LOG_DECAY, start, length, a_t, L)
        if KEEP_STARTS:
            tl.store(STARTS + start // L * N * P + tile, state.to(STARTS.dtype.element_ty))
        # Masked before exp: above the diagonal the difference is positive and could overflow; so could rounding.
        gap = tl.minimum(total[:, None] - total[None, :], 0.0)
        decay = tl.exp(tl.where(at[:, None] >= at[None, :], gap, float("-inf")))
        y = tl.dot(c, state.to(c.dtype), input_precision=PRECISION) * tl.exp(total)[:, None]
        scores = tl.dot(c, tl.trans(k), input_precision=PRECISION) * decay
        y = tl.dot(scores.to(v.dtype), v, acc=y, input_precision=PRECISION)
        store_rows(Y, y, start, length, heads * P, L, P)
        to_end = (v * tl.exp(tl.minimum(last - total, 0.0))[:, None]).to(v.dtype)
        state = tl.dot(tl.trans(k), to_end, acc=state * tl.exp(last), input_precision=PRECISION)
    tl.store(LAST + program * N * P + tile, state)


@triton.jit
def adjoint_kernel(
    C, LOG_DECAY, DY, DLAST, ENDS, DSTATE,
    length, heads, c_b, c_t, c_h, a_b, a_t, a_h,
    N: tl.constexpr, P: tl.constexpr, L: tl.constexpr, HAS_DLAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradient of the state after each chunk (ENDS) and of the first state, chunks from the last to the first."""
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // heads, program % heads
    chunks = tl.cdiv(length, L)
    C += batch * c_b + head * c_h
    LOG_DECAY += batch * a_b + head * a_h
    DY += (batch * length * heads + head) * P
    ENDS += program * chunks * N * P
    tile = tl.arange(0, N)[:, None] * P + tl.arange(0, P)[None, :]
    dstate = tl.load(DLAST + program * N * P + tile).to(tl.float32) if HAS_DLAST else tl.zeros((N, P), tl.float32)
    for step in range(0, chunks):
        chunk = chunks - 1 - step
        start = chunk * L
        c = load_rows(C, start, length, c_t, L, N)
        dy = load_rows(DY, start, length, heads * P, L, P)
        total, last = chunk_decay(LOG_DECAY, start, length, a_t, L)
        tl.store(ENDS + chunk * N * P + tile, dstate.to(ENDS.dtype.element_ty))
        weighed = (dy * tl.exp(total)[:, None]).to(dy.dtype)
        dstate = tl.dot(tl.trans(c), weighed, acc=dstate * tl.exp(last), input_precision=PRECISION)
    tl.store(DSTATE + program * N * P + tile, dstate)


@triton.jit
def backward_kernel(
    C, B, V, LOG_DECAY, STARTS, ENDS, DY, DC, DB, DV, DLOG_DECAY,
    length, heads, share_b, share_v,
    c_b, c_t, c_h, b_b, b_t, b_h, v_b, v_t, v_h, a_b, a_t, a_h,
    N: tl.constexpr, P: tl.constexpr, L: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradients of one chunk of one sequence and head; dB and dV a head, not yet a group."""
    chunk = tl.program_id(0)
    program = tl.program_id(1).to(tl.int64)
    batch, head = program // heads, program % heads
    start = chunk * L
    C += batch * c_b + head * c_h
    B += batch * b_b + head // share_b * b_h
    V += batch * v_b + head // share_v * v_h
    LOG_DECAY += batch * a_b + head * a_h
    row = batch * length * heads + head
    at = tl.arange(0, L)
    n = tl.arange(0, N)
    inside = start + at < length
    tile = (program * tl.num_programs(0) + chunk) * N * P + n[:, None] * P + tl.arange(0, P)[None, :]
    c = load_rows(C, start, length, c_t, L, N)
    k = load_rows(B, start, length, b_t, L, N)
    v = load_rows(V, start, length, v_t, L, P)
    dy = load_rows(DY + row * P, start, length, heads * P, L, P)
    state = tl.load(STARTS + tile)
    dstate = tl.load(ENDS + tile)
    total, last = chunk_decay(LOG_DECAY, start, length, a_t, L)
    to_end = tl.exp(tl.minimum(last - total, 0.0))

    # Each gradient is formed and stored before the next begins: registers are what this kernel is short of.
    # Masked before exp: above the diagonal the difference is positive and could overflow; so could rounding.
    gap = tl.minimum(total[:, None] - total[None, :], 0.0)
    decay = tl.exp(tl.where(at[:, None] >= at[None, :], gap, float("-inf")))
    dscores = (tl.dot(dy, tl.trans(v), input_precision=PRECISION) * decay).to(c.dtype)
    dc = tl.dot(dy, tl.trans(state), input_precision=PRECISION) * tl.exp(total)[:, None]
    dc = tl.dot(dscores, k, acc=dc, input_precision=PRECISION)
    dtotal = tl.sum(c * dc, 1)
    store_rows(DC + row * N, dc, start, length, heads * N, L, N)

    k_t = tl.load(B + (start + at)[None, :] * b_t + n[:, None], mask=inside[None, :], other=0.0)
    dk_t = tl.dot(dstate, tl.trans(v), input_precision=PRECISION) * to_end[None, :]
    carried = tl.sum(k_t * dk_t, 0)  # what the decay from each token to the chunk's end gets
    dk_t = tl.dot(tl.trans(c), dscores, acc=dk_t, input_precision=PRECISION)
    pointers = DB + row * N + (start + at)[None, :] * (heads * N) + n[:, None]
    tl.store(pointers, dk_t.to(DB.dtype.element_ty), mask=inside[None, :])

    # A token's cumulative decay scales its query up and its key down; the chunk's whole decay scales the state.
    dtotal -= tl.sum(k_t * dk_t, 0)
    whole = tl.sum(tl.sum(state.to(tl.float32) * dstate, 1), 0) * tl.exp(last) + tl.sum(carried, 0)
    dlog_decay = tl.sum(tl.where(at[:, None] >= at[None, :], dtotal[:, None], 0.0), 0) + whole
    tl.store(DLOG_DECAY + row + (start + at) * heads, dlog_decay, mask=inside)

    gap_t = tl.minimum(total[None, :] - total[:, None], 0.0)
    decay_t = tl.exp(tl.where(at[None, :] >= at[:, None], gap_t, float("-inf")))
    scores_t = (tl.dot(k, tl.trans(c), input_precision=PRECISION) * decay_t).to(v.dtype)
    dv = tl.dot(k, dstate, input_precision=PRECISION) * to_end[:, None]
    dv = tl.dot(scores_t, dy, acc=dv, input_precision=PRECISION)
    store_rows(DV + row * P, dv, start, length, heads * P, L, P)
