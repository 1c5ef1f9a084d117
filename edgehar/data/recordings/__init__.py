"""Recordings in edgehar's own format: reading, writing and checking."""

from edgehar.data.recordings.folder import load, write

__all__ = ["load", "write"]
