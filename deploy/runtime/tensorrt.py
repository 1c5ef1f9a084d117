"""Options of onnxruntime's TensorRT provider: batch range and engine cache of a graph.

The option names are from the provider's documentation ("Configurations") and occur in onnxruntime-gpu 1.23.2.
onnxruntime names an engine after the graph's inputs and nodes, not its weights; a cache folder per graph and machine
prevents that an engine is used with other weights, another GPU or another version.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar.deploy.runtime.device import ROOT, read_system_file
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Shape
from edgehar.deploy.runtime.tensorrt_rules import QUANTISE

MAX_STEPS = 4096
"""Largest number of steps an engine is built for; `runtime.session` splits larger batches."""
WHEELS = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")


def max_batch(inputs: Mapping[str, Shape]) -> int:
    """The largest batch of a graph; a row of the head is a window of steps."""
    return max(1, MAX_STEPS // max(shape[1] or 1 if len(shape) == 3 else 1 for shape in inputs.values()))


def profile_options(inputs: Mapping[str, Shape]) -> dict[str, str]:
    """Optimisation profile of an engine: batches of 1 (the fastest) to `max_batch`; empty if other dimensions vary."""
    if any(size is None for shape in inputs.values() for size in shape[1:]):
        return {}

    def shapes(rows: int) -> str:
        sizes = {name: "x".join(str(size or rows) for size in shape) for name, shape in inputs.items()}
        return ",".join(f"{name}:{size}" for name, size in sizes.items())

    batches = {"min": 1, "opt": 1, "max": max_batch(inputs)}
    return {f"trt_profile_{bound}_shapes": shapes(rows) for bound, rows in batches.items()}


def engine_environment(root: Path = ROOT) -> list[str]:
    """Facts that an engine depends on, apart from its graph: board, driver, GPU, TensorRT and onnxruntime."""
    from importlib import metadata

    facts = [f"onnxruntime {cast(Any, ort).__version__}"]
    for path in ("proc/device-tree/model", "etc/nv_tegra_release", "proc/driver/nvidia/version"):
        facts.append(read_system_file(root / path) or "")
    for path in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        facts += [line for line in (read_system_file(path) or "").splitlines() if line.startswith("Model")]
    facts += sorted(path.name for path in root.glob("usr/lib/*/libnvinfer.so.*"))
    for wheel in WHEELS:
        try:
            facts.append(f"{wheel} {metadata.version(wheel)}")
        except metadata.PackageNotFoundError:
            continue
    return facts


def cache_folder(data: bytes, environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> Path | None:
    """The folder for the engines of one graph on this machine, created if it is missing.

    It lies in $XDG_CACHE_HOME or ~/.cache, not in the package, whose files are checksummed. Engines are code, so a
    folder that other users may write to is not used. Returns None, with a RuntimeWarning, if there is no usable folder.
    """
    machine = hashlib.sha256("\n".join(engine_environment(root)).encode()).hexdigest()[:12]
    try:
        home = environment.get("XDG_CACHE_HOME", "")
        base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
        folder = base / "edgehar" / "tensorrt" / f"{hashlib.sha256(data).hexdigest()}-{machine}"
        for path in (folder.parent.parent, folder.parent, folder):
            path.mkdir(mode=0o700, parents=path == folder.parent.parent, exist_ok=True)
            status = path.stat()
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise PermissionError(0, "another user may write to it", str(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "it is not writable", str(folder))
        return folder
    except (OSError, RuntimeError) as problem:
        reason = f"{problem.filename}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
        warnings.warn(
            f"no cache for TensorRT's engines ({reason}); they are rebuilt at every start; set XDG_CACHE_HOME to a "
            "folder that only this user may write to",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def tensorrt_options(graph: GraphView, data: bytes) -> dict[str, str]:
    """The provider's options for one graph: precision, batch range, cache."""
    options = profile_options(graph.inputs)
    if QUANTISE in graph.op_types:
        options["trt_int8_enable"] = "1"
    if any(array.dtype == "float16" for array in graph.constants.values()):
        options["trt_fp16_enable"] = "1"
    folder = cache_folder(data)
    if folder is not None:
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
    return options
