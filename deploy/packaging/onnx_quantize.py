"""One graph in a lower precision: the only module of the board side that needs `onnx`; see `packaging.quantize`."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import onnx
from onnxruntime import quantization  # pyright: ignore[reportMissingTypeStubs]

from edgehar.errors import PackageError
from edgehar.package.folder import QUANTISATION_ARRAYS

LINEAR = ("MatMul", "Gemm")
"""Quantised layers. Convolutions stay fp32: their INT8 kernels gain nothing at these sizes."""
CALIBRATION_BATCH = 64


class CalibrationReader(quantization.CalibrationDataReader):
    """Hands the calibration arrays to onnxruntime in batches, each once."""

    def __init__(self, arrays: dict[str, Any], inputs: list[str]) -> None:
        """Cut the arrays of these inputs into batches."""
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


def _read_model(path: Path) -> Any:
    """The graph, with a name for every node and without the entries that the quantiser cannot digest."""
    model = cast(Any, onnx).load(str(path), load_external_data=False)
    constants = {tensor.name for tensor in model.graph.initializer}
    # torch.onnx.export(dynamo=True) describes initialisers as values too; the quantiser then fails on them.
    for value in [value for value in model.graph.value_info if value.name in constants]:
        model.graph.value_info.remove(value)
    for place, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{place}"
    return model


def products_of_activations(model: Any) -> list[str]:
    """Names of the products without a constant factor, as in attention: quantising those costs more than it gains."""
    constant = {tensor.name for tensor in model.graph.initializer}
    found: list[str] = []
    for node in model.graph.node:
        if all(name in constant for name in node.input if name):
            constant.update(node.output)
        elif node.op_type in LINEAR and not any(name in constant for name in node.input[:2]):
            found.append(node.name)
    return found


def half_model(model: Any) -> Any:
    """The graph in half precision, inputs and output in float32; every node after those it needs."""
    from onnxruntime.transformers import float16  # pyright: ignore[reportMissingTypeStubs]

    half = cast(Any, float16).convert_float_to_float16(model, keep_io_types=True)
    known = {value.name for value in (*half.graph.input, *half.graph.initializer)} | {""}
    waiting, ordered = list(half.graph.node), list[Any]()
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        known.update(name for node in ready for name in node.output)
        ordered += ready
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del half.graph.node[:]
    half.graph.node.extend(ordered)
    return half


@contextmanager
def _quiet() -> Generator[None]:
    """Without the quantiser's advice to pre-process, which a graph from `edgehar export` does not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@_quiet()
def quantize_graph(source: Path, precision: str, calibration: dict[str, Any], target: Path) -> None:
    """Write one graph in a lower precision."""
    model = _read_model(source)
    if precision == "fp16":
        target.write_bytes(half_model(model).SerializeToString())
        return
    excluded = products_of_activations(model)
    tool = cast(Any, quantization)
    if precision == "int8-dynamic":
        tool.quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=list(LINEAR),
            nodes_to_exclude=excluded,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return
    inputs = [value.name for value in model.graph.input]
    lacking = sorted(name for name in inputs if name not in calibration or not len(calibration[name]))
    if lacking:
        raise PackageError(f"{QUANTISATION_ARRAYS}: no array {', '.join(lacking)}; export the model again")
    tool.quantize_static(
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
