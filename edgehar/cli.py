"""The `edgehar` command: one table of verbs, each imported when it is called.

edgehar quickstart
"""

import errno
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager

from edgehar import __version__
from edgehar.errors import ConfigError, EdgeharError

VERBS: dict[str, tuple[str, str]] = {
    "quickstart": ("edgehar.quickstart:main", "everything on simulated sensors, in a few minutes"),
    "pipeline": ("edgehar.pipeline:main", "everything on a data set: train, shrink, export, verify, measure, report"),
    "crossvalidate": ("edgehar.crossvalidate:main", "model selection: each training subject left out once"),
    "data": ("edgehar.data_command:main", "check, info, fetch, convert: recordings on disk"),
    "pretrain": ("teacher.pretrain:main", "masked pretraining of the teacher on unlabelled signals"),
    "finetune": ("teacher.finetune:main", "fine-tune the teacher on labels"),
    "distill": ("student.distill:main", "train the lite student from the teacher"),
    "prune": ("student.prune:main", "shrink a student without a single recording"),
    "baseline": ("student.baselines:main", "nearest neighbour, MiniRocket, LSTM or TCN on the same windows"),
    "export": ("student.export:main", "write an edge package"),
    "quantize": ("deploy.quantize:main", "add INT8 graphs to a package"),
    "calibrate": ("deploy.calibrate:main", "fit a package's probabilities to out-of-fold answers"),
    "package": ("deploy.package_command:main", "keygen, sign: who made a package"),
    "verify": ("deploy.verify:main", "check a package: checksums, parity, precision"),
    "bench": ("deploy.benchmark:main", "measure latency, memory and cold start of a package"),
    "run": ("deploy.run:main", "recognise a recording or a live stream"),
    "evaluate": ("deploy.evaluate:main", "accuracy of a package on a data set, without torch"),
    "report": ("edgehar.report:main", "render a run's results.json as one HTML page"),
}
EXTRAS = {
    "torch": "train",
    "torch_pruning": "train",
    "safetensors": "train",
    "onnxscript": "train",
    "tqdm": "train",
    "onnx": "quantize",
    "onnxruntime": "runtime",
    "matplotlib": "report",
    "aeon": "baselines",
    "cryptography": "sign",
}
"""Module -> the extra that installs it."""
AT_ONCE = ("export", "quantize", "calibrate", "package", "verify", "bench", "run", "evaluate", "report")
"""Verbs that keep no progress: interrupted, they begin anew."""


def usage() -> str:
    """The help text: a line per verb."""
    lines = ["usage: edgehar VERB [options]     (edgehar VERB --help for a verb's own options)", ""]
    width = max(map(len, VERBS)) + 1
    lines += [f"  {verb:<{width}}{text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(lines)


def forget_reader() -> None:
    """Say nothing more on a standard output whose reader has left, not even when Python ends."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the end)


def guarded(main: Callable[[list[str] | None], int], argv: list[str] | None = None, goes_on: bool = True) -> int:
    """Call a verb; turn what a user can cause into one line on stderr and exit code 2.

    Args:
        main: the verb.
        argv: its arguments; those of the process if None.
        goes_on: whether the same command goes on where it was interrupted.
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
        remark = "; the same command goes on where this one stopped" if goes_on else ""
        sys.stderr.write(f"\nedgehar: interrupted{remark}\n")
        return 128 + signal.SIGINT
    sys.stderr.write(f"edgehar: {' '.join(message.split())}\n")
    return 2


def call(verb: str, argv: list[str]) -> int:
    """Import the module of a verb, or of a "module:function" that is no verb, and call it, errors and all."""
    module, _, function = (VERBS[verb][0] if verb in VERBS else verb).partition(":")
    with _interrupted_afterwards():
        main: Callable[[list[str] | None], int] = getattr(importlib.import_module(module), function)
    return main(argv)


@contextmanager
def _interrupted_afterwards() -> Generator[None, None, None]:
    """Raise the KeyboardInterrupt of a SIGINT at the end of the block: what is imported makes an ImportError of it."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored, or someone else's
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if came:
            raise KeyboardInterrupt


def check(verb: str, argv: list[str]) -> None:
    """Read the options of a verb without calling it; raises ConfigError for what means nothing.

    For verbs whose module has a function `read`.
    """
    importlib.import_module(VERBS[verb][0].partition(":")[0]).read(argv)


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


def _as_remark(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as the command shows it: in one line, without the place in the program that gave it."""
    return f"edgehar: {' '.join(str(message).split())}\n"


def main(argv: list[str] | None = None) -> int:
    """Entry point of the `edgehar` command."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        return 0
    if arguments[0] == "--version":
        sys.stdout.write(f"edgehar {__version__}\n")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        sys.stderr.write(f"edgehar: unknown verb {verb!r}; expected one of: {', '.join(VERBS)}\n")
        return 2
    usual = warnings.formatwarning
    warnings.formatwarning = _as_remark
    try:
        return guarded(lambda _: call(verb, rest), goes_on=verb not in AT_ONCE or "--suite" in rest)
    finally:
        warnings.formatwarning = usual


if __name__ == "__main__":
    sys.exit(main())
