"""Splits a head into the graph of its features and its classifier, the linear layer at its end.

The table of operators that a package may use (docs/security.md) stays as it is: nothing is added to the graph. Its last
node is removed, the input of that node becomes the output, and the checker reads the result like any other graph.
"""

from typing import NamedTuple

import numpy as np

from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node
from edgehar.deploy.runtime.onnx_format.protobuf import (
    GRAPH_CONSTANT,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    MODEL_GRAPH,
    NODE_OUTPUT,
    TENSOR_NAME,
    decode_fields,
    encode_field,
    encode_float_matrix_info,
)
from edgehar.errors import PackageError
from edgehar.signals.clip import Floats

GRAPH_DESCRIBED = 13
"""Field of a graph: the shapes of values, which runtimes infer."""


class SplitHead(NamedTuple):
    """A head without its last layer, and that layer.

    Attributes:
        graph: ONNX file of tokens (B, S, D) -> features (B, F).
        weight: (K, F).
        bias: (K,).
    """

    graph: bytes
    weight: Floats
    bias: Floats


def _classifier(view: GraphView, where: str) -> tuple[Node, Floats, Floats]:
    """The last node with its (K, F) weights and (K,) biases; raises PackageError unless it is a linear layer."""
    last = view.producers[view.outputs[0]]
    arrays = [view.constants.get(name) for name in last.inputs[1:]]
    usable = last.op_type == "Gemm" and len(arrays) == 2 and all(array is not None for array in arrays)
    usable = usable and last.inputs[0] in view.producers
    if not usable:
        raise PackageError(
            f"{where}: its head ends with {last.op_type}; expected a linear layer on features, as edgehar export "
            "writes it; export the model again"
        )
    weight, bias = (np.asarray(array, np.float32) for array in arrays)
    weight = weight if last.attributes.get("transB") else weight.T
    return last, np.ascontiguousarray(weight), np.broadcast_to(bias.reshape(-1), weight.shape[:1]).copy()


def _names(message: bytes, field: int) -> list[str]:
    """The texts of a field of an encoded message."""
    return [value.decode() for number, value in decode_fields(message) if number == field and isinstance(value, bytes)]


def split_head(data: bytes, where: str) -> SplitHead:
    """Split a head.

    Args:
        data: the ONNX file of an fp32 head.
        where: the file's name in messages.

    Raises PackageError unless the checker accepts the graph and it ends with a linear layer.
    """
    view = read_graph(data, where)
    last, weight, bias = _classifier(view, where)
    own = {name for name in last.inputs[1:] if len(view.consumers[name]) == 1}
    features = last.inputs[0]

    def stays(number: int, value: int | bytes) -> bool:
        if number in (GRAPH_OUTPUT, GRAPH_DESCRIBED):
            return False
        assert isinstance(value, bytes)
        if number == GRAPH_NODE:
            return _names(value, NODE_OUTPUT) != list(last.outputs)
        return number != GRAPH_CONSTANT or not own & set(_names(value, TENSOR_NAME))

    graph = b""
    for number, value in decode_fields(data):
        if number == MODEL_GRAPH and isinstance(value, bytes):
            inner = b"".join(encode_field(*one) for one in decode_fields(value) if stays(*one))
            value = inner + encode_field(GRAPH_OUTPUT, encode_float_matrix_info(features, weight.shape[1]))
        graph += encode_field(number, value)
    return SplitHead(graph, weight, bias)
