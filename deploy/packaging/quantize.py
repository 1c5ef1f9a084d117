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
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.packaging.parity import AGREEMENT_FLOOR, agreement, parity_arrays, quantisation_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.signature import key_option, locked_package
from edgehar.errors import ConfigError
from edgehar.files.atomic import naming
from edgehar.files.results import print_and_store
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
    key: str | None = key_option()


def check_precisions(precisions: tuple[str, ...]) -> None:
    """Raise ConfigError unless these are one or more of `PRECISIONS`, each once."""
    if not precisions or len(set(precisions)) != len(precisions) or not set(precisions) <= set(PRECISIONS):
        raise ConfigError(
            f"--precisions {','.join(precisions)}: expected one or more of {', '.join(PRECISIONS)}, each once"
        )


@dataclass(frozen=True)
class Quantized:
    """Graphs of lower precision that are not stored yet.

    Attributes:
        package: the package they were made from.
        files: name -> bytes of the graphs.
        graphs: precision -> part -> name, of all precisions.
        results: precision -> its metrics in the manifest: recipe, bytes of it and of fp32, and `parity.agreement` with
            fp32 on the parity arrays.
        default: the default precision: fp32 if the agreement of the requested one is too low.
    """

    package: EdgePackage
    files: dict[str, bytes | Path]
    graphs: dict[str, dict[str, str]]
    results: dict[str, Any]
    default: str

    def store(self) -> None:
        """Add the graphs to the package; it is unchanged after an error."""
        metrics = self.package.manifest.metrics | self.results
        amend_package(self.package, self.files, graphs=self.graphs, metrics=metrics, default_precision=self.default)


def quantize(path: Path, precisions: tuple[str, ...] = PRECISIONS, default: str = "int8") -> dict[str, Any]:
    """Add precisions to a package; it is unchanged after an error.

    Returns:
        The `results` of `Quantized`.

    Raises:
        BusyError: another process changes the package.
        PackageError: a package without fp32 graphs or calibration arrays.
    """
    with locked_package(path) as package:
        quantized = make_graphs(package, precisions, default)
        quantized.store()
    return quantized.results


def make_graphs(package: EdgePackage, precisions: tuple[str, ...], default: str) -> Quantized:
    """Quantise the graphs of a package and measure their agreement with fp32; see `quantize`."""
    from edgehar.deploy.packaging.onnx_quantize import quantize_graph  # only now: --help needs no onnx

    check_precisions(precisions)
    manifest = package.manifest
    calibration, parity = quantisation_arrays(package), parity_arrays(package)
    graphs = manifest.graphs | {
        precision: {part: f"{part}.{precision}.onnx" for part in PARTS} for precision in precisions
    }
    if default not in graphs:
        raise ConfigError(f"--default {default}: expected one of {', '.join(graphs)}")
    files: dict[str, bytes | Path] = {}
    with tempfile.TemporaryDirectory() as folder, naming(Path(folder)):
        for precision in precisions:
            for part, name in graphs[precision].items():
                quantize_graph(
                    package.read(package.graph(part, "fp32").name), precision, calibration, Path(folder) / name
                )
                files[name] = (Path(folder) / name).read_bytes()
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
    return Quantized(package, files, graphs, results, default if agrees else "fp32")


def agreement_share(result: dict[str, Any]) -> float:
    """Share of parity windows on which a precision predicts the class of fp32."""
    return result["agreement_with_fp32"]["same_answer"]


PARSER = Parser(QuantizeConfig, "edgehar quantize", (__doc__ or "").partition("\n")[0])


def summary(quantized: Quantized) -> str:
    """Sizes and agreement of each precision as text."""
    lines: list[str] = []
    for precision, result in quantized.results.items():
        measured, sizes = result["agreement_with_fp32"], result["bytes"]
        lines += [
            f"{precision}: {sizes[precision]} bytes, fp32 {sizes['fp32']} bytes",
            f"  same class as fp32 on {agreement_share(result):.1%} of {measured['windows']} parity windows; "
            f"logits differ by up to {measured['largest_logit_difference']:.4g} of {measured['largest_logit']:.4g}",
        ]
        if agreement_share(result) < AGREEMENT_FLOOR:
            lines.append(f"  below {AGREEMENT_FLOOR:.0%}: {precision} is used only on request")
    return "\n".join([*lines, f"default precision: {quantized.default}"])


def run(config: QuantizeConfig) -> int:
    """Quantise a package: print the sizes and agreement, the last line one JSON document, and store the graphs."""
    with locked_package(config.package, config.key) as package:
        quantized = make_graphs(package, config.precisions, config.default)
        document = {
            "package": config.package,
            "default_precision": quantized.default,
            "precisions": quantized.results,
        }
        print_and_store(f"{summary(quantized)}\n{json.dumps(document)}\n", quantized.store)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
