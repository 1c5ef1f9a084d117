"""Prints the result of a command before it is stored, so that a full disk does not lose it."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgehar.files.atomic import naming, write_json


def print_text(text: str) -> None:
    """Write text to standard output at once; an OSError names it."""
    with naming(Path("standard output")):
        sys.stdout.write(text)
        sys.stdout.flush()


def print_and_store(text: str, store: Callable[[], object] | None) -> None:
    """Print a result, then store it; each is tried although the other fails, whose error is raised.

    Args:
        text: printed to standard output.
        store: writes the result; None if it is only printed.
    """
    try:
        print_text(text)
    finally:
        if store is not None:
            store()


def print_and_write(text: str, path: str | None, document: dict[str, Any]) -> None:
    """`print_and_store` with a JSON document for the file of --json, if there is one."""
    print_and_store(text, None if path is None else partial(write_json, Path(path), document))
