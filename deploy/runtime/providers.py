"""Where graphs run: TensorRT, CUDA, CPU in that order, as far as they are there, and which of them did the work.

LiteRT, a runtime of its own for fp32 and int8-dynamic graphs on the processor, counts as one more provider, for those
who ask for it and for `edgehar bench --tune`.

onnxruntime goes on silently where a provider that it was built with cannot start, and gives single operators to another
one. So what was asked for proves nothing: a graph is run once with onnxruntime's profiler on, and the profile says who
computed what.
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

from edgehar.checks import names_of
from edgehar.errors import ConfigError

if TYPE_CHECKING:
    from edgehar.deploy.runtime.onnx_format.graph_view import GraphView

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
LITERT = "LiteRT"
LITERT_PRECISIONS = ("fp32", "int8-dynamic")
"""Of a package's graphs those that LiteRT computes."""
PREFERRED = (TENSORRT, CUDA, CPU)
"""Asked for if nobody says otherwise, as far as the installed onnxruntime has them."""
PROVIDERS_HELP = (
    "onnxruntime's providers, or LiteRT, in order of preference; if none is given, TensorRT, CUDA, CPU as far as there"
)

Work = dict[str, list[str]]
"""Provider -> the operators that it computed, one entry each; TensorRT computes many as one."""


@cache
def litert_version() -> str | None:
    """Version of the package of LiteRT; None if it is not installed."""
    try:
        import ai_edge_litert  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return None
    return str(ai_edge_litert.__version__)


def known_providers() -> tuple[str, ...]:
    """Those of the installed onnxruntime, and LiteRT if it is installed."""
    return (*cast(Any, ort).get_available_providers(), *([LITERT] if litert_version() else []))


def choose_providers(asked: Sequence[str] | None = None) -> tuple[str, ...]:
    """The providers to use: those asked for that are there, or the preferred ones if none are.

    One that is lacking is reported as a RuntimeWarning. Raises ConfigError if none of them is there.
    """
    known, asked = known_providers(), () if asked is None else names_of(asked, "providers")
    if not asked:
        return tuple(name for name in PREFERRED if name in known)
    wanted = tuple(name for name in dict.fromkeys(asked) if name in known)
    has = f"this onnxruntime {cast(Any, ort).__version__} has {', '.join(cast(Any, ort).get_available_providers())}"
    if LITERT in asked and LITERT not in known:
        has = f"{has}, and LiteRT is not installed (pip install 'edgehar[litert]')"
    if not wanted:
        raise ConfigError(f"provider {', '.join(asked)}: {has}; choose of these, or install a build with it")
    lacking = [name for name in dict.fromkeys(asked) if name not in known]
    if lacking:
        warnings.warn(
            f"asked for {', '.join(lacking)}, but {has}; install a build with it (on a Jetson: docs/jetson.md) or "
            "leave it out of the providers",
            RuntimeWarning,
            stacklevel=3,
        )
    return wanted


def _zeros(session: Any) -> dict[str, Any]:
    """The smallest inputs that a graph of float inputs takes."""
    return {
        value.name: np.zeros([size if isinstance(size, int) else 1 for size in value.shape], np.float32)
        for value in session.get_inputs()
    }


def _profiled(profile: Path) -> Work:
    """Who computed what, by a profile of one run; copies between memories are no work."""
    import json

    found: Work = {}
    for event in json.loads(profile.read_bytes()):
        facts = event.get("args", {})
        if "provider" in facts and not facts.get("op_name", "").startswith("Memcpy"):
            found.setdefault(facts["provider"], []).append(facts.get("op_name", "?"))
    return found


def _session(data: bytes, settings: Any, wanted: Sequence[Any]) -> Any:
    """A session that never goes on with another provider by itself."""
    session = cast(Any, ort).InferenceSession(data, settings, providers=wanted, enable_fallback=0)
    session.disable_fallback()
    return session


def _tried(data: bytes, settings: Any, wanted: Sequence[str], options: dict[str, dict[str, str]]) -> tuple[Any, Work]:
    """A session, and who computed what in it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        # Answers go to standard output; onnxruntime 1.18 prints there, too, when a provider fails.
        settings.enable_profiling, settings.profile_file_prefix = True, str(Path(folder) / "run")
        session = _session(data, settings, [(name, options.get(name, {})) for name in wanted])
        session.run(None, _zeros(session))
        return session, _profiled(Path(session.end_profiling()))


def who_ran(where: str, wanted: Sequence[str], work: Work) -> tuple[str, ...]:
    """The providers that compute a graph, in order.

    Another one than the first of those wanted, or operators left to the CPU, is a RuntimeWarning. Raises ConfigError if
    none of those wanted computes anything.
    """
    ran = tuple(dict.fromkeys(name for name in (*wanted, *work) if name in work))
    if not set(ran) & set(wanted):
        raise ConfigError(
            f"asked for {', '.join(wanted)} alone, but {', '.join(ran)} computes everything, as it could not start or "
            f"took no operator; see what onnxruntime wrote above, or ask for {CPU}, too"
        )
    idle = wanted[: wanted.index(ran[0])]
    if idle:
        warnings.warn(
            f"{', '.join(idle)} could not start or took no operator, {' and '.join(ran)} computes instead; see what "
            "onnxruntime wrote above, and docs/jetson.md, Troubleshooting",
            RuntimeWarning,
            stacklevel=4,
        )
    if ran[0] != CPU and CPU in work:
        shown = ", ".join(sorted(set(work[CPU])))
        warnings.warn(
            f"{where}: {ran[0]} leaves {len(work[CPU])} operators to the CPU: {shown}", RuntimeWarning, stacklevel=4
        )
    return ran


def start(
    data: bytes,
    where: str,
    make_settings: Callable[[], Any],
    wanted: Sequence[str],
    options: dict[str, dict[str, str]],
    view: "GraphView | None" = None,
) -> tuple[Any, tuple[str, ...]]:
    """Open a session on the first of the providers that works, and say who computes in it.

    Args:
        data: the graph.
        where: its name in messages.
        make_settings: makes onnxruntime's session options.
        wanted: providers in order of preference; each is given the operators that those before it do not take.
        options: provider -> its options.
        view: what the graph consists of, for LiteRT.

    Returns:
        The session, and the providers that compute in it, in order. Only the CPU is believed without a look.

    Warns and raises as `who_ran`, raises ConfigError if LiteRT alone is wanted and cannot compute the graph, and what
    onnxruntime raises if it cannot read the graph.
    """
    session, work = None, Work()
    for place, name in enumerate((*wanted, CPU)):
        if name == LITERT and view is not None:
            from edgehar.deploy.runtime.litert.session import (
                LiteSession,  # only now: programs that use onnxruntime start faster without
            )

            try:
                session = LiteSession(view, make_settings().intra_op_num_threads)
            except ConfigError as problem:
                if len(wanted) == 1:
                    raise
                warnings.warn(f"{where}: {problem}", RuntimeWarning, stacklevel=3)
                continue
            work = Work({LITERT: list[str]()})
            break
        if name == CPU:
            session, work = _session(data, make_settings(), [CPU]), Work({CPU: list[str]()})
            break
        # onnxruntime's own classes share no narrower base, and it says why on standard error.
        with contextlib.suppress(Exception):
            session, work = _tried(
                data, make_settings(), [other for other in wanted[place:] if other != LITERT], options
            )
        if name in work:
            break
    return session, who_ran(where, [name for name in wanted if name != LITERT or name in work], work)
