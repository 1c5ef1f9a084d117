"""Undo what was learnt: an activity, the adaptation, or the whole personal file.

    edgehar forget anna.json --package PACKAGE --label juggling
    edgehar forget anna.json --package PACKAGE --adaptation
    edgehar forget anna.json --package PACKAGE

Without --label and --adaptation the file is deleted, as it is when nothing remains in it.
"""

import sys
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.runtime.signature import key_option, open_package
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import locked
from edgehar.package.personal import read_personal, write_personal


@dataclass(frozen=True)
class ForgetOptions(Options):
    """Options of `edgehar forget`."""

    file: str = positional("personal file")
    package: str = option(MISSING, "folder of the edge package that it belongs to")
    label: str | None = option(None, "only the recordings of this activity")
    adaptation: bool = option(False, "only the adaptation")
    key: str | None = key_option()


PARSER = Parser(ForgetOptions, "edgehar forget", __doc__ or "")


def run(options: ForgetOptions) -> int:
    """Delete the file, or write it without what is forgotten."""
    path, manifest = Path(options.file), open_package(options.package, options.key).manifest
    read_personal(path, manifest)  # a wrong path creates no lock
    with locked(path, "FILE"):
        personal = read_personal(path, manifest)
        remaining = replace(personal, examples=(), adaptation=None)
        if options.label is not None or options.adaptation:
            remaining = personal if options.label is None else personal.without(options.label)
            remaining = replace(remaining, adaptation=None) if options.adaptation else remaining
            if options.label is not None and len(remaining.examples) == len(personal.examples):
                listed = dict.fromkeys(one.label for one in personal.examples)
                raise ConfigError(f"--label {options.label}: expected one of {', '.join(listed) or 'none'} in {path}")
            if options.adaptation and personal.adaptation is None:
                raise ConfigError(f"--adaptation: {path} holds none; expected one; omit the option")
        if remaining.is_empty:
            path.resolve().unlink()  # of a link, what was learnt, not the link
        else:
            write_personal(path, remaining)
    removed = len(personal.examples) - len(remaining.examples)
    what = f"{removed} recordings" + ", the adaptation" * (personal.adaptation != remaining.adaptation)
    sys.stdout.write(f"{path}: {what} forgotten{'; the file was deleted' if remaining.is_empty else ''}\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
