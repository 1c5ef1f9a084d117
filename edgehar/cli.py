"""The `edgehar` command: one table of verbs, each imported when it is called.

edgehar quickstart
"""

import sys
import warnings

from edgehar import __version__
from edgehar.entry import guarded
from edgehar.verbs import NOT_RESUMABLE, VERBS, call


def usage() -> str:
    """The help text: a line per verb."""
    lines = ["usage: edgehar VERB [options]     (edgehar VERB --help for a verb's own options)", ""]
    width = max(map(len, VERBS)) + 1
    lines += [f"  {verb:<{width}}{text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(lines)


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
        return guarded(lambda _: call(verb, rest), resumable=verb not in NOT_RESUMABLE or "--suite" in rest)
    finally:
        warnings.formatwarning = usual


if __name__ == "__main__":
    sys.exit(main())
