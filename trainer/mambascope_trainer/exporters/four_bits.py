"""Four-bit blocks with a whole zero point: value = scale · (code − zero), the form of MatMulNBits on every provider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bundle.codecs import BLOCK, pack_nibbles

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
_CHUNK_BLOCKS = 1 << 15
_SYMMETRIC = 8
_LEVELS = (-8, -7, 7, -6, 6, -5, 5)


@dataclass(frozen=True)
class FourBits:
    """codes (N, K/32, 16), scales (N, K/32), zeros (N, ceil(K/64)) packed by two; None where all are 8."""

    codes: U8
    scales: F32
    zeros: U8 | None


def quantise(weight: F32) -> FourBits:
    """Weight (N, K) in blocks of 32. A weight that lies on the grid of `q4_0` keeps its values.

    Other blocks take, of a few zero points about that of their range, the one whose least-squares scale errs least.
    """
    rows = weight.shape[0]
    blocks = weight.reshape(-1, BLOCK)
    codes = np.empty(blocks.shape, np.uint8)
    scales, zeros = np.empty(len(blocks), np.float32), np.empty(len(blocks), np.uint8)
    for start in range(0, len(blocks), _CHUNK_BLOCKS):
        part = slice(start, start + _CHUNK_BLOCKS)
        codes[part], scales[part], zeros[part] = _search(blocks[part])
    packed, table = pack_nibbles(codes.reshape(rows, -1, BLOCK)), scales.reshape(rows, -1)
    if (zeros == _SYMMETRIC).all():
        return FourBits(packed, table, None)
    by_row: U8 = zeros.reshape(rows, -1)
    even: U8 = np.pad(by_row, ((0, 0), (0, by_row.shape[1] % 2)))
    return FourBits(packed, table, (even[:, 0::2] | (even[:, 1::2] << 4)).astype(np.uint8))


def _search(x: F32) -> tuple[U8, F32, U8]:
    """Codes (B, 32), scales and zeros (B,)."""
    # As q4_0: a float16 scale of either sign, the largest value at one of its levels.
    extreme = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
    zero = np.full(extreme.shape, _SYMMETRIC, np.float32)
    best_codes, best_scale, best_zero = np.zeros_like(x), np.zeros_like(extreme), zero
    error = np.full(len(x), np.inf, np.float32)
    for level in _LEVELS:
        scale = (extreme / np.float32(level)).astype(np.float16).astype(np.float32)
        codes, found = _round(x, scale, zero)
        better = found < error
        best_codes[better], best_scale[better], error[better] = codes[better], scale[better], found[better]
        if not error.any():
            return best_codes.astype(np.uint8), best_scale[:, 0], best_zero[:, 0].astype(np.uint8)
    low, high = np.minimum(x.min(axis=1, keepdims=True), 0), np.maximum(x.max(axis=1, keepdims=True), 0)
    centre = np.rint(_divide(-low * 15, high - low))
    for shift in (-1, 0, 1):
        zero = np.clip(centre + shift, 0, 15).astype(np.float32)
        scale = np.maximum(_divide(high, 15 - zero), _divide(-low, zero))
        for _ in range(3):
            codes, found = _round(x, scale, zero)
            better = found < error
            best_codes[better], error[better] = codes[better], found[better]
            best_scale, best_zero = (
                np.where(better[:, None], scale, best_scale),
                np.where(better[:, None], zero, best_zero),
            )
            level = codes - zero
            scale = _divide((x * level).sum(axis=1, keepdims=True), (level * level).sum(axis=1, keepdims=True))
    return best_codes.astype(np.uint8), best_scale[:, 0], best_zero[:, 0].astype(np.uint8)


def _round(x: F32, scale: F32, zero: F32) -> tuple[F32, F32]:
    """Codes (B, 32) for a scale and a zero (B, 1), and the squared error (B,)."""
    codes = np.clip(np.rint(_divide(x, scale)) + zero, 0, 15)
    return codes, ((x - scale * (codes - zero)) ** 2).sum(axis=1)


def _divide(numerator: F32, denominator: F32) -> F32:
    wide = np.broadcast_to(denominator, np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.divide(numerator, wide, out=np.zeros(wide.shape, np.float32), where=wide != 0)
