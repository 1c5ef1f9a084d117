"""Versions, commit, date and memory: where a result comes from."""

import importlib.metadata
import platform
import resource
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgehar import __version__

PACKAGES = ("numpy", "torch", "torch-pruning", "onnx", "onnxruntime", "safetensors")


def versions() -> dict[str, str]:
    """Versions of what the figures depend on, as far as it is installed."""
    found = {"python": platform.python_version(), "edgehar": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, and whether files differ from it; None for an installed one.

    Results of earlier runs may differ: they are what a run writes, not what it runs.
    """
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None

    def git(*words: str) -> str:
        called = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
        return called.stdout.strip()

    own = ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/docs/results")
    changed = " with uncommitted changes" if git(*own) else ""
    return git("rev-parse", "HEAD") + changed or None


def stamp() -> dict[str, Any]:
    """When something was done, and with what."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def portable(words: Sequence[str]) -> str:
    """A command without what belongs to one machine: no --root, absolute paths by their last part."""
    kept = list(words)
    while "--root" in kept:
        place = kept.index("--root")
        del kept[place : place + 2]
    return " ".join(Path(word).name if Path(word).is_absolute() else word for word in kept)


def resident_mb() -> int:
    """The most memory this process had so far, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
