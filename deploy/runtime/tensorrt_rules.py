"""Checks a graph against the requirements of TensorRT 10: operators, static shapes, explicit quantisation.

Sources: the operator table of its parser (onnx/onnx-tensorrt, docs/operators.md) and "Explicit Quantization" in
NVIDIA's TensorRT documentation. The rules were written without access to TensorRT.
"""

from collections.abc import Iterator

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node
from edgehar.deploy.runtime.onnx_format.tensors import Array

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
DYNAMIC = "DynamicQuantizeLinear"
"""Operator of dynamic quantisation, for onnxruntime on a CPU."""
MIN_WEIGHT = -127
RUNTIME_ONLY = frozenset((DYNAMIC, "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"))
"""Operators that `onnx_format.checker` accepts and TensorRT's parser lacks."""
WEIGHTED = frozenset(("MatMul", "Gemm", "Conv"))
SHAPE_INPUTS = {
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "ReduceMax": (1,),
    "ReduceMin": (1,),
}
"""Operator -> indices of the inputs that determine its output shape; they must be constants."""


def _constant_values(graph: GraphView) -> set[str]:
    """Names of the constants and of the values computed from constants alone."""
    found = set(graph.constants)
    for node in graph.nodes:
        if node.inputs and all(name in found for name in node.inputs if name):
            found.update(node.outputs)
    return found


def _shape_problems(graph: GraphView) -> Iterator[str]:
    """Operators that TensorRT lacks, and shapes that depend on data."""
    constant = _constant_values(graph)
    for node in graph.nodes:
        if node.op_type in RUNTIME_ONLY:
            yield f"{node}: TensorRT has no {node.op_type}, only onnxruntime has; quantise with --precisions int8"
        for index in SHAPE_INPUTS.get(node.op_type, ()):
            name = node.inputs[index] if index < len(node.inputs) else ""
            if name and name not in constant:
                yield f"{node}: its shape depends on the data in {name}; expected a constant; export the model again"


def _scale_problems(node: Node, scale: Array, zero: Array, weight: Array | None) -> Iterator[str]:
    """Problems of a node's scale, zero point and weight; `weight` is None if the node quantises an activation."""
    if zero.dtype != np.int8:
        yield f"{node}: type {zero.dtype}; expected int8"
    elif zero.any():
        yield f"{node}: zero point is not 0"
    if not (np.isfinite(scale) & (scale > 0)).all():
        yield f"{node}: a scale that is not above 0"
    if weight is None and scale.size != 1:
        yield f"{node}: {scale.size} scales for an activation; expected 1"
    if weight is not None and weight.dtype == np.int8 and weight.size and weight.min() < MIN_WEIGHT:
        yield f"{node}: a weight of {weight.min()}; expected {MIN_WEIGHT} or more"


def _quantisation_problems(graph: GraphView) -> Iterator[str]:
    """Violations of: int8 only, symmetric, biases in floating point, QuantizeLinear followed by DequantizeLinear."""
    constant, producers = _constant_values(graph), graph.producers

    def dequantised(name: str) -> bool:
        return name in producers and producers[name].op_type == DEQUANTISE

    for node in graph.nodes:
        # A product of two activations may stay in floating point although one of them is quantised.
        if node.op_type in WEIGHTED and any(name in constant for name in node.inputs[:2]):
            quantised = [name for name in node.inputs[:2] if dequantised(name)]
            for name in node.inputs[:2] if len(quantised) == 1 else ():
                if name not in quantised:
                    yield f"{node}: {name} is not quantised, the other factor is; quantise both or none"
        if node.op_type not in (QUANTISE, DEQUANTISE):
            continue
        if len(node.inputs) < 3 or not set(node.inputs[1:3]) <= set(graph.constants):
            yield f"{node}: scale and zero point are not constants"
            continue
        source = node.inputs[0]
        weight = graph.constants.get(source)
        scale, zero = (graph.constants[name] for name in node.inputs[1:3])
        yield from _scale_problems(node, scale, zero, weight)
        if node.op_type == QUANTISE:
            consumers = graph.consumers.get(node.outputs[0], [])
            wrong = [consumer for consumer in consumers if consumer.op_type != DEQUANTISE]
            if wrong or node.outputs[0] in graph.outputs or not consumers:
                after = ", ".join(map(str, wrong)) or "the output"
                yield f"{node}: followed by {after}; expected {DEQUANTISE}"
        elif weight is None and (source not in producers or producers[source].op_type != QUANTISE):
            yield f"{node}: reads {source}; expected the output of {QUANTISE}, or an int8 constant"


def tensorrt_problems(graph: GraphView) -> list[str]:
    """Reasons why TensorRT would reject the graph, misread it or ignore its INT8 nodes; each names a node."""
    return [*_shape_problems(graph), *_quantisation_problems(graph)]
