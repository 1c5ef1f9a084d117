"""Reads an ONNX graph without the `onnx` package: nodes, constants as arrays, shapes of the inputs.

Only graphs that `onnx_format.checker` accepts are read.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.runtime.onnx_format.checker import (
    ATTRIBUTE,
    DIMENSION,
    GRAPH,
    MODEL,
    NODE,
    OPSET,
    SHAPE,
    TENSOR,
    TENSOR_TYPE,
    TYPE,
    VALUE,
    Shape,
    check_graph,
)
from edgehar.deploy.runtime.onnx_format.protobuf import (
    ProtobufMessage,
    blob,
    blobs,
    decode_message,
    integer,
    integers,
    to_int64,
)

Array = NDArray[Any]

TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2"}
"""Element type in onnx/onnx.proto -> name of numpy's type; those that `onnx_format.checker` accepts."""

Attribute = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operator; an omitted input has an empty name, and only numeric attributes are kept."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute] = field(default_factory=lambda: dict[str, Attribute]())

    def __str__(self) -> str:
        """The node's name; the operator and its outputs if the exporter gave it none."""
        return self.name or f"{self.op_type} -> {', '.join(self.outputs)}"


@dataclass(frozen=True)
class GraphView:
    """A graph; its constants are the initialisers and the outputs of Constant nodes."""

    ir_version: int
    opset: int
    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]

    @cached_property
    def producers(self) -> dict[str, Node]:
        """Value -> the node that computes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def consumers(self) -> dict[str, list[Node]]:
        """Value -> the nodes that read it, once per input."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    @property
    def op_types(self) -> frozenset[str]:
        """The operators of the graph."""
        return frozenset(node.op_type for node in self.nodes)


def _array(tensor: ProtobufMessage) -> Array:
    """The elements of a constant, from whichever data field they are stored in."""
    dtype = np.dtype(TYPES[integer(tensor, 2)])
    flat: Array
    if 9 in tensor:
        flat = np.frombuffer(blob(tensor, 9), dtype)
    elif 4 in tensor:
        flat = np.frombuffer(b"".join(blobs(tensor, 4)), dtype)
    elif dtype == np.float16:  # int32_data holds the bits
        flat = np.asarray(integers(tensor, 5), np.uint16).view(np.float16)
    else:
        flat = np.asarray(integers(tensor, 5) + integers(tensor, 7)).astype(dtype)
    return flat.reshape(integers(tensor, 1))


def _constant(node: ProtobufMessage) -> Array:
    """The output of a Constant node."""
    attribute = decode_message(blobs(node, 5)[0], ATTRIBUTE)
    if 5 in attribute:
        return _array(decode_message(blob(attribute, 5), TENSOR))
    if 2 in attribute or 7 in attribute:
        return np.frombuffer(blob(attribute, 2) or b"".join(blobs(attribute, 7)), "<f4")
    return np.asarray(integers(attribute, 3) + integers(attribute, 8))


def _attributes(node: ProtobufMessage) -> dict[str, Attribute]:
    """The numeric attributes of a node."""
    found: dict[str, Attribute] = {}
    for attribute in (decode_message(data, ATTRIBUTE) for data in blobs(node, 5)):
        name = blob(attribute, 1).decode(errors="replace")
        if 2 in attribute:
            found[name] = float(np.frombuffer(blob(attribute, 2), "<f4")[0])
        elif 8 in attribute:
            found[name] = tuple(integers(attribute, 8))
        elif 3 in attribute:
            found[name] = to_int64(integer(attribute, 3))
    return found


def _shape(value: ProtobufMessage) -> Shape:
    """Shape of an input."""
    tensor = decode_message(blob(decode_message(blob(value, 2), TYPE), 1), TENSOR_TYPE)
    sizes = [decode_message(entry, DIMENSION) for entry in blobs(decode_message(blob(tensor, 2), SHAPE), 1)]
    return tuple(integer(size, 1) if 1 in size else None for size in sizes)


def read_graph(data: bytes, where: str) -> GraphView:
    """Read a graph; raises PackageError as `onnx_format.checker.check_graph`."""
    check_graph(data, where)
    model = decode_message(data, MODEL)
    graph = decode_message(blob(model, 7), GRAPH)
    tensors = [decode_message(entry, TENSOR) for entry in blobs(graph, 5)]
    constants = {blob(tensor, 8).decode(errors="replace"): _array(tensor) for tensor in tensors}
    nodes: list[Node] = []
    for entry in (decode_message(data, NODE) for data in blobs(graph, 1)):
        inputs, outputs = (tuple(name.decode(errors="replace") for name in blobs(entry, field)) for field in (1, 2))
        op_type, name = blob(entry, 4).decode(), blob(entry, 3).decode(errors="replace")
        node = Node(op_type, name, inputs, outputs, _attributes(entry))
        if node.op_type == "Constant":
            constants[outputs[0]] = _constant(entry)
        nodes.append(node)
    values = [decode_message(entry, VALUE) for entry in blobs(graph, 11)]
    inputs = {blob(value, 1).decode(errors="replace"): _shape(value) for value in values}
    output_names = tuple(blob(decode_message(entry, VALUE), 1).decode(errors="replace") for entry in blobs(graph, 12))
    opset = integer(decode_message(blobs(model, 8)[0], OPSET), 2)
    shapes = {name: shape for name, shape in inputs.items() if name not in constants}
    return GraphView(integer(model, 1), opset, tuple(nodes), constants, shapes, output_names)
