"""Runs a verb: user errors become one line on stderr and an exit code."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable

from edgehar.errors import ConfigError, EdgeharError

EXTRAS = {
    "torch": "train",
    "torch_pruning": "train",
    "safetensors": "train",
    "onnxscript": "train",
    "tqdm": "train",
    "scipy": "train",
    "onnx": "quantize",
    "onnxruntime": "runtime",
    "pyarrow": "shards",
    "matplotlib": "report",
    "aeon": "baselines",
    "captum": "explain",
    "cryptography": "sign",
    "prometheus_client": "metrics",
    "uvicorn": "page",
}
"""Module -> extra that installs it."""


def discard_stdout() -> None:
    """Redirect standard output to nowhere after its reader has closed it, so that Python exits without an error."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until exit)


def flush_stdout() -> None:
    """Flush standard output; after an OSError, which names it, Python exits without another one."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        discard_stdout()
        problem.filename = "standard output"
        raise


def user_message(problem: EdgeharError | ModuleNotFoundError) -> str | None:
    """What to tell a user; None for a module that no extra installs."""
    if not isinstance(problem, ModuleNotFoundError):
        return str(problem)
    extra = EXTRAS.get((problem.name or "").partition(".")[0])
    return extra and f"this command needs {problem.name}, which is not installed: pip install 'edgehar[{extra}]'"


def guarded(main: Callable[[list[str] | None], int], argv: list[str] | None = None, resumable: bool = True) -> int:
    """Call a verb; returns its exit code, or 2 after one line on stderr for an error a user can cause.

    Args:
        main: the verb.
        argv: its arguments, or None for those of the process.
        resumable: whether the same command resumes an interrupted run.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  (closed by the caller)
        discard_stdout()
    try:
        code = main(argv)
        flush_stdout()  # here, where an error can be reported
        return code
    except (EdgeharError, ModuleNotFoundError) as problem:
        message = user_message(problem)
        if message is None:
            raise
    except BrokenPipeError:
        discard_stdout()
        return 128 + signal.SIGPIPE
    except OSError as problem:
        advice = {
            errno.ENOSPC: "free disk space or choose another folder",
            errno.EFBIG: "the file exceeds the size limit of this system; raise the limit or choose another folder",
            errno.EACCES: "choose a folder with write permission",
        }.get(problem.errno or 0, "check the path")
        message = f"{problem.filename or 'file system'}: {problem.strerror or problem}; {advice}"
        with contextlib.suppress(OSError):
            flush_stdout()
    except KeyboardInterrupt:
        advice = "; run the same command again to resume" if resumable else ""
        sys.stderr.write(f"\nedgehar: interrupted{advice}\n")
        return 128 + signal.SIGINT
    sys.stderr.write(f"edgehar: {' '.join(message.split())}\n")
    return 2


def call_action(verb: str, usage: str, actions: dict[str, Callable[[list[str]], int]], argv: list[str] | None) -> int:
    """Call the action named by the first argument of a verb; raises ConfigError for another name."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage)
        return 0
    action = actions.get(arguments[0])
    if action is None:
        raise ConfigError(f"edgehar {verb} {arguments[0]!r}; expected {', '.join(actions)}; see edgehar {verb} --help")
    return action(arguments[1:])
