"""An edge package is a folder that proves itself: a strict manifest, and files with their size and sha256."""

import dataclasses
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import PackageError
from edgehar.files import atomic_folder, sha256
from edgehar.manifest import CALIBRATION, PARITY, Manifest
from edgehar.model_card import model_card

__all__ = [
    "CALIBRATION",
    "CARD",
    "MANIFEST",
    "PARITY",
    "EdgePackage",
    "Manifest",
    "amend_package",
    "model_card",
    "write_package",
]

MANIFEST, CARD = "manifest.json", "MODEL_CARD.md"


def _strict_json(text: str) -> Any:
    """JSON without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    return json.loads(text, parse_constant=refuse)


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name and "\\" not in name and not name.startswith(".")


@dataclass(frozen=True)
class EdgePackage:
    """A package on disk whose files were found whole."""

    path: Path
    manifest: Manifest

    @staticmethod
    def open(path: Path | str) -> "EdgePackage":
        """Read the manifest and check each file; raises PackageError naming the first thing that is wrong."""
        folder = Path(path)
        try:
            manifest = Manifest.from_json(_strict_json((folder / MANIFEST).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            raise PackageError(
                f"{folder}: no {MANIFEST} there; expected an edge package; give the folder that 'edgehar export' wrote"
            ) from None
        except (ValueError, RecursionError) as problem:
            raise PackageError(f"{folder / MANIFEST}: not valid JSON ({problem}); copy the package again") from None
        unlisted = manifest.needed_files - set(manifest.files)
        unlisted |= {found.name for found in folder.glob("*.onnx")} - set(manifest.files)
        if unlisted:
            raise PackageError(
                f"{folder}: {', '.join(sorted(unlisted))} not among the manifest's files; "
                "expected every graph and array to have a checksum; copy the package again"
            )
        for name, facts in manifest.files.items():
            _check_file(folder, name, facts)
        return EdgePackage(folder, manifest)

    def graph(self, part: str, precision: str) -> Path:
        """The ONNX file of "encoder" or "head"; PackageError if the package lacks that precision."""
        parts = self.manifest.graphs.get(precision)
        if parts is None or part not in parts:
            raise PackageError(
                f"{self.path}: no {part} in precision {precision!r}; it has {', '.join(self.manifest.graphs)}; "
                "choose one of these or run 'edgehar quantize'"
            )
        return self.path / parts[part]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one .npz file by name; PackageError if they cannot be read."""
        if name not in self.manifest.files:
            raise PackageError(f"{self.path}: the manifest lists no file {name!r}; export the model again")
        try:
            with np.load(io.BytesIO((self.path / name).read_bytes()), allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as problem:
            raise PackageError(f"{self.path / name}: not readable arrays ({problem}); copy the package again") from None


def _check_file(folder: Path, name: str, facts: dict[str, Any]) -> None:
    """Raise PackageError unless the file lies in the folder itself and is what the manifest says, byte for byte."""
    path = folder / name
    if not _is_plain(name) or path.is_symlink():
        raise PackageError(f"{folder}: file {name!r} leads outside the package; expected a plain file in the folder")
    if not path.is_file():
        raise PackageError(f"{path}: missing; the manifest lists it; copy the package again")
    size = path.stat().st_size
    if size != facts["bytes"]:
        raise PackageError(f"{path}: {size} bytes; the manifest says {facts['bytes']}; copy the package again")
    if sha256(path) != facts["sha256"]:
        raise PackageError(f"{path}: its sha256 is not the manifest's; the file was changed; copy the package again")


def write_package(path: Path, manifest: Manifest, files: dict[str, bytes | Path]) -> None:
    """Write a whole package or nothing.

    Args:
        path: its folder; an older package there is replaced, anything else is left alone with a PackageError.
        manifest: what it promises; `files` in it is filled in here.
        files: name -> bytes, or a file to copy: at least the graphs, calibration.npz and parity.npz.
    """
    empty = path.is_dir() and all(found.name == ".lock" for found in path.iterdir())
    if path.exists() and not empty and not (path / MANIFEST).is_file():
        raise PackageError(f"{path}: exists and is no edge package; expected a new folder; choose another --out")
    lacking = sorted(manifest.needed_files - set(files))
    odd = sorted(name for name in files if not _is_plain(name) or name in (MANIFEST, CARD))
    if lacking or odd:
        raise PackageError(f"{path}: lacks {lacking}, cannot hold {odd}; expected the manifest's graphs and arrays")
    with atomic_folder(path) as folder:
        listed: dict[str, dict[str, Any]] = {}
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
            listed[name] = {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
        whole = dataclasses.replace(manifest, files=listed)
        text = json.dumps(whole.to_json(), indent=1, allow_nan=False) + "\n"
        Manifest.from_json(json.loads(text))  # what is written can be read
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        (folder / CARD).write_text(model_card(whole), encoding="utf-8")


def amend_package(path: Path, files: dict[str, bytes | Path], **changes: Any) -> None:
    """Add files to a package, or change fields of its manifest, all at once or not at all."""
    package = EdgePackage.open(path)
    kept: dict[str, bytes | Path] = {name: package.path / name for name in package.manifest.files}
    write_package(path, dataclasses.replace(package.manifest, **changes), kept | files)
