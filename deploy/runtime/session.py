"""An inference session for one ONNX graph of a package, checked against the manifest."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from edgehar.checks import check_threads
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.onnx_format.graph_view import Shape
from edgehar.deploy.runtime.providers import CPU, TENSORRT, choose_providers, start_session
from edgehar.errors import ConfigError, PackageError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats

LOG_ERRORS_ONLY = 3

BoundGraph = Callable[[], Floats]
"""Computes a graph's output of the arrays that it was bound to."""


@dataclass(frozen=True)
class Interface:
    """Names and shapes of a graph's inputs and output."""

    inputs: dict[str, Shape]
    output: str
    output_shape: Shape

    def __str__(self) -> str:
        """Inputs -> output, with "?" for a dimension of any size."""

        def shown(name: str, shape: Shape) -> str:
            return f"{name} ({', '.join('?' if size is None else str(size) for size in shape)})"

        return f"{', '.join(shown(*item) for item in self.inputs.items())} -> {shown(self.output, self.output_shape)}"

    def matches(self, expected: "Interface") -> bool:
        """Whether inputs and output are the expected ones; the output's dimensions may be of any size."""
        sizes = zip(self.output_shape, expected.output_shape, strict=False)
        return (
            self.inputs == expected.inputs
            and self.output == expected.output
            and len(self.output_shape) == len(expected.output_shape)
            and all(found in (None, size) for found, size in sizes)
        )


def expected_interface(manifest: Manifest, part: str) -> Interface:
    """The interface of the "encoder" or the "head" that the manifest describes."""
    if part == "encoder":
        inputs: dict[str, Shape] = {
            spec.name: (None, spec.patch * spec.groups * spec.features) for spec in manifest.modalities
        }
        return Interface(inputs | {"valid": (None, len(manifest.modalities))}, "token", (None, manifest.token_dim))
    tokens = (None, manifest.window.steps, manifest.token_dim)
    return Interface({"tokens": tokens}, "logits", (None, len(manifest.labels)))


class GraphSession:
    """An onnxruntime session with named float inputs and one float output.

    Args:
        path: the ONNX file; only its name in messages where `data` is given.
        threads: onnxruntime's intra-op threads.
        providers: execution providers in order of preference; see `edgehar.deploy.runtime.providers.choose_providers`.
        data: the file's bytes; read from `path` if None.

    Attributes:
        providers: those that compute; see `edgehar.deploy.runtime.providers.start_session`.

    Raises:
        ConfigError: no provider of that name exists or works.
        PackageError: `edgehar.deploy.runtime.onnx_format.checker` rejects the graph, or onnxruntime cannot read it.
    """

    def __init__(
        self, path: Path, threads: int = 1, providers: Sequence[str] | None = None, data: bytes | None = None
    ) -> None:
        """Open the session on the bytes that were checked."""
        check_threads(threads, "threads")
        requested = choose_providers(providers)
        content = path.read_bytes() if data is None else data
        view, options = read_graph(content, str(path)), dict[str, dict[str, str]]()
        if TENSORRT in requested:
            from edgehar.deploy.runtime.tensorrt import tensorrt_options

            options[TENSORRT] = tensorrt_options(view, content)

        def settings() -> Any:
            session_options = cast(Any, ort).SessionOptions()
            session_options.intra_op_num_threads = int(threads)
            session_options.inter_op_num_threads = 1
            session_options.log_severity_level = LOG_ERRORS_ONLY
            # INT8 sums would overflow on x86 processors without VNNI instructions; no effect elsewhere.
            session_options.add_session_config_entry("session.x64quantprecision", "1")
            # With memory patterns, onnxruntime 1.18 computes half-precision layer norms wrong from the second run on.
            session_options.enable_mem_pattern = not str(cast(Any, ort).__version__).startswith("1.18.")
            return session_options

        try:
            self._session, self.providers = start_session(content, path.name, settings, requested, options, view)
        except ConfigError:
            raise
        except Exception as problem:  # onnxruntime's exceptions share no narrower base
            raise PackageError(f"{path}: onnxruntime cannot read it ({problem}); copy or export it again") from None
        self.path = path
        self._max_batch = sys.maxsize
        if TENSORRT in self.providers:
            from edgehar.deploy.runtime.tensorrt import max_batch

            self._max_batch = max_batch(self.interface.inputs)

    @cached_property
    def interface(self) -> Interface:
        """Names and shapes as onnxruntime sees them."""

        def shape(value: Any) -> Shape:
            return tuple(size if isinstance(size, int) else None for size in value.shape)

        inputs = {value.name: shape(value) for value in self._session.get_inputs() if value.type == "tensor(float)"}
        first = self._session.get_outputs()[0]
        return Interface(inputs, first.name, shape(first))

    def run(self, inputs: dict[str, Floats]) -> Floats:
        """Compute the output; a batch larger than an engine takes is split.

        Raises PackageError if onnxruntime cannot compute it.
        """
        rows = len(next(iter(inputs.values())))
        if rows > self._max_batch:
            starts = range(0, rows, self._max_batch)
            parts = [{name: array[i : i + self._max_batch] for name, array in inputs.items()} for i in starts]
            return np.concatenate([self.run(part) for part in parts])
        try:
            output: NDArray[np.float32] = self._session.run([self.interface.output], inputs)[0]
        except Exception as problem:  # onnxruntime's exceptions share no narrower base
            raise self._failure(problem) from None
        return output

    def bind(self, inputs: dict[str, Floats]) -> BoundGraph:
        """A function that computes the graph of these arrays, which may be filled anew before each call.

        On the CPU, a call copies and allocates nothing: its result may be overwritten by the next one. Not for several
        threads at once. Raises PackageError as `run`.
        """
        if self.providers != (CPU,):
            return lambda: self.run(inputs)
        output, binding = np.zeros_like(self.run(inputs)), self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output(self.interface.output, "cpu", 0, np.float32, output.shape, output.ctypes.data)

        def run() -> Floats:
            try:
                self._session.run_with_iobinding(binding)
            except Exception as problem:  # onnxruntime's exceptions share no narrower base
                raise self._failure(problem) from None
            return output

        return run

    def _failure(self, problem: Exception) -> PackageError:
        return PackageError(
            f"{self.path}: onnxruntime cannot compute it on {', '.join(self.providers)} ({problem}); "
            "choose another provider, or export it again"
        )


def open_session(
    path: Path,
    part: str,
    manifest: Manifest,
    threads: int = 1,
    providers: Sequence[str] | None = None,
    data: bytes | None = None,
) -> GraphSession:
    """Open a package's graph; raises PackageError if its interface is not the one the manifest describes."""
    session = GraphSession(path, threads, providers, data)
    found, expected = session.interface, expected_interface(manifest, part)
    if not found.matches(expected):
        raise PackageError(f"{path}: found {found}; the manifest expects {expected}; export the model again")
    return session
