"""Least-squares search for the scales of 4-bit blocks.

Each block tries a fan of starting scales; each start is quantised, its scale (and minimum) refitted by weighted least
squares to those integers, rounded to float16 as it will be stored, and quantised again. The block keeps its best try,
so the result is never worse than plain rounding with the block's range, which is one of the starts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK = 32
_CHUNK_BLOCKS = 1 << 14

F32 = npt.NDArray[np.float32]
F16 = npt.NDArray[np.float16]
U8 = npt.NDArray[np.uint8]


def _to_f16(values: F32) -> F16:
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def _safe_divide(numerator: F32, denominator: F32) -> F32:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _try_symmetric(x: F32, w: F32, scale: F32) -> tuple[F32, F16, F32]:
    """Integers (B, 32), stored scale (B, 1), error (B,) for one starting scale (B, 1)."""
    stored = _to_f16(scale)
    wide = stored.astype(np.float32)
    q = np.clip(np.rint(_safe_divide(x, np.broadcast_to(wide, x.shape))), -8, 7)
    error = (w * (x - wide * q) ** 2).sum(axis=1)
    return q, stored, np.where(np.isfinite(error), error, np.inf).astype(np.float32)


def search_symmetric(values: F32, importance: F32 | None) -> tuple[U8, F16]:
    """q (N, K/32, 32) in 0..15 and scale (N, K/32), for value = scale · (q − 8)."""
    blocks, weights = _blocks(values, importance)
    q_all = np.empty(blocks.shape, np.uint8)
    scale_all = np.empty(blocks.shape[0], np.float16)
    for start in range(0, len(blocks), _CHUNK_BLOCKS):
        part = slice(start, start + _CHUNK_BLOCKS)
        x, w = blocks[part], weights[part]
        # −8 has no positive twin, so the block's largest value takes the −8 end: the scale's sign is free.
        extreme = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
        best_q, best_scale, best = _try_symmetric(x, w, extreme / np.float32(-8))
        for divisor in (-9.5, -9, -8.5, -7.75, -7.5, -7.25, -7, -6.5, -6, 6.5, 7, 7.5, 8):
            scale = extreme / np.float32(divisor)
            for _ in range(3):
                q, stored, error = _try_symmetric(x, w, scale)
                better = error < best
                best_q[better], best_scale[better], best[better] = q[better], stored[better], error[better]
                energy = (w * q * q).sum(axis=1, keepdims=True)
                scale = _safe_divide((w * x * q).sum(axis=1, keepdims=True), energy)
        q_all[part] = (best_q + 8).astype(np.uint8)
        scale_all[part] = best_scale[:, 0]
    rows = values.shape[0]
    return q_all.reshape(rows, -1, BLOCK), scale_all.reshape(rows, -1)


def _try_affine(x: F32, w: F32, scale: F32, minimum: F32) -> tuple[F32, F16, F16, F32]:
    """Integers (B, 32), stored scale and minimum (B, 1), error (B,) for one start."""
    stored, stored_min = _to_f16(scale), _to_f16(minimum)
    wide, wide_min = stored.astype(np.float32), stored_min.astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        q = np.clip(np.rint(_safe_divide(x - wide_min, np.broadcast_to(wide, x.shape))), 0, 15)
        error = (w * (x - (wide * q + wide_min)) ** 2).sum(axis=1)
    return q, stored, stored_min, np.where(np.isfinite(error), error, np.inf).astype(np.float32)


def _fit_affine(x: F32, w: F32, q: F32, scale: F32, minimum: F32) -> tuple[F32, F32]:
    """The weighted least-squares line x ≈ scale · q + minimum of each block; the old one where q is constant."""
    total = w.sum(axis=1, keepdims=True)
    q_mean = _safe_divide((w * q).sum(axis=1, keepdims=True), total)
    x_mean = _safe_divide((w * x).sum(axis=1, keepdims=True), total)
    spread = (w * (q - q_mean) ** 2).sum(axis=1, keepdims=True)
    slope = _safe_divide((w * (q - q_mean) * (x - x_mean)).sum(axis=1, keepdims=True), spread)
    fitted = spread > 0
    return np.where(fitted, slope, scale), np.where(fitted, x_mean - slope * q_mean, minimum)


def search_affine(values: F32, importance: F32 | None) -> tuple[U8, F16, F16]:
    """q (N, K/32, 32) in 0..15, scale and minimum (N, K/32), for value = scale · q + minimum."""
    blocks, weights = _blocks(values, importance)
    q_all = np.empty(blocks.shape, np.uint8)
    scale_all = np.empty(blocks.shape[0], np.float16)
    min_all = np.empty(blocks.shape[0], np.float16)
    for start in range(0, len(blocks), _CHUNK_BLOCKS):
        part = slice(start, start + _CHUNK_BLOCKS)
        x, w = blocks[part], weights[part]
        low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
        best_q, best_scale, best_min, best = _try_affine(x, w, (high - low) / np.float32(15), low)
        for shrink_low, shrink_high in ((0, 0), (0.03, 0.03), (0.08, 0.08), (0.15, 0.15), (0.1, 0), (0, 0.1)):
            span = high - low
            minimum = low + np.float32(shrink_low) * span
            scale = (high - np.float32(shrink_high) * span - minimum) / np.float32(15)
            for _ in range(4):
                q, stored, stored_min, error = _try_affine(x, w, scale, minimum)
                better = error < best
                best_q[better], best_scale[better], best_min[better], best[better] = (
                    q[better],
                    stored[better],
                    stored_min[better],
                    error[better],
                )
                scale, minimum = _fit_affine(x, w, q, scale, minimum)
        q_all[part] = best_q.astype(np.uint8)
        scale_all[part], min_all[part] = best_scale[:, 0], best_min[:, 0]
    rows = values.shape[0]
    return q_all.reshape(rows, -1, BLOCK), scale_all.reshape(rows, -1), min_all.reshape(rows, -1)


def _blocks(values: F32, importance: F32 | None) -> tuple[F32, F32]:
    blocks = values.reshape(-1, BLOCK)
    if importance is None:
        return blocks, np.ones_like(blocks)
    weights = np.ascontiguousarray(importance).reshape(-1, BLOCK)
    # A block that no input ever reaches still gets its plain best fit.
    dead = weights.sum(axis=1, keepdims=True) == 0
    return blocks, np.where(dead, np.float32(1), weights)
