"""What `edgehar bench --tune` found the fastest on this machine, as `deploy.load` reads it: PACKAGE.tuned.json."""

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar.deploy.runtime.device import cpu_model
from edgehar.deploy.runtime.providers import known_providers, litert_version
from edgehar.package.folder import MANIFEST, EdgePackage

FORMAT, FORMAT_VERSION = "edgehar-tuning", 1
KEYS = ("format", "format_version", "machine", "manifest_sha256", "chosen")
MOST_PROFILE_BYTES = 1 << 20
MOST_SHOWN = 200


@dataclass(frozen=True)
class Choice:
    """A precision of a package, how many of onnxruntime's threads run it, and on which providers."""

    precision: str
    threads: int
    providers: tuple[str, ...]


def profile_path(package: Path) -> Path:
    """Where the profile of a package lies: beside its folder, so that checksums and signature stay as they are."""
    folder = package.resolve()
    return folder.with_name(f"{folder.name}.tuned.json")


def machine() -> dict[str, Any]:
    """What must be the same for a profile to hold."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "onnxruntime": str(cast(Any, ort).__version__),
        "litert": litert_version(),
        "providers": list(known_providers()),
    }


def manifest_sha256(package: EdgePackage) -> str:
    """Which package a profile is of."""
    return hashlib.sha256((package.path / MANIFEST).read_bytes()).hexdigest()


def tuned_choice(package: EdgePackage) -> Choice | None:
    """What the profile beside a package names; None if there is none, or it is of another machine.

    A profile that cannot be used, or is of another package, is reported as a RuntimeWarning and ignored.
    """
    path = profile_path(package.path)
    if not path.is_file():
        return None
    try:
        return _chosen(_read(path), package)
    except (ValueError, OSError) as problem:
        warnings.warn(
            f"{path}: no profile that can be used: {problem}; the package runs as if there were none; call 'edgehar "
            "bench --tune' again or delete the file",
            RuntimeWarning,
            stacklevel=3,
        )
        return None


def _read(path: Path) -> dict[str, Any]:
    """A profile as JSON; raises ValueError in words for people."""
    if path.stat().st_size > MOST_PROFILE_BYTES:
        raise ValueError(f"it has more than {MOST_PROFILE_BYTES} bytes")
    try:
        entry: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("it is damaged, as it is no JSON") from None
    if not isinstance(entry, dict):
        raise ValueError("it is damaged, as it is no JSON object")
    return cast("dict[str, Any]", entry)


def _chosen(entry: dict[str, Any], package: EdgePackage) -> Choice | None:
    """What a profile names, None if it is of another machine; raises ValueError in words for people."""
    lacking = [
        name for name in ("format", "format_version", "machine", "manifest_sha256", "chosen") if name not in entry
    ]
    if lacking:
        raise ValueError(f"it is damaged, as it lacks {', '.join(lacking)}")
    if (entry["format"], entry["format_version"]) != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"it is of format {entry['format']!r} {entry['format_version']!r}, not {FORMAT!r} 1")
    if entry["manifest_sha256"] != manifest_sha256(package):
        raise ValueError("it was measured with another package, or with this one before it was changed")
    here = machine()
    if entry["machine"] != here:
        return None
    try:
        found = entry["chosen"]
        chosen = Choice(found["precision"], found["threads"], tuple(found["providers"]))
        possible = chosen.precision in package.manifest.graphs and 1 <= chosen.threads <= (os.cpu_count() or 1)
        possible = possible and bool(chosen.providers) and set(chosen.providers) <= set(here["providers"])
    except (TypeError, KeyError, IndexError):
        possible, chosen = False, None
    if not possible:
        raise ValueError(f"this package cannot run here with what it names, {str(entry['chosen'])[:MOST_SHOWN]}")
    return chosen
