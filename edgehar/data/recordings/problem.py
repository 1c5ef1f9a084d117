"""Problems and warnings of a folder of recordings, each with its file and line."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

SHOWN_PER_FILE = 3
SHOWN_FILES = 3

_VALUE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[-+]?\d[\d.,:e+-]*|\b(?:nan|inf)\b")


class Problem(NamedTuple):
    """A problem of a folder of recordings; `line` is 0 if it concerns a whole file.

    An error makes the folder unusable; a warning names something that is probably not as it was meant.
    """

    file: str
    line: int
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        """`file:line: message`, which editors can open."""
        shown = f"warning: {self.message}" if self.is_warning else self.message
        return f"{self.file}:{self.line}: {shown}" if self.line else f"{self.file}: {shown}"

    @property
    def kind(self) -> str:
        """The message without its values: equal for problems of one cause."""
        return _VALUE.sub("#", self.message)


def errors(problems: Sequence[Problem]) -> list[Problem]:
    """The problems that make a folder unusable."""
    return [problem for problem in problems if not problem.is_warning]


def condensed(problems: Sequence[Problem]) -> list[str]:
    """Lines to show: of each kind the first 3 in a file and the first 3 files of a folder, and how many more."""
    by_kind: dict[tuple[str, bool, str], dict[str, list[Problem]]] = {}
    for problem in problems:
        key = str(PurePath(problem.file).parent), problem.is_warning, problem.kind
        by_kind.setdefault(key, {}).setdefault(problem.file, []).append(problem)
    lines: list[str] = []
    for (folder, _, _), files in by_kind.items():
        for file, found in list(files.items())[:SHOWN_FILES]:
            lines += [str(problem) for problem in found[:SHOWN_PER_FILE]]
            if len(found) > SHOWN_PER_FILE:
                lines.append(f"{file}: and {len(found) - SHOWN_PER_FILE:,} more like it")
        more = list(files.values())[SHOWN_FILES:]
        if more:
            files_text = f"{len(more):,} other file{'s' if len(more) > 1 else ''}"
            lines.append(f"{folder}: and {sum(map(len, more)):,} more like it in {files_text}")
    return lines
