"""What `edgehar bench --tune` found the fastest on this machine, as `deploy.load` reads it: PACKAGE.tuned.json."""

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from deploy.device import cpu_model
from deploy.providers import known_providers, litert_version
from edgehar.package import MANIFEST, EdgePackage

FORMAT, FORMAT_VERSION = "edgehar-tuning", 1
MOST_PROFILE_BYTES = 1 << 20


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
    """What the profile beside a package names; None if there is none, or it is of another package or machine.

    A profile that cannot be used is reported as a RuntimeWarning and ignored.
    """
    path = profile_path(package.path)
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_PROFILE_BYTES:
            raise ValueError(f"more than {MOST_PROFILE_BYTES} bytes")
        entry: Any = json.loads(path.read_bytes())
        if (entry["format"], entry["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format {entry['format']!r} {entry['format_version']!r}, expected {FORMAT!r} 1")
        here = machine()
        if entry["machine"] != here or entry["manifest_sha256"] != manifest_sha256(package):
            return None
        found = entry["chosen"]
        chosen = Choice(found["precision"], found["threads"], tuple(found["providers"]))
        if chosen.precision not in package.manifest.graphs or not 1 <= chosen.threads <= (os.cpu_count() or 1):
            raise ValueError(f"{chosen.precision!r} with {chosen.threads!r} threads")
        if not chosen.providers or not set(chosen.providers) <= set(here["providers"]):
            raise ValueError(f"providers {chosen.providers!r}")
        return chosen
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OSError) as problem:
        warnings.warn(
            f"{path}: no profile that can be used ({problem}); call 'edgehar bench --tune' again or delete it",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
