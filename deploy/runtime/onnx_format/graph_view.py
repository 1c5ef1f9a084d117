"""A checked ONNX graph: nodes, constants as arrays, shapes of the inputs."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from edgehar.deploy.runtime.onnx_format.tensors import Array

Shape = tuple[int | None, ...]
"""Dimensions of a value; None is a dimension of any size."""
Attribute = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operator; an omitted input has an empty name."""

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
    """A graph; see `edgehar.deploy.runtime.onnx_format.checker.read_graph`."""

    ir_version: int
    opset: int
    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]
    output_shape: Shape

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
