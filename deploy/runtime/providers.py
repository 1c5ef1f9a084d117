"""Selects execution providers (TensorRT, CUDA, CPU) and reports which of them compute a graph.

LiteRT, a separate runtime for fp32 and int8-dynamic graphs on the CPU, is treated as one more provider; it is used on
request and by `edgehar bench --tune`.

onnxruntime falls back silently where a provider cannot start, and assigns single operators to another one. Each graph
is therefore run once with onnxruntime's profiler, which records the provider of each operator.
"""

import contextlib
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar.checks import as_name_tuple
from edgehar.errors import ConfigError

if TYPE_CHECKING:
    from edgehar.deploy.runtime.onnx_format.graph_view import GraphView

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
LITERT = "LiteRT"
LITERT_PRECISIONS = ("fp32", "int8-dynamic")
"""Precisions of a package that LiteRT can run."""
DEFAULT_PROVIDERS = (TENSORRT, CUDA, CPU)
"""Providers in order of preference where none is given, if the installed onnxruntime has them."""
PROVIDERS_HELP = (
    "execution providers of onnxruntime, or LiteRT, in order of preference; default: TensorRT, CUDA, CPU if available"
)

OperatorsByProvider = dict[str, list[str]]
"""Provider -> the operators it computed, one entry per node; TensorRT fuses many into one."""


@cache
def litert_version() -> str | None:
    """Version of the ai-edge-litert package; None if it is not installed."""
    try:
        import ai_edge_litert  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return None
    return str(ai_edge_litert.__version__)


def available_providers() -> tuple[str, ...]:
    """The providers of the installed onnxruntime, and LiteRT if it is installed."""
    return (*cast(Any, ort).get_available_providers(), *([LITERT] if litert_version() else []))


def choose_providers(requested: Sequence[str] | None = None) -> tuple[str, ...]:
    """The available ones of the requested providers, or of the default ones if none is requested.

    A missing provider is reported as a RuntimeWarning. Raises ConfigError if none is available.
    """
    available = available_providers()
    requested = () if requested is None else as_name_tuple(requested, "providers")
    if not requested:
        return tuple(name for name in DEFAULT_PROVIDERS if name in available)
    chosen = tuple(name for name in dict.fromkeys(requested) if name in available)
    has = f"this onnxruntime {cast(Any, ort).__version__} has {', '.join(cast(Any, ort).get_available_providers())}"
    if LITERT in requested and LITERT not in available:
        has = f"{has}, and LiteRT is not installed (pip install 'edgehar[litert]')"
    if not chosen:
        raise ConfigError(f"provider {', '.join(requested)}: {has}; choose one of these, or install a build with it")
    missing = [name for name in dict.fromkeys(requested) if name not in available]
    if missing:
        warnings.warn(
            f"provider {', '.join(missing)}: {has}; install a build with it (on a Jetson: docs/jetson.md) or omit it",
            RuntimeWarning,
            stacklevel=3,
        )
    return chosen


def _zero_inputs(session: Any) -> dict[str, Any]:
    """The smallest inputs of a session whose inputs are all floats."""
    return {
        value.name: np.zeros([size if isinstance(size, int) else 1 for size in value.shape], np.float32)
        for value in session.get_inputs()
    }


def _operators_in(profile: Path) -> OperatorsByProvider:
    """The operators in a profile of one run, without copies between memories."""
    import json

    operators: OperatorsByProvider = {}
    for event in json.loads(profile.read_bytes()):
        details = event.get("args", {})
        if "provider" in details and not details.get("op_name", "").startswith("Memcpy"):
            operators.setdefault(details["provider"], []).append(details.get("op_name", "?"))
    return operators


def _session(data: bytes, settings: Any, providers: Sequence[Any]) -> Any:
    """A session that does not replace its providers after an error."""
    session = cast(Any, ort).InferenceSession(data, settings, providers=providers, enable_fallback=0)
    session.disable_fallback()
    return session


def _profiled_session(
    data: bytes, settings: Any, providers: Sequence[str], options: dict[str, dict[str, str]]
) -> tuple[Any, OperatorsByProvider]:
    """A session, and the operators of one run in it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        # Predictions go to standard output, where onnxruntime 1.18 prints the failure of a provider.
        settings.enable_profiling, settings.profile_file_prefix = True, str(Path(folder) / "run")
        session = _session(data, settings, [(name, options.get(name, {})) for name in providers])
        session.run(None, _zero_inputs(session))
        return session, _operators_in(Path(session.end_profiling()))


def computing_providers(where: str, requested: Sequence[str], operators: OperatorsByProvider) -> tuple[str, ...]:
    """The providers that compute a graph, in order of preference.

    Gives a RuntimeWarning if the first requested one does not compute, or leaves operators to the CPU.

    Args:
        where: the graph's name in messages.
        requested: providers in order of preference.
        operators: the operators that each provider computed.

    Raises:
        ConfigError: no requested provider computes anything.
    """
    active = tuple(dict.fromkeys(name for name in (*requested, *operators) if name in operators))
    if not set(active) & set(requested):
        raise ConfigError(
            f"{', '.join(requested)} was requested alone, but could not start or took no operator, and "
            f"{', '.join(active)} computes instead; see onnxruntime's messages above, or add {CPU} to the providers"
        )
    idle = requested[: requested.index(active[0])]
    if idle:
        warnings.warn(
            f"{', '.join(idle)} could not start or took no operator, {' and '.join(active)} computes instead; see "
            "onnxruntime's messages above, and docs/jetson.md, Troubleshooting",
            RuntimeWarning,
            stacklevel=4,
        )
    if active[0] != CPU and CPU in operators:
        on_cpu = operators[CPU]
        warnings.warn(
            f"{where}: {active[0]} leaves {len(on_cpu)} operators to the CPU: {', '.join(sorted(set(on_cpu)))}",
            RuntimeWarning,
            stacklevel=4,
        )
    return active


def start_session(
    data: bytes,
    where: str,
    make_settings: Callable[[], Any],
    requested: Sequence[str],
    options: dict[str, dict[str, str]],
    view: "GraphView",
) -> tuple[Any, tuple[str, ...]]:
    """Open a session with the first of the requested providers that works.

    Warns as `computing_providers`.

    Args:
        data: the graph.
        where: its name in messages.
        make_settings: makes onnxruntime's session options.
        requested: providers in order of preference; each gets the operators that the ones before it do not take.
        options: provider -> its options.
        view: the parsed graph, for LiteRT.

    Returns:
        The session, and the providers that compute in it, by profile unless it is the CPU.

    Raises:
        ConfigError: no requested provider computes anything, or LiteRT alone is requested and cannot run the graph.
        Exception: onnxruntime cannot read the graph; its classes share no narrower base.
    """
    session, operators = None, OperatorsByProvider()
    for index, name in enumerate((*requested, CPU)):
        if name == LITERT:
            # Imported on use: programs without LiteRT start faster.
            from edgehar.deploy.runtime.litert.session import LiteRTSession

            try:
                session = LiteRTSession(view, make_settings().intra_op_num_threads)
            except ConfigError as problem:
                if len(requested) == 1:
                    raise
                warnings.warn(f"{where}: {problem}", RuntimeWarning, stacklevel=3)
                continue
            operators = OperatorsByProvider({LITERT: list[str]()})
            break
        if name == CPU:
            session, operators = _session(data, make_settings(), [CPU]), OperatorsByProvider({CPU: list[str]()})
            break
        # onnxruntime's exceptions share no narrower base; it prints the reason on standard error.
        with contextlib.suppress(Exception):
            others = [other for other in requested[index:] if other != LITERT]
            session, operators = _profiled_session(data, make_settings(), others, options)
        if name in operators:
            break
    requested = [name for name in requested if name != LITERT or name in operators]
    return session, computing_providers(where, requested, operators)
