"""Entry point of a verb: user errors become one line on stderr and an exit code."""

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
    "matplotlib": "report",
    "aeon": "baselines",
    "cryptography": "sign",
}
"""Module -> the extra that installs it."""


def forget_reader() -> None:
    """Say nothing more on a standard output whose reader has left, not even when Python ends."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the end)


def guarded(main: Callable[[list[str] | None], int], argv: list[str] | None = None, resumable: bool = True) -> int:
    """Call a verb; turn what a user can cause into one line on stderr and exit code 2.

    Args:
        main: the verb.
        argv: its arguments; those of the process if None.
        resumable: whether running the same command again resumes it.
    """
    try:
        return main(argv)
    except EdgeharError as problem:
        message = str(problem)
    except ModuleNotFoundError as problem:
        extra = EXTRAS.get((problem.name or "").partition(".")[0])
        if extra is None:
            raise
        message = f"this command needs {problem.name}, which is not installed: pip install 'edgehar[{extra}]'"
    except BrokenPipeError:
        forget_reader()
        return 128 + signal.SIGPIPE
    except OSError as problem:
        advice = {
            errno.ENOSPC: "free some space or choose another folder",
            errno.EFBIG: "the file would be larger than this system allows; raise the limit or choose another folder",
            errno.EACCES: "choose a folder you may write to",
        }.get(problem.errno or 0, "check the path")
        message = f"{problem.filename or 'file system'}: {problem.strerror or problem}; {advice}"
    except KeyboardInterrupt:
        remark = "; the same command goes on where this one stopped" if resumable else ""
        sys.stderr.write(f"\nedgehar: interrupted{remark}\n")
        return 128 + signal.SIGINT
    sys.stderr.write(f"edgehar: {' '.join(message.split())}\n")
    return 2


def call_action(verb: str, usage: str, actions: dict[str, Callable[[list[str]], int]], argv: list[str] | None) -> int:
    """Call the action that a verb's first word names; raises ConfigError if there is none of that name."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage)
        return 0
    action = actions.get(arguments[0])
    if action is None:
        raise ConfigError(f"edgehar {verb} {arguments[0]!r}; expected {', '.join(actions)}; see edgehar {verb} --help")
    return action(arguments[1:])
