"""The named errors: each message says what was found, what was expected and what to do."""


class EdgeharError(Exception):
    """Base of every error a user can cause; the command prints it in one line and exits with code 2."""


class DataError(EdgeharError):
    """A recording, a folder or an array is not what the data set promises."""


class SplitError(EdgeharError):
    """A split shares a subject between training and test, or leaves one side empty."""


class ConfigError(EdgeharError):
    """An option or a preset has a value that cannot be used."""


class PackageError(EdgeharError):
    """An edge package is damaged, of an unknown version, or lacks a file."""


class CheckpointError(EdgeharError):
    """A checkpoint folder is missing, damaged or of another kind than asked for."""


class BusyError(EdgeharError):
    """Another run is already writing into this folder."""
