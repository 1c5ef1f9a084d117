"""Recordings in edgehar's own format: reading, writing and checking."""

from edgehar.data.recordings.folder import check_new, load, write

__all__ = ["check_new", "load", "write"]
