"""Provenance of a result: versions, commit, date, command and memory."""

import importlib.metadata
import platform
import resource
import shlex
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgehar import __version__

PACKAGES = ("numpy", "torch", "torch-pruning", "onnx", "onnxruntime", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python, edgehar and the installed packages that results depend on."""
    found = {"python": platform.python_version(), "edgehar": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, marked if files differ from it; None without a checkout.

    Changes in docs/results are ignored: runs write these files.
    """
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return None

    def git(*words: str) -> str:
        completed = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False)
        return completed.stdout.strip()

    status = ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/docs/results")
    changed = " with uncommitted changes" if git(*status) else ""
    return git("rev-parse", "HEAD") + changed or None


def stamp() -> dict[str, Any]:
    """Date, versions and commit."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def _quoted(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and name.startswith("--") else shlex.quote(word)


def shell_text(words: Sequence[str]) -> str:
    """A command as a shell takes it; of a word like `--name=value`, the value alone is quoted."""
    return " ".join(map(_quoted, words))


def portable_words(words: Sequence[str]) -> list[str]:
    """A command without paths of one machine: no --root, absolute paths reduced to their last part."""
    remaining = list(words)
    while "--root" in remaining:
        index = remaining.index("--root")
        del remaining[index : index + 2]
    return [Path(word).name if Path(word).is_absolute() else word for word in remaining]


def portable(words: Sequence[str]) -> str:
    """`portable_words` as a shell takes them."""
    return shell_text(portable_words(words))


def resident_mb() -> int:
    """Peak resident memory of this process, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
