"""Reads PACKAGE.tuned.json: the fastest settings on this machine, as `edgehar bench --tune` stores them."""

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar.deploy.runtime.device import cpu_model
from edgehar.deploy.runtime.providers import available_providers, litert_version
from edgehar.package.folder import MANIFEST, EdgePackage

FORMAT, FORMAT_VERSION = "edgehar-tuning", 1
KEYS = ("format", "format_version", "machine", "manifest_sha256", "chosen")
MAX_PROFILE_BYTES = 1 << 20
MAX_SETTINGS_SHOWN = 200


@dataclass(frozen=True)
class TunedSettings:
    """The precision, the number of threads and the providers that a profile chooses."""

    precision: str
    threads: int
    providers: tuple[str, ...]


def profile_path(package: Path) -> Path:
    """Path of a package's profile: beside the folder, so that checksums and signature stay valid."""
    folder = package.resolve()
    return folder.with_name(f"{folder.name}.tuned.json")


def machine() -> dict[str, Any]:
    """Facts that must be equal for a profile to apply."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "onnxruntime": str(cast(Any, ort).__version__),
        "litert": litert_version(),
        "providers": list(available_providers()),
    }


def manifest_sha256(package: EdgePackage) -> str:
    """Digest that ties a profile to its package."""
    return hashlib.sha256((package.path / MANIFEST).read_bytes()).hexdigest()


def read_tuned_settings(package: EdgePackage, key_given: bool = False) -> TunedSettings | None:
    """The settings that a package's profile chooses; None without a profile, or if it is of another machine.

    A profile that is damaged, unusable or of another package is ignored with a RuntimeWarning; any profile, if a key is
    given, as no signature covers it.
    """
    path = profile_path(package.path)
    if not os.path.isfile(path):  # noqa: PTH113 (False where a folder above cannot be read)
        return None
    if key_given:
        warnings.warn(
            f"{path}: the package's signature does not cover it; it is ignored, as a key is given; "
            "choose precision, threads and providers yourself, or delete the file",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    try:
        return _settings(_read(path), package)
    except (ValueError, OSError) as problem:
        warnings.warn(
            f"{path}: unusable profile: {problem}; it is ignored; run 'edgehar bench --tune' again or delete the file",
            RuntimeWarning,
            stacklevel=3,
        )
        return None


def _read(path: Path) -> dict[str, Any]:
    """The profile's JSON object; raises ValueError with the reason if there is none."""
    if path.stat().st_size > MAX_PROFILE_BYTES:
        raise ValueError(f"more than {MAX_PROFILE_BYTES} bytes")
    try:
        entry: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("damaged: not valid JSON") from None
    if not isinstance(entry, dict):
        raise ValueError("damaged: not a JSON object")
    return cast("dict[str, Any]", entry)


def _settings(entry: dict[str, Any], package: EdgePackage) -> TunedSettings | None:
    """The settings a profile chooses; None if it is of another machine. Raises ValueError with the reason."""
    missing = [name for name in KEYS if name not in entry]
    if missing:
        raise ValueError(f"damaged: {', '.join(missing)} missing")
    if (entry["format"], entry["format_version"]) != (FORMAT, FORMAT_VERSION):
        raise ValueError(
            f"format {entry['format']!r} {entry['format_version']!r}; expected {FORMAT!r} {FORMAT_VERSION}"
        )
    if entry["manifest_sha256"] != manifest_sha256(package):
        raise ValueError("measured with another package, or with this one before it was changed")
    this_machine = machine()
    if entry["machine"] != this_machine:
        return None
    try:
        chosen = entry["chosen"]
        settings = TunedSettings(chosen["precision"], chosen["threads"], tuple(chosen["providers"]))
        usable = settings.precision in package.manifest.graphs and type(settings.threads) is int
        usable = usable and 1 <= settings.threads <= (os.cpu_count() or 1)
        usable = usable and bool(settings.providers) and set(settings.providers) <= set(this_machine["providers"])
    except (TypeError, KeyError, IndexError):
        usable, settings = False, None
    if not usable:
        raise ValueError(f"the package cannot run here with {str(entry['chosen'])[:MAX_SETTINGS_SHOWN]}")
    return settings
