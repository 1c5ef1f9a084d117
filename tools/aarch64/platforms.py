"""A platform of the comparison: a Python, the wheels installed for it, and its outputs."""

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.files.atomic import atomic_folder, digest_of, read_json, sha256, write_json
from tools.aarch64.emulator import Report, run_tool
from tools.aarch64.probe import OUTPUTS

REPOSITORY = Path(__file__).resolve().parents[2]
JETPACK_GLIBC, JETPACK_GLIBCXX = (2, 35), (3, 4, 30)
"""Newest symbols of the C and C++ libraries of JetPack 6, which is Ubuntu 22.04."""
OLDEST_GLIBC_MINOR = 17
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Platform:
    """A machine with a version of Python and of the runtime.

    Attributes:
        machine: "x86_64" or "aarch64".
        python: version such as "3.10".
        requirements: of numpy and onnxruntime.
        command: the words that start its Python; None if it cannot run here and only the wheels are inspected.
    """

    machine: str
    python: str
    requirements: tuple[str, ...]
    command: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """Short name in tables and of folders."""
        runtime = next(word for word in self.requirements if word.startswith("onnxruntime"))
        return f"{self.machine} py{self.python} ort{runtime.partition('==')[2].removesuffix('.*')}"

    @property
    def folder(self) -> str:
        """The name without spaces."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class PlatformOutput:
    """The outputs of a platform."""

    platform: Platform
    versions: dict[str, Any]
    verified: list[dict[str, Any]]
    arrays: dict[str, NDArray[np.float32]]
    evaluations: dict[str, dict[str, Any]]


def build_wheel(work: Path, report: Report) -> Path:
    """The wheel of this checkout, rebuilt if its sources changed."""
    sources = [path for name in ("edgehar", "deploy") for path in sorted((REPOSITORY / name).rglob("*.py"))]
    state = digest_of([(path.name, sha256(path)) for path in [*sources, REPOSITORY / "pyproject.toml"]])
    folder = work / "wheel"
    if not (folder / "state.json").is_file() or read_json(folder / "state.json") != state:
        report("building edgehar's wheel")
        with atomic_folder(folder) as new:
            run_tool((*PIP, "wheel", "--no-deps", "--wheel-dir", new, REPOSITORY), "pip wheel")
            write_json(new / "state.json", state)
    return next(folder.glob("*.whl"))


def platform_options(platform: Platform) -> list[str]:
    """Options of pip that select wheels for a platform, with JetPack's C library or an older one."""
    tags = [f"manylinux_2_{minor}_{platform.machine}" for minor in range(JETPACK_GLIBC[1], OLDEST_GLIBC_MINOR - 1, -1)]
    tags.append(f"manylinux2014_{platform.machine}")
    words = [word for tag in tags for word in ("--platform", tag)]
    abi = f"cp{platform.python.replace('.', '')}"
    return ["--only-binary=:all:", *words, "--python-version", platform.python, "--implementation", "cp", "--abi", abi]


def install(platform: Platform, wheel: Path, work: Path, report: Report) -> tuple[Path, list[str]]:
    """Install edgehar[runtime] for a platform into a folder; later runs reuse the downloads.

    Returns:
        The folder, for PYTHONPATH, and the names of the installed wheels.
    """
    wheels, site = work / "wheels" / platform.folder, work / "sites" / platform.folder
    requirements = (f"{wheel}[runtime]", *platform.requirements)
    request = digest_of([platform.requirements, sha256(REPOSITORY / "pyproject.toml")])
    if not (wheels / "asked.json").is_file() or read_json(wheels / "asked.json") != request:
        report(f"downloading the wheels of {platform.name}")
        with atomic_folder(wheels) as new:
            run_tool(
                (*PIP, "download", *platform_options(platform), "--dest", new, *requirements),
                f"pip download, {platform.name},",
            )
            write_json(new / "asked.json", request)
    used = sorted(path.name for path in wheels.glob("*.whl"))
    state = digest_of([request, used, sha256(wheel)])
    if not (site / "state.json").is_file() or read_json(site / "state.json") != state:
        report(f"installing {platform.name}")
        with atomic_folder(site) as new:
            offline = ("--no-index", "--find-links", wheels, "--no-compile", "--target", new)
            run_tool(
                (*PIP, "install", *platform_options(platform), *offline, *requirements),
                f"pip install, {platform.name},",
            )
            write_json(new / "state.json", state)
    return site, used


def newest_symbols(site: Path) -> dict[str, str]:
    """Newest symbol versions of the C and C++ libraries that the wheels need."""
    newest: dict[str, tuple[int, ...]] = {"GLIBC": (0,), "GLIBCXX": (0,)}
    for path in site.rglob("*.so*"):
        for name, version in re.findall(rb"\0(GLIBC|GLIBCXX)_([0-9.]+)(?=\0)", path.read_bytes()):
            key = name.decode()
            newest[key] = max(newest[key], tuple(map(int, version.decode().split("."))))
    return {name: ".".join(map(str, version)) for name, version in newest.items()}


def fits_jetpack(symbols: dict[str, str]) -> bool:
    """Whether the libraries of JetPack 6 have these symbols."""
    found = {name: tuple(map(int, version.split("."))) for name, version in symbols.items()}
    return found["GLIBC"] <= JETPACK_GLIBC and found["GLIBCXX"] <= JETPACK_GLIBCXX


def run(
    platform: Platform, site: Path, package: Path, sample: Path | None, inputs: Path, work: Path, report: Report
) -> PlatformOutput:
    """Run verify, evaluate and the probe on a platform; raises DataError if one of them fails.

    Args:
        platform: one that runs here.
        site: folder of its wheels.
        package: an edge package with all precisions.
        sample: recordings to evaluate; None: no evaluation.
        inputs: of the probe.
        work: folder for files that later runs reuse.
        report: receives a line for each step.
    """
    assert platform.command is not None
    home = Path(platform.command[-1]).parent.parent
    # Isolated from this machine's environment; an emulated Python needs PYTHONHOME to find its standard library.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(work), "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONHOME": str(home)} if platform.machine == "aarch64" else {}
    folder = work / "answers" / platform.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def output(step: str, *words: str | Path) -> str:
        report(f"{platform.name}: {step}")
        return run_tool((*command, *words), f"{platform.name}: {step}", environment)

    command = (*platform.command, "-S")  # without this Python's own site-packages
    verified = json.loads(output("verify", "-m", "edgehar.cli", "verify", package, "--json").splitlines()[-1])
    probe = Path(__file__).with_name("probe.py")
    on = ("--sample", sample) if sample else ()
    facts = json.loads(output("every precision", probe, package, inputs, folder, *on).splitlines()[-1])
    precisions: list[str] = list(read_json(package / "manifest.json")["graphs"]) if sample else []
    evaluations = {name: read_json(folder / f"evaluate-{name}.json") for name in precisions}
    names = ("system", "cpu", "python", "numpy", "onnxruntime", "edgehar")
    with np.load(folder / OUTPUTS, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return PlatformOutput(platform, {key: facts[key] for key in names}, verified["checks"], arrays, evaluations)
