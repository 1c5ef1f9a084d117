"""One ONNX graph of a package, opened, checked against the manifest, and honest about where it runs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from edgehar.checks import check_threads
from edgehar.deploy.runtime.onnx_format.checker import Shape, check_graph
from edgehar.deploy.runtime.providers import LITERT, TENSORRT, choose_providers, start
from edgehar.errors import ConfigError, PackageError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats

LOG_ERRORS_ONLY = 3


@dataclass(frozen=True)
class Interface:
    """Names and shapes of a graph; None is a dimension of any size."""

    inputs: dict[str, Shape]
    output: str
    output_shape: Shape

    def __str__(self) -> str:
        """Shapes as a person writes them, with "?" for any size."""

        def shown(name: str, shape: Shape) -> str:
            return f"{name} ({', '.join('?' if size is None else str(size) for size in shape)})"

        return f"{', '.join(shown(*item) for item in self.inputs.items())} -> {shown(self.output, self.output_shape)}"

    def fits(self, expected: "Interface") -> bool:
        """True if the inputs and the output are those expected; a graph may leave the sizes of its output open."""
        sizes = zip(self.output_shape, expected.output_shape, strict=False)
        return (
            self.inputs == expected.inputs
            and self.output == expected.output
            and len(self.output_shape) == len(expected.output_shape)
            and all(found in (None, size) for found, size in sizes)
        )


def expected_interface(manifest: Manifest, part: str) -> Interface:
    """What the manifest says the "encoder" or the "head" must look like."""
    if part == "encoder":
        inputs: dict[str, Shape] = {
            spec.name: (None, spec.patch * spec.groups * spec.features) for spec in manifest.modalities
        }
        return Interface(inputs | {"valid": (None, len(manifest.modalities))}, "token", (None, manifest.token_dim))
    tokens = (None, manifest.window.steps, manifest.token_dim)
    return Interface({"tokens": tokens}, "logits", (None, len(manifest.labels)))


class Graph:
    """An onnxruntime session with named float inputs and one float output.

    Args:
        path: the ONNX file; with `data` only its name in messages.
        threads: onnxruntime's own threads.
        providers: onnxruntime's execution providers in order of preference; if None or empty,
            `edgehar.deploy.runtime.providers` chooses.
        data: the file's bytes; read from `path` if None.

    Attributes:
        providers: those that compute, in order; see `edgehar.deploy.runtime.providers.start`.

    Raises ConfigError if no provider of that name exists or works, PackageError if the graph breaks a rule of
    `edgehar.deploy.runtime.onnx_format.checker` or onnxruntime cannot read it.
    """

    def __init__(
        self, path: Path, threads: int = 1, providers: Sequence[str] | None = None, data: bytes | None = None
    ) -> None:
        """Open the session on the very bytes that were looked through."""
        check_threads(threads, "threads")
        wanted = choose_providers(providers)
        content = path.read_bytes() if data is None else data
        view, special = None, dict[str, dict[str, str]]()
        if {TENSORRT, LITERT} & set(wanted):
            from edgehar.deploy.runtime.onnx_format.graph_view import (
                read_graph,  # only now: programs without it start faster
            )

            view = read_graph(content, str(path))
        else:
            check_graph(content, str(path))
        if TENSORRT in wanted and view is not None:
            from edgehar.deploy.runtime.tensorrt import tensorrt_options

            special[TENSORRT] = tensorrt_options(view, content)

        def settings() -> Any:
            made = cast(Any, ort).SessionOptions()
            made.intra_op_num_threads = int(threads)
            made.inter_op_num_threads = 1
            made.log_severity_level = LOG_ERRORS_ONLY
            # Without it INT8 sums overflow on x86 processors without the VNNI instructions; elsewhere it does nothing.
            made.add_session_config_entry("session.x64quantprecision", "1")
            # With memory patterns, onnxruntime 1.18 gets half-precision layer norms wrong from the second run on.
            made.enable_mem_pattern = not str(cast(Any, ort).__version__).startswith("1.18.")
            return made

        try:
            self._session, self.providers = start(content, path.name, settings, wanted, special, view)
        except ConfigError:
            raise
        except Exception as problem:  # onnxruntime's own classes share no narrower base
            raise PackageError(f"{path}: onnxruntime cannot read it ({problem}); copy or export it again") from None
        self.path = path
        self._most_rows = sys.maxsize
        if TENSORRT in self.providers:
            from edgehar.deploy.runtime.tensorrt import most_rows

            self._most_rows = most_rows(self.interface.inputs)

    @cached_property
    def interface(self) -> Interface:
        """Names and shapes as onnxruntime sees them."""

        def shape(value: Any) -> Shape:
            return tuple(size if isinstance(size, int) else None for size in value.shape)

        inputs = {value.name: shape(value) for value in self._session.get_inputs() if value.type == "tensor(float)"}
        first = self._session.get_outputs()[0]
        return Interface(inputs, first.name, shape(first))

    def run(self, inputs: dict[str, Floats]) -> Floats:
        """Compute the one output, in parts if the batch is larger than an engine takes.

        Raises PackageError if onnxruntime cannot.
        """
        rows = len(next(iter(inputs.values())))
        if rows > self._most_rows:
            starts = range(0, rows, self._most_rows)
            parts = [{name: array[at : at + self._most_rows] for name, array in inputs.items()} for at in starts]
            return np.concatenate([self.run(part) for part in parts])
        try:
            output: NDArray[np.float32] = self._session.run([self.interface.output], inputs)[0]
        except Exception as problem:  # onnxruntime's own classes share no narrower base
            raise PackageError(
                f"{self.path}: onnxruntime cannot compute it on {', '.join(self.providers)} ({problem}); "
                "choose another provider, or export it again"
            ) from None
        return output


def open_graph(
    path: Path,
    part: str,
    manifest: Manifest,
    threads: int = 1,
    providers: Sequence[str] | None = None,
    data: bytes | None = None,
) -> Graph:
    """Open a package's graph; raises PackageError if its inputs or its output are not the manifest's."""
    graph = Graph(path, threads, providers, data)
    found, expected = graph.interface, expected_interface(manifest, part)
    if not found.fits(expected):
        raise PackageError(f"{path}: found {found}; the manifest expects {expected}; export the model again")
    return graph
