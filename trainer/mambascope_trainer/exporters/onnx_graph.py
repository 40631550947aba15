"""Building an ONNX graph node by node, with its weights inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

CONTRIB = "com.microsoft"
OPSET, IR_VERSION = 21, 10
#: A protobuf message holds less than 2 GiB.
MAX_FILE_BYTES = 2**31 - 2**20
EXTERNAL_SUFFIX = "_data"

Array = npt.NDArray[Any]
Shape = Sequence[int | str]
DType = type[np.generic]


class OnnxGraph:
    """Collects nodes, weights, inputs and outputs. A node's output is named after what it holds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, dtype: DType, shape: Shape) -> str:
        self._inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: DType, shape: Shape) -> str:
        self._outputs.append(_value(name, dtype, shape))
        return name

    def node(
        self, operator: str, inputs: Sequence[str], outputs: str | Sequence[str], domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node; returns its first output. An empty name stands for an input that is left out."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self._nodes.append(helper.make_node(operator, list(inputs), names, domain=domain, **attributes))
        return names[0]

    def weight(self, name: str, values: npt.ArrayLike, dtype: DType = np.float32) -> str:
        """Adds an initialiser, or finds the one of that name."""
        if name not in self._weights:
            array: Array = np.ascontiguousarray(np.asarray(values, dtype))
            # A scalar stays one: ascontiguousarray makes it a vector.
            self._weights[name] = numpy_helper.from_array(array.reshape(np.shape(values)), name)
        return name

    def has(self, name: str) -> bool:
        """Whether there is a weight of that name."""
        return name in self._weights

    def integers(self, *values: int) -> str:
        """An int64 vector, shared between its users: a shape, sizes or axes."""
        return self.weight(f"integers.{'_'.join(map(str, values))}", list(values), np.int64)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, initializer=list(self._weights.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mambascope")


def save_model(
    model: onnx.ModelProto, path: Path, metadata: Mapping[str, str], max_file_bytes: int = MAX_FILE_BYTES
) -> bool:
    """Writes one file, or `path` and `<path>_data` if it would be too large; whether there are two."""
    helper.set_model_props(model, dict(metadata))
    external = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > max_file_bytes
    if external:
        location = path.name + EXTERNAL_SUFFIX
        onnx.save(model, path, save_as_external_data=True, location=location, size_threshold=1024)
    else:
        onnx.save(model, path)
    return external


def _value(name: str, dtype: DType, shape: Shape) -> onnx.ValueInfoProto:
    kinds: dict[DType, int] = {
        np.float32: TensorProto.FLOAT,
        np.float16: TensorProto.FLOAT16,
        np.int64: TensorProto.INT64,
    }
    return helper.make_tensor_value_info(name, kinds[dtype], list(shape))
