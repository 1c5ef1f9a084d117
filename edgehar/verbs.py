"""The table of verbs, each imported when it is called."""

import importlib
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

VERBS: dict[str, tuple[str, str]] = {
    "quickstart": ("edgehar.experiments.quickstart:main", "everything on simulated sensors, in a few minutes"),
    "pipeline": (
        "edgehar.experiments.pipeline:main",
        "everything on a data set: train, shrink, export, verify, measure, report",
    ),
    "crossvalidate": ("edgehar.experiments.crossvalidate:main", "model selection: each training subject left out once"),
    "data": ("edgehar.data.command:main", "check, info, fetch, convert: recordings on disk"),
    "pretrain": ("edgehar.teacher.pretrain:main", "masked pretraining of the teacher on unlabelled signals"),
    "finetune": ("edgehar.teacher.finetune:main", "fine-tune the teacher on labels"),
    "distill": ("edgehar.student.distill:main", "train the lite student from the teacher"),
    "prune": ("edgehar.student.prune:main", "shrink a student without a single recording"),
    "baseline": ("edgehar.student.baseline:main", "nearest neighbour, MiniRocket, LSTM or TCN on the same windows"),
    "export": ("edgehar.student.export:main", "write an edge package"),
    "quantize": ("edgehar.deploy.packaging.quantize:main", "add INT8 graphs to a package"),
    "calibrate": ("edgehar.deploy.packaging.calibrate:main", "fit a package's probabilities to out-of-fold answers"),
    "package": ("edgehar.deploy.packaging.command:main", "keygen, sign: who made a package"),
    "verify": ("edgehar.deploy.packaging.verify:main", "check a package: checksums, parity, precision"),
    "bench": ("edgehar.deploy.bench.benchmark:main", "measure latency, memory and cold start of a package"),
    "run": ("edgehar.deploy.live.run:main", "recognise a recording or a live stream"),
    "evaluate": ("edgehar.deploy.evaluation.evaluate:main", "accuracy of a package on a data set, without torch"),
    "report": ("edgehar.report.command:main", "render a run's results.json as one HTML page"),
}

NOT_RESUMABLE = ("export", "quantize", "calibrate", "package", "verify", "bench", "run", "evaluate", "report")
"""Verbs that keep no progress: interrupted, they begin anew."""


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

    For verbs whose module has a `PARSER`.
    """
    importlib.import_module(VERBS[verb][0].partition(":")[0]).PARSER.parse(argv)
