"""What TensorRT asks of an INT8 graph, checked node by node (needs `onnx` to look inside)."""

from pathlib import Path
from typing import Any, cast

import numpy as np

QUANTISED = ("QuantizeLinear", "DequantizeLinear")
SMALLEST_WEIGHT = -127
RUNTIME_ONLY = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv")


def can_inspect() -> bool:
    """True if the `onnx` package is installed."""
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        return False
    return True


def int8_problems(path: Path) -> list[str]:
    """Why TensorRT would refuse or misread the INT8 graph; empty if it would not.

    The rules (NVIDIA TensorRT developer guide, "Working with quantized types"): quantisation is symmetric, so that
    every zero point is 0, and of type int8; weights keep to -127..127; biases stay in floating point.
    """
    import onnx

    model = cast(Any, onnx).load(str(path), load_external_data=False)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    problems: list[str] = []
    for node in model.graph.node:
        where = f"{path.name}: {node.name or node.op_type}"
        if node.op_type in RUNTIME_ONLY:
            problems.append(f"{where}: {node.op_type} is onnxruntime's own; quantise with --precisions int8")
        if node.op_type not in QUANTISED:
            continue
        if len(node.input) < 3 or node.input[2] not in constants or node.input[1] not in constants:
            problems.append(f"{where}: scale and zero point are not constants")
            continue
        zero, weight = constants[node.input[2]], constants.get(node.input[0])
        if zero.dtype != np.int8:
            problems.append(f"{where}: type {zero.dtype}; expected int8")
        elif np.any(zero):
            problems.append(f"{where}: zero point is not 0")
        elif weight is not None and weight.dtype == np.int8 and weight.min() < SMALLEST_WEIGHT:
            problems.append(f"{where}: a weight of {weight.min()}; expected {SMALLEST_WEIGHT} or more")
    return problems
