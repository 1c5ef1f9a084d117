"""Runs the verb that a command line names."""

import sys
import warnings

from edgehar import __version__
from edgehar.entry import guarded
from edgehar.verbs import VERBS, call, select


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
