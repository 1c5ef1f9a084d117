"""Quantises one ONNX graph; the only module of deploy that needs `onnx`."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import onnx
from onnxruntime import quantization  # pyright: ignore[reportMissingTypeStubs]

LINEAR = ("MatMul", "Gemm")
"""Operators that are quantised. Convolutions stay fp32: INT8 is no faster at these sizes."""
CONVOLUTIONS = ".stems."
"""Part of the names of the weights of a sensor's first layers, see `edgehar.student.network.fused`."""
CALIBRATION_BATCH = 64


class CalibrationReader(quantization.CalibrationDataReader):
    """Feeds the calibration arrays to onnxruntime in batches."""

    def __init__(self, arrays: dict[str, Any], inputs: list[str]) -> None:
        """Split the arrays of these inputs into batches."""
        rows = len(arrays[inputs[0]])
        self._batches: Iterator[dict[str, Any]] = iter(
            [
                {name: arrays[name][first : first + CALIBRATION_BATCH] for name in inputs}
                for first in range(0, rows, CALIBRATION_BATCH)
            ]
        )

    def get_next(self) -> Any:
        """The next batch, or None after the last."""
        return next(self._batches, None)


def _read_model(data: bytes) -> Any:
    """The model, with a name for every node and without value_info entries that break the quantiser."""
    model = cast(Any, onnx).load_model_from_string(data)
    constants = {tensor.name for tensor in model.graph.initializer}
    # torch.onnx.export(dynamo=True) lists initialisers in value_info, on which the quantiser fails.
    for value in [value for value in model.graph.value_info if value.name in constants]:
        model.graph.value_info.remove(value)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def products_in_fp32(model: Any) -> list[str]:
    """Names of the matrix products that stay fp32: those without weights, and convolutions written as products.

    Products without weights are those of attention and the mean over a window; quantising them does not pay off.
    """
    constant = {tensor.name for tensor in model.graph.initializer}
    products: list[str] = []
    for node in model.graph.node:
        if all(name in constant for name in node.input if name):
            constant.update(node.output)
        elif node.op_type in LINEAR and (node.input[1] not in constant or CONVOLUTIONS in node.input[1]):
            products.append(node.name)
    return products


def half_model(model: Any) -> Any:
    """The model in half precision with float32 inputs and output, nodes in topological order."""
    from onnxruntime.transformers import float16  # pyright: ignore[reportMissingTypeStubs]

    half = cast(Any, float16).convert_float_to_float16(model, keep_io_types=True)
    defined = {value.name for value in (*half.graph.input, *half.graph.initializer)} | {""}
    remaining, ordered = list(half.graph.node), list[Any]()
    while remaining:
        ready = [node for node in remaining if defined.issuperset(node.input)]
        defined.update(name for node in ready for name in node.output)
        ordered += ready
        remaining = [node for node in remaining if not defined.issuperset(node.output)]
    del half.graph.node[:]
    half.graph.node.extend(ordered)
    return half


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress the quantiser's advice to pre-process, which graphs from `edgehar export` do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@_quiet()
def quantize_graph(source: bytes, precision: str, calibration: dict[str, Any], target: Path) -> None:
    """Write one graph in a lower precision.

    Args:
        source: the bytes of the fp32 graph.
        precision: "int8", "int8-dynamic" or "fp16".
        calibration: input -> samples for the ranges of int8.
        target: the file to write.
    """
    model = _read_model(source)
    if precision == "fp16":
        target.write_bytes(half_model(model).SerializeToString())
        return
    excluded = products_in_fp32(model)
    quantiser = cast(Any, quantization)
    if precision == "int8-dynamic":
        quantiser.quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=list(LINEAR),
            nodes_to_exclude=[*excluded, *(f"{name}_MatMul" for name in excluded)],  # what it makes of a Gemm
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return
    inputs = [value.name for value in model.graph.input]
    quantiser.quantize_static(
        model,
        str(target),
        CalibrationReader(calibration, inputs),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=list(LINEAR),
        nodes_to_exclude=excluded,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": [*LINEAR, "Conv"],
        },
    )
