"""Compares package folders."""

import hashlib
from pathlib import Path


def digest_of_folder(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
