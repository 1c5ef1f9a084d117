"""The first row of a CSV file: which column is the time, which are channels, and in which order."""

import re

from edgehar.signals.modality import ModalitySpec

TIME_COLUMN = "time_s"
VALID_COLUMN = "valid"
IMPORT_HINT = "edgehar data import"

_TIME_WORDS = {
    "time", "times", "timestamp", "timestamps", "timecode", "datetime", "date", "epoch", "epoc", "elapsed", "clock",
    "ts",
}  # fmt: skip
_UNIT_WORDS = {
    "s", "sec", "secs", "second", "seconds", "ms", "millis", "milliseconds", "us", "ns", "nano", "nanos", "min",
}  # fmt: skip
_OTHER_WORDS = {
    "sensor", "system", "sys", "local", "unix", "utc", "phone", "device", "gps", "log", "logging", "since", "start",
    "in", "of", "the",
}  # fmt: skip
_AXIS = re.compile(r"(?:^|[\W_a-z\d])([xyzXYZ])\d*$|^([xyzXYZ])(?:[\W_]|$)|[\W_]([xyzXYZ])(?:[\W_]|$)")
MAX_NAME_CHARACTERS = 200


def split_names(row: str) -> list[str]:
    """Names of the columns, without spaces around them and quotes."""
    return [name.strip().strip('"').strip() for name in row.split(",")]


def _plain(name: str) -> str:
    """A name in lower case with '_' between its words: "time (s)" -> "time_s", "sysTime" -> "sys_time"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return re.sub(r"\W+", "_", words).strip("_")


def is_time_name(name: str) -> bool:
    """Whether a column's name says nothing but a time, such as timestamp, seconds_elapsed or "time (s)"."""
    words = set(_plain(name).split("_"))
    return words <= _TIME_WORDS | _UNIT_WORDS | _OTHER_WORDS and bool(
        words & (_TIME_WORDS | {"seconds", "utc", "unix"})
    )


def _may_be_time(name: str, spare: bool) -> bool:
    """Whether the name of a first column can mean the time; `spare` if there is a column more than channels."""
    words = set(_plain(name).split("_"))
    return is_time_name(name) or bool(spare and (words & _TIME_WORDS or words <= _UNIT_WORDS | {"t"}))


def layout_problem(row: str, spec: ModalitySpec) -> str:
    """Why the names of a header row cannot be used, or an empty text."""
    for separator, shown in ((";", "';'"), ("\t", "tabs")):
        if "," not in row and separator in row:
            return (
                f"columns are separated by {shown}; expected ',' and decimals with '.'; "
                f"convert the file, or use {IMPORT_HINT}"
            )
    names = split_names(row)
    timed, masked = names[0] == TIME_COLUMN, names[-1] == VALID_COLUMN
    spare = len(names) > spec.channels + masked
    if not timed and _may_be_time(names[0], spare):
        return f"first column {names[0]!r}: expected {TIME_COLUMN}, in seconds; rename it, or use {IMPORT_HINT}"
    channels = names[int(timed) : len(names) - int(masked)]
    if len(channels) != spec.channels:
        expected = f"{'time_s, ' if timed else ''}{spec.channels} channels{', valid' if masked else ''}"
        return f"{len(names)} columns in the header; expected {expected}; correct the file or recordings.json"
    for column, name in enumerate(channels, 1 + timed):
        if name in (TIME_COLUMN, VALID_COLUMN):
            return "expected time_s as the first column and valid as the last; put them there"
        if is_time_name(name):
            return (
                f"column {column} {name!r} is a time; expected a channel of the sensor; remove it, or name it otherwise"
            )
        if name and channels.count(name) > 1:
            return f"column name {name!r} appears {channels.count(name)} times; expected it once; rename or remove one"
    return ""


def channel_names(row: str) -> tuple[str, ...]:
    """Names of the channels in a header row; empty if one has no name, or none that can be stored."""
    names = split_names(row)
    channels = names[int(names[0] == TIME_COLUMN) : len(names) - int(names[-1] == VALID_COLUMN)]
    usable = all(name and name.isprintable() and len(name) <= MAX_NAME_CHARACTERS for name in channels)
    return tuple(channels) if usable and len(set(channels)) == len(channels) else ()


def _axes(names: tuple[str, ...]) -> str:
    """The axis (x, y or z) that each name ends or begins with; empty unless all names have one."""
    found = [_AXIS.search(name) for name in names]
    letters = ["" if match is None else next(filter(None, match.groups())).lower() for match in found]
    return "".join(letters) if all(letters) else ""


def column_order(found: tuple[str, ...], expected: tuple[str, ...]) -> tuple[list[int] | None, str]:
    """For each expected channel its column among those found, and a message about names that differ.

    Names are compared exactly, or else without regard to case. Names that differ altogether are read in order.

    Args:
        found: names in a file; empty if unknown.
        expected: names of the sensor's channels; empty if unknown.

    Returns:
        (C,) positions, or None where the order cannot be known; then the message is an error, otherwise a warning.
    """
    in_order = list(range(max(len(found), len(expected))))
    if not found or not expected or found == expected:
        return in_order, ""
    for key in (str, str.lower):
        names, wanted = [key(name) for name in found], [key(name) for name in expected]
        if len(set(names)) == len(names) and set(names) == set(wanted):
            return [names.index(name) for name in wanted], ""
    said = f"columns {','.join(found)}; expected {','.join(expected)}"
    lower, wanted = [name.lower() for name in found], [name.lower() for name in expected]
    moved = any(name in wanted and wanted.index(name) != place for place, name in enumerate(lower))
    axes = _axes(found), _axes(expected)
    if moved or (all(axes) and axes[0] != axes[1]):
        return None, f"{said}: another order or other channels; rename the columns"
    return in_order, f"{said}: other names, read in this order; rename the columns"
