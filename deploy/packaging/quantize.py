"""Add graphs of lower precision to a package, and say how far they agree with fp32.

    edgehar quantize PACKAGE
    python deploy/packaging/quantize.py PACKAGE --precisions int8

int8          quantise and dequantise nodes on the inputs of linear layers, with ranges from the package's synthetic
              calibration arrays; TensorRT reads it too
int8-dynamic  ranges measured at run time; for the processor, with onnxruntime or LiteRT
fp16          half precision inside, float32 at the edges; for GPUs and ARM, on x86 it is no faster

Which is the fastest depends on the machine: `edgehar bench --tune`. Only `packaging.onnx_quantize` needs `onnx`, and a
workstation does as well as the board.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import option, positional
from edgehar.deploy.packaging.parity import AGREEMENT_FLOOR, agreement, parity_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import check_writable
from edgehar.package.folder import QUANTISATION_ARRAYS, EdgePackage, amend_package, write_package
from edgehar.package.manifest import PARTS

PRECISIONS = ("int8", "int8-dynamic", "fp16")
RECIPES = {"int8": "static", "int8-dynamic": "dynamic", "fp16": "half"}


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


def quantize(path: Path, precisions: tuple[str, ...] = PRECISIONS, default: str = "int8") -> dict[str, Any]:
    """Add precisions to a package, all at once or not at all.

    Returns:
        Precision -> what the manifest's metrics now say of it: recipe, bytes of it and of fp32, and
        `parity.agreement` with fp32 on the parity arrays, whatever it is. If too few windows agree in the
        default precision, fp32 stays the default.

    Raises PackageError for a package without fp32 graphs or calibration arrays.
    """
    from edgehar.deploy.packaging.onnx_quantize import quantize_graph  # only now: --help needs no onnx

    check_precisions(precisions)
    package = EdgePackage.open(path)
    check_writable(path.with_name(f".{path.name}.new"), "PACKAGE")  # the new package is made beside it
    manifest = package.manifest
    calibration, parity = package.arrays(QUANTISATION_ARRAYS), parity_arrays(package)
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
        agrees = default not in results or share_of(results[default]) >= AGREEMENT_FLOOR
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


PARSER = Parser(QuantizeConfig, "edgehar quantize", (__doc__ or "").partition("\n")[0])


def run(config: QuantizeConfig) -> int:
    """Quantise a package and print the sizes and agreement; the last line is one JSON document."""
    results = quantize(Path(config.package), config.precisions, config.default)
    default = EdgePackage.open(config.package).manifest.default_precision
    for precision, result in results.items():
        measured, sizes = result["agreement_with_fp32"], result["bytes"]
        sys.stdout.write(
            f"{precision}: {sizes[precision]} bytes, fp32 {sizes['fp32']} bytes\n"
            f"  same answer as fp32 on {share_of(result):.1%} of {measured['windows']} parity windows; "
            f"logits differ by up to {measured['largest_logit_difference']:.4g} of {measured['largest_logit']:.4g}\n"
        )
        if share_of(result) < AGREEMENT_FLOOR:
            sys.stdout.write(f"  this is below {AGREEMENT_FLOOR:.0%}: {precision} runs only where it is asked for\n")
    sys.stdout.write(f"default precision: {default}\n")
    document = {"package": config.package, "default_precision": default, "precisions": results}
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
