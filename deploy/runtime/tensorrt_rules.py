"""What TensorRT 10 asks of a graph, checked node by node: operators, fixed shapes, and where it quantises.

Sources: the operator table of its parser (onnx/onnx-tensorrt, docs/operators.md) and "Explicit Quantization" in
NVIDIA's TensorRT documentation. TensorRT itself was not at hand when these rules were written down.
"""

from collections.abc import Iterator

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import Array, GraphView, Node

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
DYNAMIC = "DynamicQuantizeLinear"
"""Measures ranges at run time: a graph with it was quantised for onnxruntime on a CPU."""
SMALLEST_WEIGHT = -127
RUNTIME_ONLY = frozenset((DYNAMIC, "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"))
"""Of the operators that a package may hold (`onnx_format.checker`), those that TensorRT's parser lacks."""
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
"""Operator -> inputs that decide on the shape of its output; if they are computed, shapes depend on data."""


def _constant_values(graph: GraphView) -> set[str]:
    """Names of constants and of what is computed from constants alone."""
    found = set(graph.constants)
    for node in graph.nodes:
        if node.inputs and all(name in found for name in node.inputs if name):
            found.update(node.outputs)
    return found


def _shape_problems(graph: GraphView) -> Iterator[str]:
    fixed = _constant_values(graph)
    for node in graph.nodes:
        if node.kind in RUNTIME_ONLY:
            yield f"{node}: TensorRT has no {node.kind}, it is onnxruntime's own; quantise with --precisions int8"
        for place in SHAPE_INPUTS.get(node.kind, ()):
            name = node.inputs[place] if place < len(node.inputs) else ""
            if name and name not in fixed:
                yield f"{node}: its shape depends on the data in {name}; expected a constant; export the model again"


def _number_problems(node: Node, scale: Array, zero: Array, weight: Array | None) -> Iterator[str]:
    """Of the numbers that a node quantises with; `weight` is None if it works on what the sensors gave."""
    if zero.dtype != np.int8:
        yield f"{node}: type {zero.dtype}; expected int8"
    elif zero.any():
        yield f"{node}: zero point is not 0"
    if not (np.isfinite(scale) & (scale > 0)).all():
        yield f"{node}: a scale that is not above 0"
    if weight is None and scale.size != 1:
        yield f"{node}: {scale.size} scales for values that are not weights; expected 1"
    if weight is not None and weight.dtype == np.int8 and weight.size and weight.min() < SMALLEST_WEIGHT:
        yield f"{node}: a weight of {weight.min()}; expected {SMALLEST_WEIGHT} or more"


def _quantisation_problems(graph: GraphView) -> Iterator[str]:
    """Of quantising: int8 only, symmetric, biases in floating point, always a pair around what is quantised."""
    fixed = _constant_values(graph)
    givers = {name: node for node in graph.nodes for name in node.outputs}
    takers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            takers.setdefault(name, []).append(node)

    def dequantised(name: str) -> bool:
        return name in givers and givers[name].kind == DEQUANTISE

    for node in graph.nodes:
        # A product of two activations may share the pair of one of them and stay in floating point.
        if node.kind in WEIGHTED and any(name in fixed for name in node.inputs[:2]):
            pairs = [name for name in node.inputs[:2] if dequantised(name)]
            for name in node.inputs[:2] if len(pairs) == 1 else ():
                if name not in pairs:
                    yield f"{node}: {name} is not quantised, its other factor is; quantise both or none"
        if node.kind not in (QUANTISE, DEQUANTISE):
            continue
        if len(node.inputs) < 3 or not set(node.inputs[1:3]) <= set(graph.constants):
            yield f"{node}: scale and zero point are not constants"
            continue
        source = node.inputs[0]
        weight = graph.constants.get(source)
        scale, zero = (graph.constants[name] for name in node.inputs[1:3])
        yield from _number_problems(node, scale, zero, weight)
        if node.kind == QUANTISE:
            alone = [taker for taker in takers.get(node.outputs[0], []) if taker.kind != DEQUANTISE]
            if alone or node.outputs[0] in graph.outputs or node.outputs[0] not in takers:
                after = ", ".join(map(str, alone)) or "the output"
                yield f"{node}: followed by {after}; expected {DEQUANTISE}"
        elif weight is None and (source not in givers or givers[source].kind != QUANTISE):
            yield f"{node}: of {source}; expected the output of {QUANTISE}, or an int8 constant"


def tensorrt_problems(graph: GraphView) -> list[str]:
    """Why TensorRT would refuse the graph, misread it or not use its INT8; empty if it would not. Each names a node."""
    return [*_shape_problems(graph), *_quantisation_problems(graph)]
