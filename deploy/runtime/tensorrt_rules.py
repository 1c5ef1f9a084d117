"""Checks a graph against the requirements of TensorRT 10 that `onnx_format.operators` does not already ensure.

That table has static shapes, int8 only, constant scales above 0, one for an activation, and no INT8 value that is not
dequantised. Sources: the operator table of TensorRT's parser (onnx/onnx-tensorrt, docs/operators.md) and "Explicit
Quantization" in NVIDIA's TensorRT documentation. The rules were written without access to TensorRT.
"""

from collections.abc import Iterator

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
DYNAMIC = "DynamicQuantizeLinear"
"""Operator of dynamic quantisation, for onnxruntime on a CPU."""
MIN_WEIGHT = -127
RUNTIME_ONLY = (DYNAMIC, "MatMulInteger")
"""Operators of the table that TensorRT's parser lacks."""
WEIGHTED = ("MatMul", "Gemm", "Conv")


def _constant_values(graph: GraphView) -> set[str]:
    """Names of the constants and of the values computed from constants alone."""
    found = set(graph.constants)
    for node in graph.nodes:
        if all(name in found for name in node.inputs if name):
            found.update(node.outputs)
    return found


def _pair_problems(graph: GraphView, node: Node) -> Iterator[str]:
    """Problems of the numbers of a QuantizeLinear or DequantizeLinear."""
    weight = graph.constants.get(node.inputs[0])
    if graph.constants[node.inputs[2]].any():
        yield f"{node}: zero point is not 0"
    if weight is not None and weight.dtype == np.int8 and weight.min() < MIN_WEIGHT:
        yield f"{node}: a weight of {weight.min()}; expected {MIN_WEIGHT} or more"
    if node.op_type == QUANTISE and not graph.consumers.get(node.outputs[0]):
        yield f"{node}: followed by nothing; expected {DEQUANTISE}"


def tensorrt_problems(graph: GraphView) -> list[str]:
    """Reasons why TensorRT would reject the graph, misread it or ignore its INT8 nodes; each names a node."""
    constant, producers = _constant_values(graph), graph.producers
    found: list[str] = []
    for node in graph.nodes:
        if node.op_type in RUNTIME_ONLY:
            found.append(
                f"{node}: TensorRT has no {node.op_type}, only onnxruntime has; quantise with --precisions int8"
            )
        # A product of two activations may stay in floating point although one of them is quantised.
        factors = node.inputs[:2] if node.op_type in WEIGHTED else ()
        plain = [name for name in factors if name not in producers or producers[name].op_type != DEQUANTISE]
        if len(plain) == 1 and any(name in constant for name in factors):
            found.append(f"{node}: {plain[0]} is not quantised, the other factor is; quantise both or none")
        if node.op_type in (QUANTISE, DEQUANTISE):
            found += _pair_problems(graph, node)
    return found
