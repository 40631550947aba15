"""Matrix products and the embedding in the number format of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from ..bundle.codecs import BLOCK, encode
from .four_bits import quantise
from .onnx_graph import CONTRIB, DType, OnnxGraph

F32 = npt.NDArray[np.float32]

#: Bits of the projections. The embedding and the LM head have eight: four cost too much there.
BLOCK_BITS = {"q8": 8, "q4": 4}


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
        if self._in_blocks(weight):
            return self._block_product(x, name, weight, BLOCK_BITS[self.precision], y)
        return self.graph.node("MatMul", [x, self.graph.weight(f"{name}.transposed", weight.T, self.dtype)], y)

    def rows(self, ids: str, name: str, weight: F32, y: str) -> str:
        """Rows of `weight` (V, D) for ids (b, T): (b, T, D)."""
        graph = self.graph
        if not self._in_blocks(weight):
            return graph.node("Gather", [graph.weight(name, weight, self.dtype), ids], y, axis=0)
        # Plain operators: GatherBlockQuantized is missing in the build of the runtime that transformers.js loads.
        codes, scales = self._blocks(name, weight, 8)
        gathered = graph.node("Gather", [codes, ids], f"{name}/codes", axis=0)
        level = graph.node("Cast", [gathered], f"{name}/codes_float", to=TensorProto.FLOAT)
        level = graph.node("Sub", [level, graph.weight("zero_of_eight_bits", np.float32(128))], f"{name}/levels")
        scale = graph.node("Gather", [scales, ids], f"{name}/scales", axis=0)
        scale = graph.node("Unsqueeze", [scale, graph.integers(3)], f"{name}/scales_wide")
        values = graph.node("Mul", [level, scale], f"{name}/blocks")
        return graph.node("Reshape", [values, graph.integers(0, 0, -1)], y)

    def head(self, x: str, name: str, weight: F32, y: str) -> str:
        """x (b, T, D) times the transpose of the LM head (V, D); a tied head is the embedding, stored once."""
        if self._in_blocks(weight):
            return self._block_product(x, name, weight, 8, y)
        transposed = self.graph.node("Transpose", [self.graph.weight(name, weight, self.dtype)], f"{name}/transposed")
        return self.graph.node("MatMul", [x, transposed], y)

    def _in_blocks(self, weight: F32) -> bool:
        return self.precision in BLOCK_BITS and weight.shape[1] % BLOCK == 0

    def _blocks(self, name: str, weight: F32, bits: int) -> list[str]:
        """Names of the codes (N, K/32, bytes a block), the scales (N, K/32), and the zero points if there are any."""
        graph, names = self.graph, [f"{name}.codes", f"{name}.scales", f"{name}.zero_points"]
        if not graph.has(names[0]):
            rows, blocks = weight.shape[0], weight.shape[1] // BLOCK
            if bits == 4:
                found = quantise(weight)
                if found.zeros is not None:
                    graph.weight(names[2], found.zeros, np.uint8)
                parts: Mapping[str, npt.NDArray[Any]] = {"q": found.codes, "scale": found.scales}
            else:
                parts = encode(weight, "q8_0").parts
            graph.weight(names[0], parts["q"].reshape(rows, blocks, -1), np.uint8)
            graph.weight(names[1], parts["scale"], np.float32)
        return [item for item in names if graph.has(item)]

    def _block_product(self, x: str, name: str, weight: F32, bits: int, y: str) -> str:
        rows, columns = weight.shape
        inputs = [x, *self._blocks(name, weight, bits)]
        # No accuracy_level: it would let the product round the activations to eight bits.
        return self.graph.node("MatMulNBits", inputs, y, CONTRIB, K=columns, N=rows, bits=bits, block_size=BLOCK)
