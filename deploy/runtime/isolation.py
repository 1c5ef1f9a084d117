"""Tries a package in a child process, which may die: its death becomes a PackageError that names the signal.

The rules of `onnx_format` restrict what onnxruntime gets; this is the barrier behind them, for errors of onnxruntime
itself. The child is a new interpreter, as a fork of a process with threads may hang.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgehar.errors import EdgeharError, PackageError
from edgehar.package.folder import EdgePackage

TIMEOUT_S = 120.0
"""A slow board loads a package in seconds."""
MAX_DATA_BYTES = 2 << 30
"""Limit of the child's private memory; a package has 256 MiB at most."""
TRIAL = "edgehar.deploy.trial:predict_once"
"""The function that the child calls, as module and name: it belongs to a layer above."""
CURE = "do not use this package; copy or export it again"
PROGRAM = "from edgehar.deploy.runtime.isolation import serve; serve()"


def _limit_resources() -> None:
    """Limit memory, and write no core file."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = MAX_DATA_BYTES if most == resource.RLIM_INFINITY else min(most, MAX_DATA_BYTES)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve() -> None:
    """Call the requested function with the arguments on standard input; write its error, or null, as JSON."""
    request = json.loads(sys.stdin.read())
    answer = os.dup(1)
    os.dup2(2, 1)  # onnxruntime prints messages on standard output
    _limit_resources()
    module, _, name = request["function"].partition(":")
    problem: str | None = None
    try:
        getattr(importlib.import_module(module), name)(**request["arguments"])
    except EdgeharError as error:
        problem = str(error)
    except Exception as error:  # whatever the package caused; the caller reports it in one line
        problem = (
            f"{request['where']}: {type(error).__name__} {error} in a separate process; expected a prediction; {CURE}"
        )
    os.write(answer, json.dumps(problem).encode())


def _death(code: int) -> str:
    """How a child ended, by its return code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, perhaps for lack of memory" if name == "SIGKILL" else name


def call_in_child(function: str, where: str, timeout_s: float = TIMEOUT_S, **arguments: Any) -> None:
    """Call a function in a new interpreter.

    Args:
        function: "module:name".
        where: the package in messages.
        timeout_s: seconds after which the child is killed.
        **arguments: of the function; JSON.

    Raises:
        PackageError: the function raised an error, or the child died, needed too much memory or too much time.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    request = json.dumps({"function": function, "where": where, "arguments": arguments}).encode()
    # The working folder comes first on the path of -c: an empty one shadows no module.
    with tempfile.TemporaryDirectory() as folder:
        try:
            child = subprocess.run(
                [sys.executable, "-c", PROGRAM],
                input=request,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PackageError(
                f"{where}: no prediction within {timeout_s:g} s in a separate process; expected one; {CURE}"
            ) from None
    if child.returncode or not child.stdout:
        raise PackageError(
            f"{where}: the separate process that tried it ended by {_death(child.returncode)}; "
            f"expected a prediction; {CURE}"
        )
    problem = json.loads(child.stdout)
    if problem is not None:
        raise PackageError(problem)


def try_in_child(package: EdgePackage, precisions: tuple[str, ...], timeout_s: float = TIMEOUT_S) -> None:
    """Load these precisions of an opened package on the CPU and predict once, in a child process.

    Raises PackageError if that fails, or if the child dies, needs too much memory or too much time.
    """
    path = str(Path(package.path).resolve())
    files = package.manifest.files
    call_in_child(TRIAL, str(package.path), timeout_s, path=path, precisions=precisions, files=files)
