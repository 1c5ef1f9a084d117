"""Verify a package: checksums, graph format and interface, parity of the outputs, signature.

    edgehar verify PACKAGE
    edgehar verify PACKAGE --key maker.public.pem
    edgehar verify PACKAGE --json

The exit code is 0 if all checks pass and 2 if one fails.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from edgehar import __version__
from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.packaging.parity import (
    AGREEMENT_FLOOR,
    PARITY_TOLERANCE,
    Arrays,
    agreement,
    parity_arrays,
    parity_error,
)
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.isolation import try_in_child
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView
from edgehar.deploy.runtime.providers import CPU, choose_providers
from edgehar.deploy.runtime.session import Interface, expected_interface
from edgehar.deploy.runtime.signature import key_option, open_package, read_signature
from edgehar.deploy.runtime.tensorrt_rules import DYNAMIC, QUANTISE, tensorrt_problems
from edgehar.errors import EdgeharError, PackageError
from edgehar.files.plain_files import read_plain
from edgehar.files.results import print_text
from edgehar.package.folder import CARD, EdgePackage, model_card

MAX_CARD_BYTES = 4 << 20
PASSED, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@dataclass(frozen=True)
class VerifyConfig(Options):
    """Verification."""

    package: str = positional("folder of the edge package")
    key: str | None = key_option()
    json: bool = option(False, "print one JSON document instead of a table")


@dataclass(frozen=True)
class Check:
    """One row of the table: the check, its result ("ok", "FAILED" or "skipped"), and details."""

    name: str
    result: str
    found: str


def _check(name: str, passed: bool, found: str) -> Check:
    return Check(name, PASSED if passed else FAILED, found)


def read_graphs(package: EdgePackage) -> dict[Path, GraphView]:
    """Every graph of the package by its path; raises PackageError for the first that may not be loaded."""
    paths = [package.graph(part, precision) for precision, parts in package.manifest.graphs.items() for part in parts]
    return {path: read_graph(package.read(path.name), str(path)) for path in paths}


def check_graphs(package: EdgePackage, precision: str, graphs: dict[Path, GraphView]) -> Iterator[Check]:
    """Report the format of both graphs of a precision; check their interface, and TensorRT's requirements."""
    problems: list[str] = []
    op_types = set[str]()
    for part in package.manifest.graphs[precision]:
        path, name = package.graph(part, precision), f"{precision} {part}"
        graph = graphs[path]
        yield _check(f"{name} format", True, f"opset {graph.opset}, IR version {graph.ir_version}")
        found = Interface(graph.inputs, graph.outputs[0], graph.output_shape)
        expected = expected_interface(package.manifest, part)
        matches = found.matches(expected)
        yield _check(f"{name} interface", matches, str(found) if matches else f"{found}; expected {expected}")
        op_types |= graph.op_types
        problems += [f"{path.name}: {problem}" for problem in tensorrt_problems(graph)]
    name = f"{precision} for TensorRT"
    if DYNAMIC in op_types:
        yield Check(name, SKIPPED, "quantised dynamically: for the CPU only")
    else:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        passed = "operators and shapes" + (", int8 only, zero points 0" if QUANTISE in op_types else "")
        yield _check(name, not problems, problems[0] + more if problems else passed)


def check_parity(package: EdgePackage, precision: str, arrays: Arrays) -> Iterator[Check]:
    """Compare the outputs of a precision on the CPU: fp32 with torch, others with fp32."""
    recognizer = Recognizer(package, precision, providers=[CPU])
    if precision == "fp32":
        for output, difference in parity_error(recognizer, arrays).items():
            found = f"largest difference {difference:.2g}, at most {PARITY_TOLERANCE:g}"
            yield _check(f"fp32 {output} = torch", difference <= PARITY_TOLERANCE, found)
        return
    if "fp32" not in package.manifest.graphs:
        yield Check(f"{precision} = fp32", SKIPPED, "the package has no fp32 graphs")
        return
    measured = agreement(recognizer, Recognizer(package, "fp32", providers=[CPU]), arrays)
    found = (
        f"same class on {measured['same_answer']:.1%} of {measured['windows']} windows, at least "
        f"{AGREEMENT_FLOOR:.0%}; logits differ by up to {measured['largest_logit_difference']:.3g}"
    )
    agrees = measured["same_answer"] >= AGREEMENT_FLOOR
    if not agrees and precision != package.manifest.default_precision:
        yield Check(f"{precision} = fp32", SKIPPED, f"{found}; used only on request")
    else:
        yield _check(f"{precision} = fp32", agrees, found)


def check_providers(package: EdgePackage, arrays: Arrays) -> Check:
    """The default providers, and whether their outputs agree with the CPU's."""
    providers = choose_providers()
    if providers == (CPU,):
        return _check("runs on", True, f"{CPU}; this onnxruntime has no TensorRT and no CUDA")
    recognizer = Recognizer(package)
    active = ", ".join(recognizer.providers)
    if recognizer.providers == (CPU,):
        return Check("runs on", SKIPPED, f"{CPU}; {providers[0]} is installed, but could not start or took no operator")
    same = agreement(recognizer, Recognizer(package, providers=[CPU]), arrays)["same_answer"]
    return _check("runs on", same >= AGREEMENT_FLOOR, f"{active}; same class as on the CPU on {same:.1%}")


def check_card(package: EdgePackage) -> Check:
    """Check that the model card is generated from the manifest; other versions of edgehar word it differently."""
    try:
        found = read_plain(package.path, CARD, MAX_CARD_BYTES)
    except (FileNotFoundError, PackageError):
        found = b""
    if found == model_card(package.manifest).encode():
        return _check(CARD, True, "generated from the manifest")
    versions = package.manifest.provenance.get("versions")
    writer = cast("dict[str, Any]", versions).get("edgehar") if isinstance(versions, dict) else None
    if found and writer != __version__:
        return Check(CARD, SKIPPED, f"written by edgehar {writer or 'before 0.2.0'}; this is {__version__}")
    return _check(CARD, False, "not generated from this manifest; export the model again")


def check_signature(path: Path, key: Path | None) -> Iterator[Check]:
    """Report the signature; without a key it is not verified."""
    signature = read_signature(path)
    if signature is not None and key is not None:
        yield _check("signature", True, f"of key {signature['key']}")  # verified when the package was opened
    elif signature is not None:
        yield Check("signature", SKIPPED, f"by key {signature['key']}, not verified; give the public key with --key")


def verify(path: Path, key: Path | None = None) -> list[Check]:
    """Run every check; an EdgeharError ends the list with a failed check.

    Args:
        path: the package's folder.
        key: file of a public key that must have signed the package; None skips the check.
    """
    checks: list[Check] = []
    try:
        package = open_package(path, key)
        checks += check_signature(path, key)
        files = package.manifest.files
        size = sum(facts["bytes"] for facts in files.values())
        checks.append(_check("checksums", True, f"{len(files)} files, {size} bytes"))
        checks.append(check_card(package))
        arrays, graphs = parity_arrays(package), read_graphs(package)
        for precision in package.manifest.graphs:
            checks += check_graphs(package, precision, graphs)
        try_in_child(package, tuple(package.manifest.graphs))
        checks.append(_check("first prediction", True, "in a separate process, in every precision"))
        for precision in package.manifest.graphs:
            checks += check_parity(package, precision, arrays)
        if "int8" not in package.manifest.graphs:
            checks.append(Check("int8 for TensorRT", SKIPPED, "the package has no int8 graphs"))
        checks.append(check_providers(package, arrays))
    except EdgeharError as problem:
        checks.append(_check("package", False, str(problem)))
    return checks


PARSER = Parser(VerifyConfig, "edgehar verify", (__doc__ or "").partition("\n")[0])


def run(config: VerifyConfig) -> int:
    """Verify a package and print a table or JSON; returns 0 if all checks pass, else 2."""
    checks = verify(Path(config.package), None if config.key is None else Path(config.key))
    failed = [check for check in checks if check.result == FAILED]
    if config.json:
        document = {"package": config.package, "passed": not failed, "checks": [asdict(check) for check in checks]}
        print_text(json.dumps(document) + "\n")
    else:
        width = max(len(check.name) for check in checks)
        lines = [f"{check.name:<{width}}  {check.result:<7}  {check.found}".rstrip() for check in checks]
        print_text("\n".join(lines) + "\n")
    if failed:
        first = f"{failed[0].name}: {failed[0].found}"
        sys.stderr.write(f"edgehar: {config.package}: {len(failed)} of {len(checks)} checks failed: {first}\n")
        return 2
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
