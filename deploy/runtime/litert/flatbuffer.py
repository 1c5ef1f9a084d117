"""LiteRT's file format: tensors, constants and operators of one graph, written as FlatBuffers.

https://ai.google.dev/edge/litert; the classes of the format come with the `ai-edge-litert` package.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
FILE_VERSION = 3
LAST_OLD_CODE = 127
"""Larger numbers of operators are kept in another field, and this one in theirs."""

Sizes = tuple[int, ...]


class LiteFile:
    """A graph in the making; tensors are named by their places."""

    def __init__(self) -> None:
        """Start empty."""
        from ai_edge_litert import schema_py_generated  # pyright: ignore[reportMissingTypeStubs]

        self._schema: Any = schema_py_generated
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [self._schema.BufferT()]  # the first one is empty by definition
        self._operators: list[Any] = []
        self._codes: dict[int, int] = {}  # operator -> its place among those used

    def value(self, sizes: Sizes, name: str = "") -> int:
        """A float32 tensor that is given or computed."""
        return self._tensor(sizes, self._schema.TensorType.FLOAT32, name)

    def floats(self, array: NDArray[Any]) -> int:
        """A constant of float32."""
        place = self._tensor(array.shape, self._schema.TensorType.FLOAT32)
        return self._fill(place, array.astype(np.float32))

    def scaled(self, array: NDArray[np.int8], scales: NDArray[Any]) -> int:
        """A constant (O, I) of int8 that stands for each row times its own scale."""
        place = self._tensor(array.shape, self._schema.TensorType.INT8)
        scaling: Any = self._schema.QuantizationParametersT()
        scaling.scale, scaling.zeroPoint, scaling.quantizedDimension = scales.tolist(), [0] * len(scales), 0
        self._tensors[place].quantization = scaling
        return self._fill(place, array)

    def whole(self, numbers: Sizes) -> int:
        """A constant list of int32."""
        place = self._tensor((len(numbers),), self._schema.TensorType.INT32)
        return self._fill(place, np.asarray(numbers, np.int32))

    def operator(self, kind: str, inputs: list[int], output: int, options: str = "", **settings: Any) -> int:
        """Add an operator; `options` names its table of settings. Returns the output."""
        entry, code = self._schema.OperatorT(), getattr(self._schema.BuiltinOperator, kind)
        entry.opcodeIndex = self._codes.setdefault(code, len(self._codes))
        entry.inputs, entry.outputs = inputs, [output]
        if options:
            entry.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            entry.builtinOptions = getattr(self._schema, f"{options}T")()
            for name, setting in settings.items():
                setattr(entry.builtinOptions, name, setting)
        self._operators.append(entry)
        return output

    def serialise(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file, for a graph with these inputs and outputs."""
        import flatbuffers  # pyright: ignore[reportMissingTypeStubs]

        graph, model = self._schema.SubGraphT(), self._schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, inputs, outputs
        model.version, model.subgraphs, model.buffers = FILE_VERSION, [graph], self._buffers
        model.operatorCodes = [self._code(code) for code in self._codes]
        builder: Any = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, code: int) -> Any:
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, LAST_OLD_CODE), 1
        return entry

    def _tensor(self, sizes: Sizes, kind: int, name: str = "") -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(sizes), kind, 0
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _fill(self, place: int, data: NDArray[Any]) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self._tensors[place].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return place
