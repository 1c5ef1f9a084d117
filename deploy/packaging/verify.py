"""Prove a package: whole files, readable graphs, the promised interface, the right answers.

    edgehar verify PACKAGE
    edgehar verify PACKAGE --key maker.public.pem
    python deploy/packaging/verify.py PACKAGE --json

The exit code is 0 if every check passed and 2 if one failed.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from edgehar.command_line import Parser
from edgehar.config import option, positional
from edgehar.deploy.packaging.parity import (
    PARITY_TOLERANCE,
    AGREEMENT_FLOOR,
    Arrays,
    agreement,
    parity_arrays,
    parity_error,
)
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.onnx_format.graph_view import read_graph
from edgehar.deploy.runtime.providers import CPU, choose_providers
from edgehar.deploy.runtime.session import GraphSession, expected_interface
from edgehar.deploy.runtime.signature import signature_check, read_signature
from edgehar.deploy.runtime.tensorrt_rules import DYNAMIC, QUANTISE, tensorrt_problems
from edgehar.entry import guarded
from edgehar.errors import EdgeharError, PackageError
from edgehar.files.plain_files import read_plain
from edgehar.package.folder import CARD, EdgePackage, model_card

LARGEST_OPSET, LARGEST_IR = 18, 10
"""What TensorRT 10 and onnxruntime 1.18 and later read."""
MOST_CARD_BYTES = 4 << 20
PASSED, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@dataclass(frozen=True)
class VerifyConfig:
    """Options of `edgehar verify`."""

    package: str = positional("folder of the edge package")
    key: str | None = option(None, "file of a public key (PEM, ed25519); the package must be signed with it")
    json: bool = option(False, "print one JSON document instead of the table")


@dataclass(frozen=True)
class Check:
    """One line of the table: what was checked, "ok", "FAILED" or "skipped", and what was found."""

    name: str
    result: str
    found: str


def _check(name: str, passed: bool, found: str) -> Check:
    return Check(name, PASSED if passed else FAILED, found)


def check_graphs(package: EdgePackage, precision: str) -> Iterator[Check]:
    """Format and interface of both graphs of a precision, and whether TensorRT would take them."""
    problems: list[str] = []
    kinds = set[str]()
    for part in package.manifest.graphs[precision]:
        path, name = package.graph(part, precision), f"{precision} {part}"
        data = package.read(path.name)
        graph = read_graph(data, str(path))
        yield _check(f"{name} opset", 0 < graph.opset <= LARGEST_OPSET, f"{graph.opset}, at most {LARGEST_OPSET}")
        yield _check(f"{name} IR version", graph.ir_version <= LARGEST_IR, f"{graph.ir_version}, at most {LARGEST_IR}")
        found, expected = GraphSession(path, 1, [CPU], data).interface, expected_interface(package.manifest, part)
        fits = found.fits(expected)
        yield _check(f"{name} interface", fits, str(found) if fits else f"{found}; expected {expected}")
        kinds |= graph.op_types
        problems += [f"{path.name}: {problem}" for problem in tensorrt_problems(graph)]
    name = f"{precision} for TensorRT"
    if DYNAMIC in kinds:
        yield Check(name, SKIPPED, "its ranges are measured at run time: for the processor only")
    else:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        kept = "operators and shapes" + (", int8 only, zero points 0" if QUANTISE in kinds else "")
        yield _check(name, not problems, problems[0] + more if problems else kept)


def check_answers(package: EdgePackage, precision: str, arrays: Arrays) -> Iterator[Check]:
    """Answers of a precision on the CPU: fp32 against torch, INT8 against fp32, anything else for information."""
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
        f"same answer on {measured['same_answer']:.1%} of {measured['windows']} windows, at least "
        f"{AGREEMENT_FLOOR:.0%}; logits differ by up to {measured['largest_logit_difference']:.3g}"
    )
    agrees = measured["same_answer"] >= AGREEMENT_FLOOR
    if not agrees and precision != package.manifest.default_precision:
        yield Check(f"{precision} = fp32", SKIPPED, f"{found}; not used unless it is asked for")
    else:
        yield _check(f"{precision} = fp32", agrees, found)


def check_providers(package: EdgePackage, arrays: Arrays) -> Check:
    """What computes if nobody asks for a provider, and whether it answers as the CPU does."""
    wanted = choose_providers()
    if wanted == (CPU,):
        return _check("runs on", True, f"{CPU}; this onnxruntime has no TensorRT and no CUDA")
    recognizer = Recognizer(package)
    ran = ", ".join(recognizer.providers)
    if recognizer.providers == (CPU,):
        return Check("runs on", SKIPPED, f"{CPU}; {wanted[0]} is installed, but could not start or took no operator")
    same = agreement(recognizer, Recognizer(package, providers=[CPU]), arrays)["same_answer"]
    return _check("runs on", same >= AGREEMENT_FLOOR, f"{ran}; names the class that the CPU names on {same:.1%}")


def check_card(package: EdgePackage) -> Check:
    """The model card says what the manifest says."""
    try:
        found = read_plain(package.path, CARD, MOST_CARD_BYTES)
    except (FileNotFoundError, PackageError):
        found = b""
    same = found == model_card(package.manifest).encode()
    return _check(CARD, same, "as the manifest" if same else "is not what the manifest gives; export the model again")


def check_signature(path: Path, key: Path | None) -> Iterator[Check]:
    """Whose the package is; without a key a signature is named and not checked."""
    signature = read_signature(path)
    if signature is not None and key is not None:
        yield _check("signature", True, f"of key {signature['key']}")  # the package was opened with it
    elif signature is not None:
        yield Check("signature", SKIPPED, f"by key {signature['key']}, unchecked; give its public part with --key")


def verify(path: Path, key: Path | None = None) -> list[Check]:
    """Every check of a package; a PackageError ends the list as its last, failed check.

    Args:
        path: the package's folder.
        key: file of a public key that the package must be signed with; None: signed or not.
    """
    checks: list[Check] = []
    try:
        package = EdgePackage.open(path, signature_check(path, key))
        checks += check_signature(path, key)
        files = package.manifest.files
        size = sum(facts["bytes"] for facts in files.values())
        checks.append(_check("checksums", True, f"{len(files)} files, {size} bytes"))
        checks.append(check_card(package))
        arrays = parity_arrays(package)
        for precision in package.manifest.graphs:
            checks += check_graphs(package, precision)
            checks += check_answers(package, precision, arrays)
        if "int8" not in package.manifest.graphs:
            checks.append(Check("int8 for TensorRT", SKIPPED, "the package has no int8 graphs"))
        checks.append(check_providers(package, arrays))
    except EdgeharError as problem:
        checks.append(_check("package", False, str(problem)))
    return checks


PARSER = Parser(VerifyConfig, "edgehar verify", (__doc__ or "").partition("\n")[0])


def run(config: VerifyConfig) -> int:
    """Print the table, or JSON; exit code 0 or 2."""
    checks = verify(Path(config.package), None if config.key is None else Path(config.key))
    failed = [check for check in checks if check.result == FAILED]
    if config.json:
        document = {"package": config.package, "passed": not failed, "checks": [asdict(check) for check in checks]}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            sys.stdout.write(f"{check.name:<{width}}  {check.result:<7}  {check.found}".rstrip() + "\n")
    if failed:
        first = f"{failed[0].name}: {failed[0].found}"
        sys.stderr.write(f"edgehar: {config.package}: {len(failed)} of {len(checks)} checks failed: {first}\n")
        return 2
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
