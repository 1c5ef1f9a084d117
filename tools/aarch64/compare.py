"""Compares the board's aarch64 wheels with x86-64: same package, same inputs.

    python tools/aarch64/compare.py runs/quickstart/package
    python tools/aarch64/compare.py runs/quickstart/package --no-emulate --python310 python3.10

The board's aarch64 wheels run in an emulator, those for its Python 3.10 on x86-64: this compares numbers, not speed.
Each platform verifies the package, evaluates a sample of simulated recordings and computes the logits of fixed inputs
in every precision. The exit code is 1 if a difference exceeds its limit. See docs/aarch64.md.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.packaging.quantize import quantize
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import locked, read_json, sha256, write_json
from edgehar.package.folder import MANIFEST, EdgePackage
from edgehar.provenance import portable, stamp
from tools.aarch64.emulator import TOOLS, emulated, emulator, make_root, python_of, run_tool, show_one_processor
from tools.aarch64.platforms import (
    REPOSITORY,
    Platform,
    PlatformOutput,
    build_wheel,
    fits_jetpack,
    install,
    newest_symbols,
    run,
)
from tools.aarch64.probe import stream_inputs, write_arrays
from tools.aarch64.tolerance import LIMITS, Row, as_json, compare, table

BOARD_PYTHON = "3.10"
OLDEST = ("onnxruntime==1.18.*", "numpy<2")
SAMPLE_SUBJECT = "s2"
"""A simulated subject that `edgehar quickstart` does not train on."""


@dataclass(frozen=True)
class CompareConfig(Options):
    """Comparison of platforms."""

    package: str = positional("folder of an edge package", default="runs/quickstart/package")
    emulate: bool = option(True, "also run the aarch64 wheels; needs qemu-user-static and debootstrap")
    python310: str | None = option(None, "a Python 3.10 of this machine; default: python3.10 on PATH")
    root: str | None = option(
        None, "root folder of an aarch64 Linux with Python, such as JetPack's; default: a Debian is downloaded"
    )
    mirror: str | None = option(None, "Debian mirror; default: the one that apt is configured with")
    work: str = option("build/aarch64", "folder for downloads and installations; later runs reuse it")
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(CompareConfig, "python tools/aarch64/compare.py", __doc__ or "")


def report(line: str) -> None:
    """Write one line of progress."""
    sys.stderr.write(f"aarch64: {line}\n")
    sys.stderr.flush()


def pinned(python: str) -> tuple[str, ...]:
    """The numpy and onnxruntime that constraints.txt pins for a version of Python such as "3.10"."""
    old = int(python.partition(".")[2]) < 11
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    marker = 'python_version < "3.11"' if old else 'python_version >= "3.11"'
    return tuple(re.findall(rf"^((?:numpy|onnxruntime)==\S+) ; {marker}$", "\n".join(lines), re.MULTILINE))


def find_python310(given: str | None) -> str | None:
    """Path of a Python 3.10; None if none was given or found, ConfigError if the given one has another version."""
    path = shutil.which(given or f"python{BOARD_PYTHON}")
    version = ""
    if path is not None:
        program = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
    if version == BOARD_PYTHON:
        return path
    if given is not None:
        raise ConfigError(
            f"--python310 {given}: {version or 'no Python'}; expected Python {BOARD_PYTHON}; give another one"
        )
    return None


def copy_in_every_precision(source: Path, work: Path) -> Path:
    """A copy of the package with the graphs of every precision."""
    package = EdgePackage.open(source)
    copy = work / "package"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    report("quantising a copy of the package")
    quantize(copy, default=package.manifest.default_precision)
    return copy


def make_sample(work: Path, wheel: Path) -> Path:
    """Recordings of one simulated subject, simulated again if the sources changed."""
    sample, state = work / "sample", work / "sample.json"
    if not state.is_file() or not sample.is_dir() or read_json(state) != sha256(wheel):
        report(f"simulating a sample, {SAMPLE_SUBJECT}")
        shutil.rmtree(sample, ignore_errors=True)
        state.unlink(missing_ok=True)
        words = ("data", "convert", "simulated", "--subjects", SAMPLE_SUBJECT, "--out", sample)
        run_tool((sys.executable, "-m", "edgehar.cli", *words), "edgehar data convert")
        write_json(state, sha256(wheel))
    return sample


def choose_platforms(options: CompareConfig, work: Path) -> tuple[list[Platform], list[str]]:
    """The platforms, the reference first, and remarks on what this machine cannot run."""
    here = "{}.{}".format(*sys.version_info[:2])
    newest, jetpack = pinned(here), pinned(BOARD_PYTHON)
    platforms, not_run = [Platform("x86_64", here, newest, (sys.executable,))], list[str]()
    python310 = find_python310(options.python310)
    if python310 is not None:
        platforms += [Platform("x86_64", BOARD_PYTHON, runtime, (python310,)) for runtime in (jetpack, OLDEST)]
    elif not options.emulate:
        raise ConfigError(f"no python{BOARD_PYTHON} on PATH; expected one; install it or set PYTHON310=PATH")
    else:
        not_run.append(f"Python {BOARD_PYTHON} on x86-64: none found; set PYTHON310=PATH")
    board = ""
    if options.emulate:
        qemu = emulator(() if options.root else tuple(TOOLS))
        root = Path(options.root).resolve() if options.root else make_root(work, options.mirror, report)
        show_one_processor(root)
        python, board = python_of(root)
        runtimes = (jetpack, OLDEST) if board == BOARD_PYTHON else (newest, jetpack, OLDEST)
        platforms += [Platform("aarch64", board, runtime, emulated(qemu, root, python)) for runtime in runtimes]
    if board != BOARD_PYTHON:
        platforms.append(Platform("aarch64", BOARD_PYTHON, jetpack, None))
        not_run.append(
            f"Python {BOARD_PYTHON} on aarch64: its wheels are installed and inspected; BOARD_ROOT=DIR runs them"
        )
    return platforms, not_run


def reference_of(platform: Platform, trusted: list[PlatformOutput]) -> PlatformOutput:
    """The output to compare a platform with: of the same wheels on x86-64 if it is trusted, otherwise the first."""
    same_wheels = [
        one
        for one in trusted
        if one.platform.machine == "x86_64" and one.platform.requirements == platform.requirements
    ]
    return next((one for one in same_wheels if one.platform != platform), trusted[0])


def entry_of(platform: Platform, wheels: list[str], site: Path, output: PlatformOutput | None) -> dict[str, Any]:
    """The entry of a platform in the result file."""
    entry: dict[str, Any] = {"name": platform.name, "machine": platform.machine, "python": platform.python}
    entry["wheels"] = wheels
    if platform.machine == "aarch64":
        symbols = newest_symbols(site)
        entry |= {"newest_symbols": symbols, "fits_jetpack": fits_jetpack(symbols)}
    if output is not None:
        results = [check["result"] for check in output.verified]
        entry["versions"] = output.versions
        entry["verify"] = {result: results.count(result) for result in sorted(set(results))}
        entry["evaluate"] = {
            precision: f"{found['correct']} of {found['total']}" for precision, found in output.evaluations.items()
        }
    return entry


def main(argv: list[str] | None = None) -> int:
    """Print the table, then the result as JSON; exit code 1 if a limit is exceeded."""
    options = PARSER.parse(argv)
    if machine() != "x86_64":
        raise ConfigError(f"this machine is {machine()}; expected x86_64; on a board use edgehar verify PACKAGE")
    source, work = Path(options.package), Path(options.work).resolve()
    if not (source / MANIFEST).is_file():
        raise ConfigError(f"{source}: no edge package; expected one; run make quickstart first or set PACKAGE=DIR")
    with locked(work / "run"):
        return measure(options, source, work)


def measure(options: CompareConfig, source: Path, work: Path) -> int:
    """Run and compare all platforms; see `main`."""
    platforms, not_run = choose_platforms(options, work)
    wheel, package = build_wheel(work, report), copy_in_every_precision(source, work)
    manifest = EdgePackage.open(package).manifest
    inputs = work / "inputs.npz"
    write_arrays(inputs, stream_inputs(manifest))
    simulated = manifest.provenance.get("data") == "simulated" and manifest.window.kind == "clip"
    sample = make_sample(work, wheel) if simulated else None
    if sample is None:
        not_run.append(
            f"evaluate: the package was trained on {manifest.provenance.get('data')!r}, not on simulated clips"
        )
    trusted, entries, rows = list[PlatformOutput](), list[dict[str, Any]](), list[Row]()
    for platform in platforms:
        site, wheels = install(platform, wheel, work, report)
        found = None if platform.command is None else run(platform, site, package, sample, inputs, work, report)
        entries.append(entry_of(platform, wheels, site, found))
        if found is None:
            continue
        compared = compare(found, reference_of(platform, trusted)) if trusted else []
        rows += compared
        if all(row.passed for row in compared):  # a failing platform must not become a reference
            trusted.append(found)
    passed = all(row.passed for row in rows) and all(entry.get("fits_jetpack", True) for entry in entries)
    words = ["python", "tools/aarch64/compare.py", options.package, *([] if options.emulate else ["--no-emulate"])]
    result = {
        "format": "edgehar-boards",
        "format_version": 1,
        "command": portable(words),
        **stamp(),
        "package": {"name": manifest.name, "parameters": manifest.parameters, "sha256": sha256(package / MANIFEST)},
        "limits": LIMITS,
        "sides": entries,
        "comparisons": as_json(rows),
        "not_run": not_run,
        "passed": passed,
    }
    write_json(work / "result.json", result)
    if options.json is not None:
        write_json(Path(options.json), result)
    sys.stdout.write(table(rows) + "\n")
    for entry in entries:
        if "newest_symbols" in entry:
            symbols = ", ".join(f"{name} {version}" for name, version in entry["newest_symbols"].items())
            sys.stdout.write(
                f"{entry['name']}: needs {symbols}; JetPack 6 {'has' if entry['fits_jetpack'] else 'LACKS'} them\n"
            )
    sys.stdout.write("".join(f"not run: {line}\n" for line in not_run) + LIMITS + "\n")
    sys.stdout.write(json.dumps({key: result[key] for key in ("passed", "git_commit", "package")}) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
