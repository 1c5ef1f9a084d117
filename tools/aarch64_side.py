"""One side of the comparison: a Python, the real wheels for it installed in a folder, and what they answer."""

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
from tools.aarch64_probe import ANSWERS
from tools.aarch64_root import Say, run_tool

REPOSITORY = Path(__file__).resolve().parent.parent
JETPACK_GLIBC, JETPACK_GLIBCXX = (2, 35), (3, 4, 30)
"""Newest symbols of the C and C++ libraries of JetPack 6, which is Ubuntu 22.04."""
OLDEST_GLIBC_MINOR = 17
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Side:
    """What is compared.

    Attributes:
        machine: "x86_64" or "aarch64".
        python: version such as "3.10".
        requirements: of numpy and onnxruntime.
        start: the words that start its Python; None if there is none to run, and only the wheels are looked at.
    """

    machine: str
    python: str
    requirements: tuple[str, ...]
    start: tuple[str, ...] | None

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
class StoredLogits:
    """What a side gave."""

    side: Side
    versions: dict[str, Any]
    verified: list[dict[str, Any]]
    arrays: dict[str, NDArray[np.float32]]
    evaluations: dict[str, dict[str, Any]]


def build_wheel(work: Path, say: Say) -> Path:
    """The wheel of this checkout, built anew if its sources changed."""
    sources = [path for name in ("edgehar", "deploy") for path in sorted((REPOSITORY / name).rglob("*.py"))]
    state = digest_of([(path.name, sha256(path)) for path in [*sources, REPOSITORY / "pyproject.toml"]])
    folder = work / "wheel"
    if not (folder / "state.json").is_file() or read_json(folder / "state.json") != state:
        say("building edgehar's wheel")
        with atomic_folder(folder) as new:
            run_tool((*PIP, "wheel", "--no-deps", "--wheel-dir", new, REPOSITORY), "pip wheel")
            write_json(new / "state.json", state)
    return next(folder.glob("*.whl"))


def platform_options(side: Side) -> list[str]:
    """Options of pip for a machine that need not be this one: only wheels that JetPack's C library can load."""
    tags = [f"manylinux_2_{minor}_{side.machine}" for minor in range(JETPACK_GLIBC[1], OLDEST_GLIBC_MINOR - 1, -1)]
    tags.append(f"manylinux2014_{side.machine}")
    words = [word for tag in tags for word in ("--platform", tag)]
    abi = f"cp{side.python.replace('.', '')}"
    return ["--only-binary=:all:", *words, "--python-version", side.python, "--implementation", "cp", "--abi", abi]


def install(side: Side, wheel: Path, work: Path, say: Say) -> tuple[Path, list[str]]:
    """Install edgehar[runtime] for a side into a folder of its own; downloads are kept and used again.

    Returns:
        The folder, to be put on the module path, and the names of the wheels it was installed from.
    """
    wheels, site = work / "wheels" / side.folder, work / "sites" / side.folder
    wanted = (f"{wheel}[runtime]", *side.requirements)
    asked = digest_of([side.requirements, sha256(REPOSITORY / "pyproject.toml")])
    if not (wheels / "asked.json").is_file() or read_json(wheels / "asked.json") != asked:
        say(f"downloading the wheels of {side.name}")
        with atomic_folder(wheels) as new:
            run_tool((*PIP, "download", *platform_options(side), "--dest", new, *wanted), f"pip download, {side.name},")
            write_json(new / "asked.json", asked)
    used = sorted(path.name for path in wheels.glob("*.whl"))
    state = digest_of([asked, used, sha256(wheel)])
    if not (site / "state.json").is_file() or read_json(site / "state.json") != state:
        say(f"installing {side.name}")
        with atomic_folder(site) as new:
            offline = ("--no-index", "--find-links", wheels, "--no-compile", "--target", new)
            run_tool((*PIP, "install", *platform_options(side), *offline, *wanted), f"pip install, {side.name},")
            write_json(new / "state.json", state)
    return site, used


def newest_symbols(site: Path) -> dict[str, str]:
    """Newest version of the C and C++ libraries that any library of the wheels asks for."""
    newest: dict[str, tuple[int, ...]] = {"GLIBC": (0,), "GLIBCXX": (0,)}
    for path in site.rglob("*.so*"):
        for name, version in re.findall(rb"\0(GLIBC|GLIBCXX)_([0-9.]+)(?=\0)", path.read_bytes()):
            key = name.decode()
            newest[key] = max(newest[key], tuple(map(int, version.decode().split("."))))
    return {name: ".".join(map(str, version)) for name, version in newest.items()}


def fits_jetpack(symbols: dict[str, str]) -> bool:
    """Whether JetPack 6's libraries have these symbols."""
    found = {name: tuple(map(int, version.split("."))) for name, version in symbols.items()}
    return found["GLIBC"] <= JETPACK_GLIBC and found["GLIBCXX"] <= JETPACK_GLIBCXX


def ask(side: Side, site: Path, package: Path, sample: Path | None, inputs: Path, work: Path, say: Say) -> StoredLogits:
    """Run verify, evaluate and the probe on a side; raises DataError if one of them fails.

    Args:
        side: with a Python to run.
        site: where its wheels are installed.
        package: with all precisions.
        sample: recordings to evaluate on; None: no evaluation.
        inputs: of the probe.
        work: folder for what is kept between runs.
        say: told of each step.
    """
    assert side.start is not None
    home = Path(side.start[-1]).parent.parent
    # Nothing of this machine but PATH and HOME; an emulated Python finds its own library below its root.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(work), "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONHOME": str(home)} if side.machine == "aarch64" else {}
    folder = work / "answers" / side.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def run(what: str, *words: str | Path) -> str:
        say(f"{side.name}: {what}")
        return run_tool((*start, *words), f"{side.name}: {what}", environment)

    start = (*side.start, "-S")  # without the packages that this Python has besides
    verified = json.loads(run("verify", "-m", "edgehar.cli", "verify", package, "--json").splitlines()[-1])
    probe = Path(__file__).with_name("aarch64_probe.py")
    on = ("--sample", sample) if sample else ()
    facts = json.loads(run("every precision", probe, package, inputs, folder, *on).splitlines()[-1])
    precisions: list[str] = list(read_json(package / "manifest.json")["graphs"]) if sample else []
    evaluations = {name: read_json(folder / f"evaluate-{name}.json") for name in precisions}
    kept = ("system", "cpu", "python", "numpy", "onnxruntime", "edgehar")
    with np.load(folder / ANSWERS, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return StoredLogits(side, {key: facts[key] for key in kept}, verified["checks"], arrays, evaluations)
