"""Block codecs of the weight bundle: float32 arrays to stored parts and back.

Blocks are 32 elements along the last dimension. Decoding is in float32, in the order of operations that the
browser uses too, so both sides see the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError
from . import block_search

BLOCK = 32

Array = npt.NDArray[np.generic]
F32 = npt.NDArray[np.float32]

#: Part names of each codec with their safetensors dtype, in the order in which they are listed.
CODEC_PARTS: dict[str, dict[str, str]] = {
    "f32": {"data": "F32"},
    "f16": {"data": "F16"},
    "q8_0": {"q": "U8", "scale": "F16"},
    "q4_0": {"q": "U8", "scale": "F16"},
    "q4_1": {"q": "U8", "scale": "F16", "min": "F16"},
}


@dataclass(frozen=True)
class EncodedTensor:
    """A tensor as it is stored: its codec, its logical shape, and its parts by name."""

    codec: str
    shape: tuple[int, ...]
    parts: Mapping[str, Array]

    def __post_init__(self) -> None:
        expected = part_shapes(self.codec, self.shape)
        found = {name: part.shape for name, part in self.parts.items()}
        if found != expected:
            raise MambascopeError(
                "codec-parts",
                f"A {self.codec} tensor of shape {list(self.shape)} has parts {found}, not {expected}.",
                "Encode the tensor again from its float values.",
            )

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts.values())


def part_shapes(codec: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of each stored part. Raises `codec-unknown`, or `codec-shape` if K is no multiple of the block."""
    if codec not in CODEC_PARTS:
        raise MambascopeError("codec-unknown", f"Unknown codec {codec!r}.", f"Use one of {', '.join(CODEC_PARTS)}.")
    if codec in ("f32", "f16"):
        return {"data": shape}
    if len(shape) != 2 or shape[1] % BLOCK or 0 in shape:
        raise MambascopeError(
            "codec-shape",
            f"{codec} stores matrices whose last dimension is a multiple of {BLOCK}; this shape is {list(shape)}.",
            "Use f32 or f16 for this tensor.",
        )
    rows, blocks = shape[0], shape[1] // BLOCK
    q = (rows, shape[1]) if codec == "q8_0" else (rows, blocks, BLOCK // 2)
    return {name: q if name == "q" else (rows, blocks) for name in CODEC_PARTS[codec]}


def pack_nibbles(q: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Packs values 0..15: (…, 32) to (…, 16); byte b holds element 2b in its low nibble, 2b+1 in its high one."""
    return (q[..., 0::2] | (q[..., 1::2] << 4)).astype(np.uint8)


def unpack_nibbles(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Inverse of `pack_nibbles`: (…, 16) to (…, 32)."""
    q = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.uint8)
    q[..., 0::2] = packed & 0x0F
    q[..., 1::2] = packed >> 4
    return q


def decode(tensor: EncodedTensor) -> F32:
    """The float32 values, of the tensor's logical shape."""
    parts = tensor.parts
    if tensor.codec in ("f32", "f16"):
        return parts["data"].astype(np.float32)
    rows, columns = tensor.shape
    scale = parts["scale"].astype(np.float32)[..., None]
    if tensor.codec == "q8_0":
        q = parts["q"].reshape(rows, -1, BLOCK).astype(np.float32) - np.float32(128)
    else:
        q = unpack_nibbles(parts["q"].astype(np.uint8, copy=False)).astype(np.float32)
    if tensor.codec == "q4_0":
        q -= np.float32(8)
    values: F32 = q * scale
    if tensor.codec == "q4_1":
        values = values + parts["min"].astype(np.float32)[..., None]
    return values.reshape(rows, columns)


def _encode_float(dtype: type[np.floating]) -> Callable[[F32, F32 | None], dict[str, Array]]:
    def encode_float(values: F32, importance: F32 | None) -> dict[str, Array]:
        with np.errstate(over="ignore"):
            data = values.astype(dtype)
        return {"data": data}

    return encode_float


def _encode_q8_0(values: F32, importance: F32 | None) -> dict[str, Array]:
    blocks = values.reshape(values.shape[0], -1, BLOCK)
    # The f16 scale is rounded up if need be: rounded down it would clip the block's largest value.
    exact = np.abs(blocks).max(axis=-1) / np.float32(127)
    scale = exact.astype(np.float16)
    scale = np.where(scale.astype(np.float32) < exact, np.nextafter(scale, np.float16(np.inf)), scale)
    divisor = scale.astype(np.float32)[..., None]
    ratio = np.divide(blocks, divisor, out=np.zeros_like(blocks), where=divisor > 0)
    q = np.clip(np.rint(ratio), -127, 127) + 128
    return {"q": q.astype(np.uint8).reshape(values.shape), "scale": scale}


def _encode_q4_0(values: F32, importance: F32 | None) -> dict[str, Array]:
    q, scale = block_search.search_symmetric(values, importance)
    return {"q": pack_nibbles(q), "scale": scale}


def _encode_q4_1(values: F32, importance: F32 | None) -> dict[str, Array]:
    q, scale, minimum = block_search.search_affine(values, importance)
    return {"q": pack_nibbles(q), "scale": scale, "min": minimum}


_ENCODERS: dict[str, Callable[[F32, F32 | None], dict[str, Array]]] = {
    "f32": _encode_float(np.float32),
    "f16": _encode_float(np.float16),
    "q8_0": _encode_q8_0,
    "q4_0": _encode_q4_0,
    "q4_1": _encode_q4_1,
}


def encode(values: npt.ArrayLike, codec: str, importance: npt.ArrayLike | None = None) -> EncodedTensor:
    """Encodes float values.

    `importance` (K,) or (N, K), not negative, weighs each element's squared error in the 4-bit codecs: the mean
    square of the layer's input makes the error of the layer's output small instead of that of its weights.
    Raises `codec-not-finite` for NaN, infinities, and values beyond the range of float16 scales.
    """
    array = np.ascontiguousarray(values, dtype=np.float32)
    part_shapes(codec, array.shape)
    weights = None
    if importance is not None:
        weights = np.broadcast_to(np.asarray(importance, np.float32), array.shape)
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise MambascopeError(
                "codec-importance",
                "Importance weights must be finite and not negative.",
                "Check the statistics that they come from.",
            )
    if not np.isfinite(array).all():
        raise MambascopeError(
            "codec-not-finite", "The tensor has NaN or infinite values.", "Check the training run that made it."
        )
    parts = _ENCODERS[codec](array, weights)
    if not all(np.isfinite(part).all() for name, part in parts.items() if name != "q"):
        raise MambascopeError(
            "codec-not-finite", f"The tensor's values are too large for {codec}.", "Store this tensor as f32."
        )
    return EncodedTensor(codec, array.shape, parts)
