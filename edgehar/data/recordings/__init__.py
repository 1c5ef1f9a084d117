"""Recordings in edgehar's own format: read, written and checked."""

from edgehar.data.recordings.folder import load, write

__all__ = ["load", "write"]
