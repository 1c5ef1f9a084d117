"""What a board computes, beside what this x86-64 machine computes, from the same package and the same inputs.

    python tools/aarch64.py runs/quickstart/package
    python tools/aarch64.py runs/quickstart/package --no-emulate --python310 python3.10

The board's real aarch64 wheels run in an emulator, those for its Python 3.10 on x86-64: numerics, not speed. Each side
verifies the package, evaluates a sample of the simulator's recordings and answers fixed inputs in every precision. The
exit code is 1 if a difference is above its limit. See docs/aarch64.md.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.packaging.quantize import quantize
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import locked, read_json, sha256, write_json
from edgehar.package.folder import MANIFEST, EdgePackage
from edgehar.provenance import portable, stamp
from tools.aarch64_compare import LIMITS, Row, as_json, compare, table
from tools.aarch64_probe import stream_inputs, write_arrays
from tools.aarch64_root import TOOLS, emulated, emulator, make_root, python_of, run_tool, show_one_processor
from tools.aarch64_side import REPOSITORY, Side, StoredLogits, ask, build_wheel, fits_jetpack, install, newest_symbols

BOARD_PYTHON = "3.10"
OLDEST = ("onnxruntime==1.18.*", "numpy<2")
SAMPLE_SUBJECT = "s2"
"""Of the simulated people, one that the models of `edgehar quickstart` were not trained on."""


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    package: str = positional("folder of an edge package", default="runs/quickstart/package")
    emulate: bool = option(True, "run the aarch64 wheels, too, which needs qemu-user-static and debootstrap")
    python310: str | None = option(None, "a Python 3.10 of this machine; python3.10 if there is one")
    root: str | None = option(
        None, "files of an aarch64 Linux with Python, such as JetPack's; a Debian is made if none"
    )
    mirror: str | None = option(None, "Debian mirror; the one that apt is configured with if none is given")
    work: str = option("build/aarch64", "folder for what is downloaded and made; used again the next time")
    json: str | None = option(None, "also write the result to this file")


def say(line: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"aarch64: {line}\n")
    sys.stderr.flush()


def pinned(python: str) -> tuple[str, ...]:
    """The numpy and onnxruntime that constraints.txt pins for a version of Python such as "3.10"."""
    old = int(python.partition(".")[2]) < 11
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    marker = 'python_version < "3.11"' if old else 'python_version >= "3.11"'
    return tuple(re.findall(rf"^((?:numpy|onnxruntime)==\S+) ; {marker}$", "\n".join(lines), re.MULTILINE))


def find_python310(given: str | None) -> str | None:
    """A Python 3.10 that starts; None if none was given and none is there, ConfigError if the given one is no 3.10."""
    path = shutil.which(given or f"python{BOARD_PYTHON}")
    said = ""
    if path is not None:
        program = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
    if said == BOARD_PYTHON:
        return path
    if given is not None:
        raise ConfigError(f"--python310 {given}: {said or 'no Python'}; expected a Python {BOARD_PYTHON}; give another")
    return None


def copy_in_every_precision(source: Path, work: Path) -> Path:
    """A copy of the package with the graphs of every precision."""
    package = EdgePackage.open(source)
    copy = work / "package"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    say("quantising a copy of the package")
    quantize(copy, default=package.manifest.default_precision)
    return copy


def make_sample(work: Path, wheel: Path) -> Path:
    """Recordings of one simulated person, made anew if the sources changed."""
    sample, state = work / "sample", work / "sample.json"
    if not state.is_file() or not sample.is_dir() or read_json(state) != sha256(wheel):
        say(f"simulating a sample, {SAMPLE_SUBJECT}")
        shutil.rmtree(sample, ignore_errors=True)
        state.unlink(missing_ok=True)
        words = ("data", "convert", "simulated", "--subjects", SAMPLE_SUBJECT, "--out", sample)
        run_tool((sys.executable, "-m", "edgehar.cli", *words), "edgehar data convert")
        write_json(state, sha256(wheel))
    return sample


def choose_sides(options: Options, work: Path) -> tuple[list[Side], list[str]]:
    """The sides, the reference first, and what cannot be covered here."""
    here = "{}.{}".format(*sys.version_info[:2])
    newest, jetpack = pinned(here), pinned(BOARD_PYTHON)
    sides, not_run = [Side("x86_64", here, newest, (sys.executable,))], list[str]()
    python310 = find_python310(options.python310)
    if python310 is not None:
        sides += [Side("x86_64", BOARD_PYTHON, wanted, (python310,)) for wanted in (jetpack, OLDEST)]
    elif not options.emulate:
        raise ConfigError(f"no python{BOARD_PYTHON} on PATH; expected one; install it or give PYTHON310=PATH")
    else:
        not_run.append(f"Python {BOARD_PYTHON} on x86-64: none found; give PYTHON310=PATH")
    board = ""
    if options.emulate:
        qemu = emulator(() if options.root else tuple(TOOLS))
        root = Path(options.root).resolve() if options.root else make_root(work, options.mirror, say)
        show_one_processor(root)
        python, board = python_of(root)
        runtimes = (jetpack, OLDEST) if board == BOARD_PYTHON else (newest, jetpack, OLDEST)
        sides += [Side("aarch64", board, wanted, emulated(qemu, root, python)) for wanted in runtimes]
    if board != BOARD_PYTHON:
        sides.append(Side("aarch64", BOARD_PYTHON, jetpack, None))
        not_run.append(
            f"Python {BOARD_PYTHON} on aarch64: its wheels are installed and looked at; give BOARD_ROOT=DIR to run it"
        )
    return sides, not_run


def reference_of(side: Side, trusted: list[StoredLogits]) -> StoredLogits:
    """What a side is compared with: the same wheels on x86-64 if they ran there and are trusted, else the first."""
    alike = [one for one in trusted if one.side.machine == "x86_64" and one.side.requirements == side.requirements]
    return next((one for one in alike if one.side != side), trusted[0])


def entry_of(side: Side, wheels: list[str], site: Path, answers: StoredLogits | None) -> dict[str, Any]:
    """A side in the result."""
    entry: dict[str, Any] = {"name": side.name, "machine": side.machine, "python": side.python, "wheels": wheels}
    if side.machine == "aarch64":
        symbols = newest_symbols(site)
        entry |= {"newest_symbols": symbols, "fits_jetpack": fits_jetpack(symbols)}
    if answers is not None:
        results = [check["result"] for check in answers.verified]
        entry["versions"] = answers.versions
        entry["verify"] = {result: results.count(result) for result in sorted(set(results))}
        entry["evaluate"] = {
            precision: f"{found['correct']} of {found['total']}" for precision, found in answers.evaluations.items()
        }
    return entry


def main(argv: list[str] | None = None) -> int:
    """Print the table, then the result as JSON; exit code 1 if a limit is exceeded."""
    options = parse(Options, argv, "python tools/aarch64.py", __doc__ or "")
    if platform.machine() != "x86_64":
        raise ConfigError(f"this machine is {platform.machine()}; expected x86_64; here edgehar verify PACKAGE will do")
    source, work = Path(options.package), Path(options.work).resolve()
    if not (source / MANIFEST).is_file():
        raise ConfigError(f"{source}: no edge package; expected one; call make quickstart first or give PACKAGE=DIR")
    with locked(work / "run"):
        return measure(options, source, work)


def measure(options: Options, source: Path, work: Path) -> int:
    """Everything after the options were looked at."""
    sides, not_run = choose_sides(options, work)
    wheel, package = build_wheel(work, say), copy_in_every_precision(source, work)
    manifest = EdgePackage.open(package).manifest
    inputs = work / "inputs.npz"
    write_arrays(inputs, stream_inputs(manifest))
    simulated = manifest.provenance.get("data") == "simulated" and manifest.window.kind == "clip"
    sample = make_sample(work, wheel) if simulated else None
    if sample is None:
        not_run.append(
            f"evaluate: the package was trained on {manifest.provenance.get('data')!r}, not on simulated clips"
        )
    trusted, entries, rows = list[StoredLogits](), list[dict[str, Any]](), list[Row]()
    for side in sides:
        site, wheels = install(side, wheel, work, say)
        found = None if side.start is None else ask(side, site, package, sample, inputs, work, say)
        entries.append(entry_of(side, wheels, site, found))
        if found is None:
            continue
        compared = compare(found, reference_of(side, trusted)) if trusted else []
        rows += compared
        if all(row.passed for row in compared):  # what went wrong on both sides must not look right
            trusted.append(found)
    passed = all(row.passed for row in rows) and all(entry.get("fits_jetpack", True) for entry in entries)
    words = ["python", "tools/aarch64.py", options.package, *([] if options.emulate else ["--no-emulate"])]
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
            asks = ", ".join(f"{name} {version}" for name, version in entry["newest_symbols"].items())
            sys.stdout.write(
                f"{entry['name']}: asks for {asks}; JetPack 6 {'has' if entry['fits_jetpack'] else 'LACKS'} them\n"
            )
    sys.stdout.write("".join(f"not run: {line}\n" for line in not_run) + LIMITS + "\n")
    sys.stdout.write(json.dumps({key: result[key] for key in ("passed", "git_commit", "package")}) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
