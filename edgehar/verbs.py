"""The table of verbs, and the command that runs one; the module of a verb is imported on first use."""

import argparse
import importlib
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, cast

from edgehar import __version__
from edgehar.command_line import Parser
from edgehar.entry import guarded


class Verb(NamedTuple):
    """One row of the table.

    Attributes:
        module: module with `main(argv)`; with `PARSER` and `run(options)`, too, unless the verb has several actions.
        help: line in the list of verbs.
        resumable: whether the same command resumes an interrupted run.
    """

    module: str
    help: str
    resumable: bool = False


VERBS = {
    "quickstart": Verb("edgehar.experiments.quickstart", "all stages on simulated sensors, in a few minutes", True),
    "pipeline": Verb(
        "edgehar.experiments.pipeline", "all stages on a data set: train, prune, export, verify, measure, report", True
    ),
    "crossvalidate": Verb(
        "edgehar.experiments.crossvalidate", "model selection: each training subject left out once", True
    ),
    "data": Verb("edgehar.data.command", "check, info, fetch, convert: recordings on disk", True),
    "pretrain": Verb("edgehar.teacher.pretrain", "masked pretraining of the teacher on unlabelled signals", True),
    "finetune": Verb("edgehar.teacher.finetune", "fine-tune the teacher on labels", True),
    "distill": Verb("edgehar.student.distill", "train the student from the teacher", True),
    "prune": Verb("edgehar.student.prune", "prune a student or teacher, by default without recordings", True),
    "baseline": Verb("edgehar.student.baseline", "other methods on the same windows: MiniRocket, TCN, ...", True),
    "logits": Verb("edgehar.student.logits", "write a checkpoint's logits on its test subjects to a file"),
    "export": Verb("edgehar.student.export", "write an edge package"),
    "quantize": Verb("edgehar.deploy.packaging.quantize", "add INT8 graphs to a package"),
    "calibrate": Verb(
        "edgehar.deploy.packaging.calibrate", "calibrate a package's probabilities with out-of-fold predictions"
    ),
    "package": Verb("edgehar.deploy.packaging.command", "keygen, sign: keys and signatures of packages"),
    "verify": Verb("edgehar.deploy.packaging.verify", "check a package: checksums, parity, precision"),
    "bench": Verb("edgehar.deploy.bench.benchmark", "measure latency, memory and cold start of a package"),
    "enrol": Verb("edgehar.deploy.learning.enrol", "add an activity to a package from a few recordings of a person"),
    "correct": Verb("edgehar.deploy.learning.correct", "move an activity towards recordings of a person"),
    "adapt": Verb("edgehar.deploy.learning.adapt", "adapt a package to a person by recordings without labels"),
    "forget": Verb("edgehar.deploy.learning.forget", "undo enrol, correct or adapt"),
    "run": Verb("edgehar.deploy.live.run", "recognise a recording or a live stream"),
    "explain": Verb(
        "edgehar.deploy.explain", "why a package gave its answer: steps, sensors, joints; --checkpoint: by gradients"
    ),
    "evaluate": Verb(
        "edgehar.deploy.evaluation.evaluate",
        "accuracy of a package; --stream: as a live stream; --suite: whole protocols",
    ),
    "report": Verb("edgehar.report.command", "render a run's results.json as one HTML page"),
}

MODES = {
    "explain": {"checkpoint": Verb("edgehar.student.explain", "explain a trained checkpoint by gradients")},
    "evaluate": {
        "suite": Verb("edgehar.experiments.suite.command", "train, measure and score all runs of a protocol", True),
        "stream": Verb("edgehar.deploy.evaluation.stream_evaluate", "score continuous recordings as a live stream"),
    },
}
"""Verb -> option -> the row that replaces the verb's own where the option is given."""


class VerbModule(Protocol):
    """The interface of a verb's module."""

    PARSER: Parser[Any]

    def run(self, options: Any) -> int:
        """Run the verb; returns the exit code."""
        ...

    def main(self, argv: list[str] | None = None) -> int:
        """`run` with the options of a command line."""
        ...


def select(name: str, argv: list[str]) -> Verb:
    """The row of a verb, or of one of its modes if its option is among the arguments."""
    modes = MODES.get(name, {})
    switch = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for mode in modes:
        switch.add_argument(f"--{mode}", nargs="?", const="")
    given = vars(switch.parse_known_args(argv)[0])
    return next((row for mode, row in modes.items() if given[mode] is not None), VERBS[name])


def load(module: str) -> VerbModule:
    """Import the module of a verb; a SIGINT during the import raises KeyboardInterrupt after it."""
    with _interrupts_delayed():
        return cast(VerbModule, importlib.import_module(module))


def call(name: str, argv: list[str]) -> int:
    """Run a verb with the arguments of a command line; returns the exit code."""
    return load(select(name, argv).module).main(argv)


def given(name: str, argv: list[str]) -> dict[str, Any]:
    """The options of a verb that a command line gives, by field name; see `Parser.given`."""
    return load(VERBS[name].module).PARSER.given(argv)


def build(name: str, settings: Mapping[str, Any]) -> Any:
    """The options of a verb for these settings; raises ConfigError, see `Parser.build`."""
    return load(VERBS[name].module).PARSER.build(settings)


def run(name: str, options: Any) -> int:
    """Run a verb with its options; returns the exit code."""
    return load(VERBS[name].module).run(options)


@contextmanager
def _interrupts_delayed() -> Generator[None, None, None]:
    """Delay the KeyboardInterrupt of a SIGINT to the end of the block; an import would turn it into an ImportError."""
    has_default_handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not has_default_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if received:
            raise KeyboardInterrupt


def usage() -> str:
    """The help text: a line per verb."""
    lines = ["usage: edgehar VERB [options]     (edgehar VERB --help for a verb's own options)", ""]
    width = max(map(len, VERBS)) + 1
    lines += [f"  {name:<{width}}{verb.help}" for name, verb in VERBS.items()]
    return "\n".join(lines)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """One line, without the file and line of the code that warned."""
    return f"edgehar: {' '.join(str(message).split())}\n"


def dispatch(arguments: list[str]) -> int:
    """Run a verb, given the words after `edgehar`; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        return 0
    if arguments[0] == "--version":
        sys.stdout.write(f"edgehar {__version__}\n")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in VERBS:
        sys.stderr.write(f"edgehar: unknown verb {name!r}; expected one of: {', '.join(VERBS)}\n")
        return 2
    previous = warnings.formatwarning
    warnings.formatwarning = _format_warning
    try:
        return guarded(lambda _: call(name, rest), resumable=select(name, rest).resumable)
    finally:
        warnings.formatwarning = previous
