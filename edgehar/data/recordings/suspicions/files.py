"""Suspicious files and names: files that were cut off, one person under two names, labels without a recording."""

from collections.abc import Sequence
from pathlib import Path

from edgehar.data.recordings.problem import Problem


def cut_files(paths: Sequence[Path]) -> list[Problem]:
    """CSV files of one sensor that do not end with a line end although most others do: their last number may be cut."""
    ends = {path: _ends_line(path) for path in paths if path.suffix == ".csv"}
    if sum(ends.values()) <= len(ends) / 2:
        return []
    message = "the last line has no line end, unlike in the other files; cut off while copying? Copy the file again"
    return [Problem(str(path), 0, message, is_warning=True) for path, complete in ends.items() if not complete]


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read() in (b"\n", b"\r")


def similar_names(index: str, subjects: Sequence[str]) -> list[Problem]:
    """People whose names differ in case, spaces or punctuation only: a split would put one person on both sides."""
    spelled: dict[str, list[str]] = {}
    for name in dict.fromkeys(subjects):
        key = "".join(letter for letter in name.casefold() if letter.isalnum()) or name
        spelled.setdefault(key, []).append(name)
    return [
        Problem(index, 0, f"subjects {' and '.join(map(repr, names))}: one person? expected one name", is_warning=True)
        for names in spelled.values()
        if len(names) > 1
    ]


def unused_labels(header: str, labels: Sequence[str], used: set[int | None]) -> list[Problem]:
    """Labels of the declaration that no recording has, or the absence of any label."""
    unused = [label for number, label in enumerate(labels) if number not in used]
    if not unused:
        return []
    if len(unused) == len(labels):
        message = (
            "no recording has a label, neither in index.csv nor in segments/: nothing to train on but pretraining; "
            "add labels"
        )
        return [Problem(header, 0, message, is_warning=True)]
    message = f"no recording has the label {', '.join(map(repr, unused[:10]))}; remove it, or record it"
    return [Problem(header, 0, message, is_warning=True)]
