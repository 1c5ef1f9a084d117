"""Builds LiteRT (TFLite) model files: the tensors, constants and operators of one graph, as a FlatBuffer.

https://ai.google.dev/edge/litert; the schema's classes come with the `ai-edge-litert` package.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
FILE_VERSION = 3
LARGEST_DEPRECATED_CODE = 127
"""Value of deprecatedBuiltinCode for operators with a larger code, which builtinCode holds."""

Sizes = tuple[int, ...]


class LiteRTBuilder:
    """Builds a model; the methods that add a tensor return its index."""

    def __init__(self) -> None:
        """Start with an empty graph."""
        from ai_edge_litert import schema_py_generated  # pyright: ignore[reportMissingTypeStubs]

        self._schema: Any = schema_py_generated
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [self._schema.BufferT()]  # buffer 0 is empty by definition
        self._operators: list[Any] = []
        self._codes: dict[int, int] = {}  # builtin code -> index in operatorCodes

    def add_tensor(self, sizes: Sizes, name: str = "") -> int:
        """Add a float32 tensor that is an input or computed."""
        return self._add_tensor(sizes, self._schema.TensorType.FLOAT32, name)

    def add_floats(self, array: NDArray[Any]) -> int:
        """Add a float32 constant."""
        index = self._add_tensor(array.shape, self._schema.TensorType.FLOAT32)
        return self._set_data(index, array.astype(np.float32))

    def add_quantised(self, array: NDArray[np.int8], scales: NDArray[Any]) -> int:
        """Add an int8 constant (O, I), quantised per row: its value is each row times the row's scale."""
        index = self._add_tensor(array.shape, self._schema.TensorType.INT8)
        quantization: Any = self._schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = scales.tolist(), [0] * len(scales)
        quantization.quantizedDimension = 0
        self._tensors[index].quantization = quantization
        return self._set_data(index, array)

    def add_int32(self, numbers: Sizes) -> int:
        """Add a constant list of int32."""
        index = self._add_tensor((len(numbers),), self._schema.TensorType.INT32)
        return self._set_data(index, np.asarray(numbers, np.int32))

    def add_operator(self, kind: str, inputs: list[int], output: int, options: str = "", **settings: Any) -> int:
        """Add an operator; `options` names the schema's table of its settings. Returns the output."""
        operator, code = self._schema.OperatorT(), getattr(self._schema.BuiltinOperator, kind)
        operator.opcodeIndex = self._codes.setdefault(code, len(self._codes))
        operator.inputs, operator.outputs = inputs, [output]
        if options:
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self._schema, f"{options}T")()
            for name, setting in settings.items():
                setattr(operator.builtinOptions, name, setting)
        self._operators.append(operator)
        return output

    def add_reshape(self, tensor: int, sizes: Sizes, output: int) -> int:
        """Add a reshape of a tensor to these sizes. Returns the output."""
        inputs = [tensor, self.add_int32(sizes)]
        return self.add_operator("RESHAPE", inputs, output, "ReshapeOptions", newShape=list(sizes))

    def serialise(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file's bytes, for a graph with these inputs and outputs."""
        import flatbuffers  # pyright: ignore[reportMissingTypeStubs]

        graph, model = self._schema.SubGraphT(), self._schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, inputs, outputs
        model.version, model.subgraphs, model.buffers = FILE_VERSION, [graph], self._buffers
        model.operatorCodes = [self._operator_code(code) for code in self._codes]
        builder: Any = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _operator_code(self, code: int) -> Any:
        operator_code = self._schema.OperatorCodeT()
        operator_code.builtinCode, operator_code.deprecatedBuiltinCode = code, min(code, LARGEST_DEPRECATED_CODE)
        operator_code.version = 1
        return operator_code

    def _add_tensor(self, sizes: Sizes, kind: int, name: str = "") -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(sizes), kind, 0
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _set_data(self, index: int, data: NDArray[Any]) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self._tensors[index].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return index
