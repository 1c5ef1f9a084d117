"""Add graphs of lower precision to a package, and say how far they agree with fp32.

    edgehar quantize PACKAGE
    python deploy/quantize.py PACKAGE --precisions int8

int8          quantise and dequantise nodes on the inputs of linear layers, with ranges from the package's synthetic
              calibration arrays; TensorRT reads it too
int8-dynamic  ranges measured at run time; for onnxruntime on a CPU only
fp16          half precision inside, float32 at the edges; for GPUs and ARM, on x86 it is no faster

Which is the fastest depends on the machine: `edgehar bench --tune`. This is the only module of the board side that
needs `onnx`, and a workstation does as well as the board.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import onnx
from onnxruntime import quantization  # pyright: ignore[reportMissingTypeStubs]

from deploy.agreement import SAME_ANSWER_FLOOR, agreement, parity_arrays
from deploy.recognizer import Recognizer
from edgehar.cli import guarded
from edgehar.config import option, parse, positional
from edgehar.errors import ConfigError, PackageError
from edgehar.manifest import PARTS
from edgehar.package import CALIBRATION, EdgePackage, amend_package, write_package

PRECISIONS = ("int8", "int8-dynamic", "fp16")
RECIPES = {"int8": "static", "int8-dynamic": "dynamic", "fp16": "half"}
LINEAR = ("MatMul", "Gemm")
"""Quantised layers. Convolutions stay fp32: their INT8 kernels gain nothing at these sizes."""
CALIBRATION_BATCH = 64


@dataclass(frozen=True)
class QuantizeConfig:
    """Options of `edgehar quantize`."""

    package: str = positional("folder of the edge package")
    precisions: tuple[str, ...] = option(PRECISIONS, "which to add")
    default: str = option("int8", "precision that the package then uses when none is asked for")


def check_precisions(precisions: tuple[str, ...]) -> None:
    """Raise ConfigError unless these are some of `PRECISIONS`, each once."""
    if not precisions or len(set(precisions)) != len(precisions) or not set(precisions) <= set(PRECISIONS):
        raise ConfigError(f"--precisions {','.join(precisions)}: expected some of {', '.join(PRECISIONS)}, each once")


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
        raise PackageError(f"{CALIBRATION}: no array {', '.join(lacking)}; export the model again")
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


@contextmanager
def _quiet() -> Generator[None]:
    """Without the quantiser's advice to pre-process, which a graph from `edgehar export` does not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def quantize(path: Path, precisions: tuple[str, ...] = PRECISIONS, default: str = "int8") -> dict[str, Any]:
    """Add precisions to a package, all at once or not at all.

    Returns:
        Precision -> what the manifest's metrics now say of it: recipe, bytes of it and of fp32, and
        `deploy.agreement.agreement` with fp32 on the parity arrays, whatever it is. If too few windows agree in the
        default precision, fp32 stays the default.

    Raises PackageError for a package without fp32 graphs or calibration arrays.
    """
    check_precisions(precisions)
    package = EdgePackage.open(path)
    manifest = package.manifest
    calibration, parity = package.arrays(CALIBRATION), parity_arrays(package)
    graphs = manifest.graphs | {
        precision: {part: f"{part}.{precision}.onnx" for part in PARTS} for precision in precisions
    }
    if default not in graphs:
        raise ConfigError(f"default {default!r}; expected one of {', '.join(graphs)}")
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, bytes | Path] = {}
        for precision in precisions:
            for part, name in graphs[precision].items():
                files[name] = Path(folder) / name
                with _quiet():
                    quantize_graph(package.graph(part, "fp32"), precision, calibration, Path(folder) / name)
        kept: dict[str, bytes | Path] = {name: package.read(name) for name in manifest.files}
        draft = Path(folder) / "draft"
        write_package(draft, replace(manifest, graphs=graphs), kept | files)
        opened = EdgePackage.open(draft)
        sizes = {
            precision: sum(opened.manifest.files[name]["bytes"] for name in parts.values())
            for precision, parts in graphs.items()
        }
        fp32 = Recognizer(opened, "fp32")
        results: dict[str, Any] = {
            precision: {
                "recipe": RECIPES[precision],
                "bytes": {name: sizes[name] for name in ("fp32", precision)},
                "agreement_with_fp32": agreement(Recognizer(opened, precision), fp32, parity),
            }
            for precision in precisions
        }
        agrees = default not in results or share_of(results[default]) >= SAME_ANSWER_FLOOR
        amend_package(
            path,
            files,
            graphs=graphs,
            metrics=manifest.metrics | results,
            default_precision=default if agrees else "fp32",
        )
    return results


def share_of(result: dict[str, Any]) -> float:
    """Share of parity windows on which a precision names fp32's class."""
    return result["agreement_with_fp32"]["same_answer"]


def main(argv: list[str] | None = None) -> int:
    """Quantise a package and print what came of it; the last line is one JSON document."""
    config = parse(QuantizeConfig, argv, "edgehar quantize", (__doc__ or "").partition("\n")[0])
    results = quantize(Path(config.package), config.precisions, config.default)
    default = EdgePackage.open(config.package).manifest.default_precision
    for precision, result in results.items():
        measured, sizes = result["agreement_with_fp32"], result["bytes"]
        sys.stdout.write(
            f"{precision}: {sizes[precision]} bytes, fp32 {sizes['fp32']} bytes\n"
            f"  same answer as fp32 on {share_of(result):.1%} of {measured['windows']} parity windows; "
            f"logits differ by up to {measured['largest_logit_difference']:.4g} of {measured['largest_logit']:.4g}\n"
        )
        if share_of(result) < SAME_ANSWER_FLOOR:
            sys.stdout.write(f"  this is below {SAME_ANSWER_FLOOR:.0%}: {precision} runs only where it is asked for\n")
    sys.stdout.write(f"default precision: {default}\n")
    document = {"package": config.package, "default_precision": default, "precisions": results}
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
