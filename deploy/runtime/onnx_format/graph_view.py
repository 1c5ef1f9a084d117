"""What a graph consists of, without the `onnx` package: nodes, constants as arrays, sizes of the inputs.

Read from bytes that `onnx_format.checker` has looked through; what is wrong with a graph is said there.
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
from edgehar.deploy.runtime.onnx_format.protobuf import Message, message, number_of, numbers, signed, text, texts

Array = NDArray[Any]

TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2"}
"""Number of an element type in onnx/onnx.proto -> numpy's name; those that `onnx_format.checker` lets through."""


Attribute = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operator; an input that is left out has an empty name, an attribute that is no number is not here."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute] = field(default_factory=lambda: dict[str, Attribute]())

    def __str__(self) -> str:
        """Its name, or what tells it from the others if the export gave it none."""
        return self.name or f"{self.kind} that gives {', '.join(self.outputs)}"


@dataclass(frozen=True)
class GraphView:
    """A graph; constants are initialisers and what nodes of kind Constant give, None is a dimension of any size."""

    ir_version: int
    opset: int
    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]

    @cached_property
    def makers(self) -> dict[str, Node]:
        """Value -> the node that gives it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def users(self) -> dict[str, list[Node]]:
        """Value -> the nodes that read it, one as often as it does."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    @property
    def kinds(self) -> frozenset[str]:
        """The operators that occur."""
        return frozenset(node.kind for node in self.nodes)


def _array(tensor: Message) -> Array:
    """The numbers of a constant, wherever its type allows to write them."""
    kind = np.dtype(TYPES[number_of(tensor, 2)])
    flat: Array
    if 9 in tensor:
        flat = np.frombuffer(text(tensor, 9), kind)
    elif 4 in tensor:
        flat = np.frombuffer(b"".join(texts(tensor, 4)), kind)
    elif kind == np.float16:  # as the bits of whole numbers
        flat = np.asarray(numbers(tensor, 5), np.uint16).view(np.float16)
    else:
        flat = np.asarray(numbers(tensor, 5) + numbers(tensor, 7)).astype(kind)
    return flat.reshape(numbers(tensor, 1))


def _constant(node: Message) -> Array:
    """What a node of kind Constant gives."""
    attribute = message(texts(node, 5)[0], ATTRIBUTE)
    if 5 in attribute:
        return _array(message(text(attribute, 5), TENSOR))
    if 2 in attribute or 7 in attribute:
        return np.frombuffer(text(attribute, 2) or b"".join(texts(attribute, 7)), "<f4")
    return np.asarray(numbers(attribute, 3) + numbers(attribute, 8))


def _attributes(node: Message) -> dict[str, Attribute]:
    """The numbers that set an operator."""
    found: dict[str, Attribute] = {}
    for attribute in (message(data, ATTRIBUTE) for data in texts(node, 5)):
        name = text(attribute, 1).decode(errors="replace")
        if 2 in attribute:
            found[name] = float(np.frombuffer(text(attribute, 2), "<f4")[0])
        elif 8 in attribute:
            found[name] = tuple(numbers(attribute, 8))
        elif 3 in attribute:
            found[name] = signed(number_of(attribute, 3))
    return found


def _shape(value: Message) -> Shape:
    """Sizes of an input that is a tensor."""
    tensor = message(text(message(text(value, 2), TYPE), 1), TENSOR_TYPE)
    sizes = [message(entry, DIMENSION) for entry in texts(message(text(tensor, 2), SHAPE), 1)]
    return tuple(number_of(size, 1) if 1 in size else None for size in sizes)


def read_graph(data: bytes, where: str) -> GraphView:
    """A graph's parts; raises PackageError, naming it by `where`, unless it may be loaded."""
    check_graph(data, where)
    model = message(data, MODEL)
    graph = message(text(model, 7), GRAPH)
    tensors = [message(entry, TENSOR) for entry in texts(graph, 5)]
    constants = {text(tensor, 8).decode(errors="replace"): _array(tensor) for tensor in tensors}
    nodes: list[Node] = []
    for entry in (message(data, NODE) for data in texts(graph, 1)):
        inputs, outputs = (tuple(name.decode(errors="replace") for name in texts(entry, field)) for field in (1, 2))
        kind, name = text(entry, 4).decode(), text(entry, 3).decode(errors="replace")
        node = Node(kind, name, inputs, outputs, _attributes(entry))
        if node.kind == "Constant":
            constants[outputs[0]] = _constant(entry)
        nodes.append(node)
    values = [message(entry, VALUE) for entry in texts(graph, 11)]
    inputs = {text(value, 1).decode(errors="replace"): _shape(value) for value in values}
    given = tuple(text(message(entry, VALUE), 1).decode(errors="replace") for entry in texts(graph, 12))
    opset = number_of(message(texts(model, 8)[0], OPSET), 2)
    shapes = {name: shape for name, shape in inputs.items() if name not in constants}
    return GraphView(number_of(model, 1), opset, tuple(nodes), constants, shapes, given)
