"""Exceptions of edgehar; a message says what was found, what was expected and what to do."""

from collections.abc import Sequence


class EdgeharError(Exception):
    """Base of all errors a user can cause; the command prints the message in one line and exits with code 2."""


class DataError(EdgeharError):
    """A recording, folder or array does not match the declaration of its data set."""


class SplitError(EdgeharError):
    """A split has a subject or a recording in both training and test, or an empty side."""


class ConfigError(EdgeharError):
    """An option or preset has an invalid value."""


class PackageError(EdgeharError):
    """An edge package is damaged, incomplete or of an unsupported version."""


class CheckpointError(EdgeharError):
    """A checkpoint folder is missing, damaged or of another kind than expected."""


class BusyError(EdgeharError):
    """Another run is writing to the same output."""


def shortened(names: Sequence[str], most: int = 10) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
