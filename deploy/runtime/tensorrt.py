"""How TensorRT is asked to run a graph: engines for any batch up to a limit, kept in a cache of this user's.

The option names are those of onnxruntime's TensorRT provider (its documentation, "Configurations"; all of them occur in
onnxruntime-gpu 1.23.2). onnxruntime names an engine after the graph's inputs and nodes, not after its weights, so every
graph has a folder of its own: an engine can never serve a graph with other weights, nor another GPU or version.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar.deploy.runtime.device import ROOT, text_of
from edgehar.deploy.runtime.onnx_format.checker import Shape
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView
from edgehar.deploy.runtime.tensorrt_rules import QUANTISE

MOST_STEPS = 4096
"""Steps of one run: an engine is built for one step up to this many. `runtime.session` splits what is larger."""
WHEELS = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")


def most_rows(inputs: Mapping[str, Shape]) -> int:
    """The largest batch of a graph; one of the head's rows is a window of steps."""
    return max(1, MOST_STEPS // max(shape[1] or 1 if len(shape) == 3 else 1 for shape in inputs.values()))


def profile_options(inputs: Mapping[str, Shape]) -> dict[str, str]:
    """The batches that an engine is built for: 1, which it is the fastest for, to `most_rows`; none if others vary."""
    if any(size is None for shape in inputs.values() for size in shape[1:]):
        return {}

    def shapes(rows: int) -> str:
        sizes = {name: "x".join(str(size or rows) for size in shape) for name, shape in inputs.items()}
        return ",".join(f"{name}:{size}" for name, size in sizes.items())

    options = {"min": 1, "opt": 1, "max": most_rows(inputs)}
    return {f"trt_profile_{which}_shapes": shapes(rows) for which, rows in options.items()}


def machine_facts(root: Path = ROOT) -> list[str]:
    """What an engine depends on beside its graph: board, driver, GPU, versions of TensorRT and onnxruntime."""
    from importlib import metadata

    found = [f"onnxruntime {cast(Any, ort).__version__}"]
    for place in ("proc/device-tree/model", "etc/nv_tegra_release", "proc/driver/nvidia/version"):
        found.append(text_of(root / place) or "")
    for place in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        found += [line for line in (text_of(place) or "").splitlines() if line.startswith("Model")]
    found += sorted(place.name for place in root.glob("usr/lib/*/libnvinfer.so.*"))
    for wheel in WHEELS:
        try:
            found.append(f"{wheel} {metadata.version(wheel)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def cache_folder(data: bytes, environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> Path | None:
    """The folder for the engines of one graph on this machine, made if need be.

    In $XDG_CACHE_HOME or ~/.cache, never in the package, whose files are checksummed. Engines are code: a folder that
    others could write into is not used. None with a RuntimeWarning if there is no folder to be had.
    """
    machine = hashlib.sha256("\n".join(machine_facts(root)).encode()).hexdigest()[:12]
    try:
        home = environment.get("XDG_CACHE_HOME", "")
        base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
        folder = base / "edgehar" / "tensorrt" / f"{hashlib.sha256(data).hexdigest()}-{machine}"
        for path in (folder.parent.parent, folder.parent, folder):
            path.mkdir(mode=0o700, parents=path == folder.parent.parent, exist_ok=True)
            facts = path.stat()
            if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
                raise PermissionError(0, "another user may write to it", str(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "it cannot be written to", str(folder))
        return folder
    except (OSError, RuntimeError) as problem:
        reason = f"{problem.filename}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
        warnings.warn(
            f"no cache for TensorRT's engines ({reason}), so they are built anew at every start; set XDG_CACHE_HOME to "
            "a folder that this user alone may write to",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def tensorrt_options(graph: GraphView, data: bytes) -> dict[str, str]:
    """Options of the provider for one graph: precision as the graph has it, batches, cache."""
    options = profile_options(graph.inputs)
    if QUANTISE in graph.kinds:
        options["trt_int8_enable"] = "1"
    if any(array.dtype == "float16" for array in graph.constants.values()):
        options["trt_fp16_enable"] = "1"
    folder = cache_folder(data)
    if folder is not None:
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
    return options
