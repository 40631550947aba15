"""Matrix products and the embedding in the number format of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bundle.codecs import BLOCK, encode
from .onnx_graph import CONTRIB, DType, OnnxGraph

F32 = npt.NDArray[np.float32]

#: Codec of the projections, and of the embedding with the LM head: four bits there cost too much.
BLOCK_CODECS = {"q8": ("q8_0", "q8_0"), "q4": ("q4_0", "q8_0")}


@dataclass(frozen=True)
class Linear:
    """Adds matrix products to a graph. `precision` is f32, f16, q8 or q4; activations are float16 in f16 alone."""

    graph: OnnxGraph
    precision: str

    @property
    def dtype(self) -> DType:
        """The type of activations and of weights that are not in blocks."""
        return np.float16 if self.precision == "f16" else np.float32

    def product(self, x: str, name: str, weight: F32, y: str) -> str:
        """x (…, K) times the transpose of `weight` (N, K)."""
        codec = BLOCK_CODECS[self.precision][0] if self._in_blocks(weight) else None
        if codec is not None:
            return self._block_product(x, name, weight, codec, y)
        return self.graph.node("MatMul", [x, self.graph.weight(f"{name}.transposed", weight.T, self.dtype)], y)

    def rows(self, ids: str, name: str, weight: F32, y: str) -> str:
        """Rows of `weight` (V, D) for ids (b, T): (b, T, D)."""
        if not self._in_blocks(weight):
            return self.graph.node("Gather", [self.graph.weight(name, weight, self.dtype), ids], y, axis=0)
        codec = BLOCK_CODECS[self.precision][1]
        codes, scales, bits = self._blocks(name, weight, codec)
        # The gather takes codes and scales of two dimensions, the product codes of three.
        flat = self.graph.node("Reshape", [codes, self.graph.integers(0, -1)], f"{name}/codes")
        attributes = {"bits": bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        return self.graph.node("GatherBlockQuantized", [flat, ids, scales], y, CONTRIB, **attributes)

    def head(self, x: str, name: str, weight: F32, y: str) -> str:
        """x (b, T, D) times the transpose of the LM head (V, D); a tied head is the embedding, stored once."""
        if self._in_blocks(weight):
            return self._block_product(x, name, weight, BLOCK_CODECS[self.precision][1], y)
        transposed = self.graph.node("Transpose", [self.graph.weight(name, weight, self.dtype)], f"{name}/transposed")
        return self.graph.node("MatMul", [x, transposed], y)

    def _in_blocks(self, weight: F32) -> bool:
        return self.precision in BLOCK_CODECS and weight.shape[1] % BLOCK == 0

    def _blocks(self, name: str, weight: F32, codec: str) -> tuple[str, str, int]:
        """Names of the codes (N, K/32, bytes a block) and scales (N, K/32), and the bits of a code."""
        bits = {"q8_0": 8, "q4_0": 4}[codec]
        codes, scales = f"{name}.codes", f"{name}.scales"
        if not self.graph.has(codes):
            parts = encode(weight, codec).parts
            rows, blocks = weight.shape[0], weight.shape[1] // BLOCK
            self.graph.weight(codes, parts["q"].reshape(rows, blocks, -1), np.uint8)
            self.graph.weight(scales, parts["scale"], np.float32)
        return codes, scales, bits

    def _block_product(self, x: str, name: str, weight: F32, codec: str, y: str) -> str:
        codes, scales, bits = self._blocks(name, weight, codec)
        rows, columns = weight.shape
        # No accuracy_level: it would let the product round the activations to eight bits.
        return self.graph.node(
            "MatMulNBits", [x, codes, scales], y, CONTRIB, K=columns, N=rows, bits=bits, block_size=BLOCK
        )
