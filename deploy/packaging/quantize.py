"""Add graphs of lower precision to a package and measure their agreement with fp32.

    edgehar quantize PACKAGE
    edgehar quantize PACKAGE --precisions int8

int8          static quantisation of linear layers (QDQ), with ranges from the package's synthetic calibration arrays;
              for the CPU and TensorRT
int8-dynamic  dynamic quantisation of linear layers; for the CPU, with onnxruntime or LiteRT
fp16          half precision with float32 inputs and output; for GPUs and ARM, no faster on x86

The fastest precision depends on the machine: `edgehar bench --tune`. Quantising needs `onnx`; it can run on the
workstation.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.packaging.parity import AGREEMENT_FLOOR, agreement, parity_arrays, quantisation_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from edgehar.files.atomic import check_writable
from edgehar.package.folder import EdgePackage, amend_package, write_package
from edgehar.package.manifest import PARTS

PRECISIONS = ("int8", "int8-dynamic", "fp16")
RECIPES = {"int8": "static", "int8-dynamic": "dynamic", "fp16": "half"}


@dataclass(frozen=True)
class QuantizeConfig(Options):
    """Quantisation."""

    package: str = positional("folder of the edge package")
    precisions: tuple[str, ...] = option(PRECISIONS, "precisions to add", choices=PRECISIONS)
    default: str = option("int8", "precision that is used where none is given")


def check_precisions(precisions: tuple[str, ...]) -> None:
    """Raise ConfigError unless these are one or more of `PRECISIONS`, each once."""
    if not precisions or len(set(precisions)) != len(precisions) or not set(precisions) <= set(PRECISIONS):
        raise ConfigError(
            f"--precisions {','.join(precisions)}: expected one or more of {', '.join(PRECISIONS)}, each once"
        )


def quantize(path: Path, precisions: tuple[str, ...] = PRECISIONS, default: str = "int8") -> dict[str, Any]:
    """Add precisions to a package; it is unchanged after an error.

    Returns:
        Precision -> its metrics in the manifest: recipe, bytes of it and of fp32, and `parity.agreement` with fp32 on
        the parity arrays. If the agreement of the default precision is too low, fp32 stays the default.

    Raises PackageError for a package without fp32 graphs or calibration arrays.
    """
    from edgehar.deploy.packaging.onnx_quantize import quantize_graph  # only now: --help needs no onnx

    check_precisions(precisions)
    package = EdgePackage.open(path)
    check_writable(path.with_name(f".{path.name}.new"), "PACKAGE")  # the new package is made beside it
    manifest = package.manifest
    calibration, parity = quantisation_arrays(package), parity_arrays(package)
    graphs = manifest.graphs | {
        precision: {part: f"{part}.{precision}.onnx" for part in PARTS} for precision in precisions
    }
    if default not in graphs:
        raise ConfigError(f"--default {default}: expected one of {', '.join(graphs)}")
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, bytes | Path] = {}
        for precision in precisions:
            for part, name in graphs[precision].items():
                files[name] = Path(folder) / name
                quantize_graph(package.graph(part, "fp32"), precision, calibration, Path(folder) / name)
        unchanged: dict[str, bytes | Path] = {name: package.read(name) for name in manifest.files}
        draft = Path(folder) / "draft"
        write_package(draft, replace(manifest, graphs=graphs), unchanged | files)
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
        agrees = default not in results or agreement_share(results[default]) >= AGREEMENT_FLOOR
        amend_package(
            path,
            files,
            graphs=graphs,
            metrics=manifest.metrics | results,
            default_precision=default if agrees else "fp32",
        )
    return results


def agreement_share(result: dict[str, Any]) -> float:
    """Share of parity windows on which a precision predicts the class of fp32."""
    return result["agreement_with_fp32"]["same_answer"]


PARSER = Parser(QuantizeConfig, "edgehar quantize", (__doc__ or "").partition("\n")[0])


def run(config: QuantizeConfig) -> int:
    """Quantise a package and print the sizes and agreement; the last line is one JSON document."""
    results = quantize(Path(config.package), config.precisions, config.default)
    default = EdgePackage.open(config.package).manifest.default_precision
    for precision, result in results.items():
        measured, sizes = result["agreement_with_fp32"], result["bytes"]
        sys.stdout.write(
            f"{precision}: {sizes[precision]} bytes, fp32 {sizes['fp32']} bytes\n"
            f"  same class as fp32 on {agreement_share(result):.1%} of {measured['windows']} parity windows; "
            f"logits differ by up to {measured['largest_logit_difference']:.4g} of {measured['largest_logit']:.4g}\n"
        )
        if agreement_share(result) < AGREEMENT_FLOOR:
            sys.stdout.write(f"  below {AGREEMENT_FLOOR:.0%}: {precision} is used only on request\n")
    sys.stdout.write(f"default precision: {default}\n")
    document = {"package": config.package, "default_precision": default, "precisions": results}
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
