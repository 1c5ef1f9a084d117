"""An edge package is a folder that proves itself: a strict manifest, and files with their size and sha256."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from edgehar.errors import ConfigError, PackageError
from edgehar.files.atomic import atomic_folder, check_writable
from edgehar.files.plain_files import is_plain, read_plain
from edgehar.files.safe_npz import read_npz
from edgehar.files.strict_json import strict_json
from edgehar.package.manifest import FORMAT, PARITY, QUANTISATION_ARRAYS, Json, Manifest
from edgehar.package.model_card import model_card

__all__ = [
    "CARD",
    "MANIFEST",
    "PARITY",
    "QUANTISATION_ARRAYS",
    "SIGNATURE",
    "EdgePackage",
    "Manifest",
    "amend_package",
    "check_result",
    "model_card",
    "write_package",
]

MANIFEST, CHECKSUM, SIGNATURE, CARD = "manifest.json", "manifest.sha256", "manifest.sig", "MODEL_CARD.md"
OWN_NAMES = (MANIFEST, CHECKSUM, SIGNATURE, CARD)
"""Files of a package that are not among its manifest's."""
MOST_MANIFEST_BYTES = 1 << 20
MOST_CHECKSUM_BYTES = 1 << 10
MOST_FILE_BYTES = 64 << 20
MOST_PACKAGE_BYTES = 256 << 20
MOST_FILES = 64


def _checksum(manifest: bytes) -> bytes:
    """Content of manifest.sha256: a line as `sha256sum --check` reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def check_result(result: str | None, package: str | None) -> None:
    """Raise ConfigError, before anything is measured, if a result of --json cannot be kept.

    Either nothing can be written there, or it would lie among the files of the package.
    """
    if result is None:
        return
    if package is not None and Path(package).resolve() in Path(result).resolve().parents:
        raise ConfigError(f"--json {result}: lies within the package {package}; choose a file beside it")
    check_writable(Path(result), "--json")


@dataclass(frozen=True)
class EdgePackage:
    """A package on disk whose files were found whole."""

    path: Path
    manifest: Manifest

    @staticmethod
    def open(path: Path | str, approve: Callable[[bytes], None] | None = None) -> "EdgePackage":
        """Read the manifest and check each file; raises PackageError naming the first thing that is wrong.

        Args:
            path: the package's folder.
            approve: sees the bytes of manifest.json before anything else is done with them, and raises PackageError
                if they are not to be trusted, as `edgehar.deploy.runtime.signature.Approval` does.
        """
        folder = Path(path)
        try:
            data = read_plain(folder, MANIFEST, MOST_MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise PackageError(
                f"{folder}: no {MANIFEST} there; expected an edge package; give the folder that 'edgehar export' wrote"
            ) from None
        if approve is not None:
            approve(data)
        try:
            if read_plain(folder, CHECKSUM, MOST_CHECKSUM_BYTES) != _checksum(data):
                raise PackageError(f"{folder / MANIFEST}: not the one of {CHECKSUM}; copy the package again")
        except FileNotFoundError:
            pass  # a package of before this file was written, or a manifest edited on purpose
        try:
            manifest = Manifest.from_json(strict_json(data))
        except ValueError as problem:
            raise PackageError(f"{folder / MANIFEST}: not valid JSON ({problem}); copy the package again") from None
        unlisted = manifest.needed_files - set(manifest.files)
        unlisted |= {found.name for found in folder.glob("*.onnx")} - set(manifest.files)
        if unlisted:
            raise PackageError(
                f"{folder}: {', '.join(map(repr, sorted(unlisted)[:9]))} not among the manifest's files; "
                "expected every graph and array to have a checksum; copy the package again"
            )
        _check_sizes(folder, manifest)
        package = EdgePackage(folder, manifest)
        for name in manifest.files:
            package.read(name)
        return package

    def read(self, name: str) -> bytes:
        """A file's bytes, which are those the manifest describes, whatever happened to the folder since it was opened.

        Raises PackageError for a name that the manifest does not list, a link, or any difference from the manifest.
        """
        facts = self.manifest.files.get(name)
        if facts is None:
            raise PackageError(f"{self.path}: the manifest lists no file {name!r}; export the model again")
        path = self.path / name
        try:
            data = read_plain(self.path, name, MOST_FILE_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise PackageError(f"{path}: missing; the manifest lists it; copy the package again") from None
        if len(data) != facts["bytes"]:
            raise PackageError(f"{path}: {len(data)} bytes; the manifest says {facts['bytes']}; copy the package again")
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise PackageError(
                f"{path}: its sha256 is not the manifest's; the file was changed; copy the package again"
            )
        return data

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
        try:
            return read_npz(self.read(name))
        except ValueError as problem:
            raise PackageError(f"{self.path / name}: not readable arrays ({problem}); copy the package again") from None


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    """Raise PackageError for files that no package has, before one of them is read."""
    files = manifest.files
    own = sorted(set(files) & set(OWN_NAMES))
    if own:
        raise PackageError(f"{folder}: lists {own} among its files; expected graphs and arrays; export the model again")
    sizes = [facts["bytes"] for facts in files.values()]
    if len(sizes) > MOST_FILES or any(not 0 <= size <= MOST_FILE_BYTES for size in sizes):
        raise PackageError(
            f"{folder}: {len(sizes)} files with up to {max(sizes)} bytes; expected at most {MOST_FILES} with up to "
            f"{MOST_FILE_BYTES} bytes each; export a smaller model"
        )
    if sum(sizes) > MOST_PACKAGE_BYTES:
        raise PackageError(
            f"{folder}: {sum(sizes)} bytes; expected {MOST_PACKAGE_BYTES} at most; export a smaller model"
        )


def _strangers(folder: Path) -> list[str]:
    """What lies in a package's folder and is no part of the package; graphs and arrays are, if the manifest is damaged.

    Raises PackageError if its manifest is of something else.
    """
    names = [found.name for found in folder.iterdir() if found.name not in (*OWN_NAMES, ".lock")]
    try:
        entry = strict_json(read_plain(folder, MANIFEST, MOST_MANIFEST_BYTES))
    except (ValueError, PackageError):
        return sorted(name for name in names if not name.endswith((".onnx", ".npz")))
    if not isinstance(entry, dict) or cast(Json, entry).get("format") != FORMAT:
        raise PackageError(f"{folder}: its {MANIFEST} is of no edge package; choose another --out")
    listed = cast(Json, entry).get("files")
    return sorted(set(names) - set(cast(Json, listed) if isinstance(listed, dict) else ()))


def write_package(path: Path, manifest: Manifest, files: dict[str, bytes | Path]) -> None:
    """Write a whole package or nothing.

    Args:
        path: its folder; an older package there, whole or damaged, is replaced together with its signature, anything
            else is left alone with a PackageError.
        manifest: what it promises; `files` in it is filled in here.
        files: name -> bytes, or a file to copy: at least the graphs, calibration.npz and parity.npz.
    """
    empty = path.is_dir() and all(found.name == ".lock" for found in path.iterdir())
    if path.exists() and not empty and not (path / MANIFEST).is_file():
        raise PackageError(f"{path}: exists and is no edge package; expected a new folder; choose another --out")
    strange = [] if empty or not path.exists() else _strangers(path)
    if strange:
        raise PackageError(
            f"{path}: holds {', '.join(strange)}, which would be lost with the package there; expected nothing else; "
            "move it elsewhere or choose another --out"
        )
    lacking = sorted(manifest.needed_files - set(files))
    odd = sorted(name for name in files if not is_plain(name) or name in OWN_NAMES)
    if lacking or odd:
        raise PackageError(f"{path}: lacks {lacking}, cannot hold {odd}; expected the manifest's graphs and arrays")
    with atomic_folder(path) as folder:
        listed: dict[str, dict[str, Any]] = {}
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            (folder / name).write_bytes(data)
            listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        whole = dataclasses.replace(manifest, files=listed)
        text = (json.dumps(whole.to_json(), indent=1, allow_nan=False) + "\n").encode()
        (folder / MANIFEST).write_bytes(text)
        (folder / CHECKSUM).write_bytes(_checksum(text))
        (folder / CARD).write_text(model_card(whole), encoding="utf-8")
        EdgePackage.open(folder)  # what is written can be read


def amend_package(path: Path, files: dict[str, bytes | Path], **changes: Any) -> None:
    """Add files to a package, or change fields of its manifest, all at once or not at all; its signature goes."""
    package = EdgePackage.open(path)
    kept: dict[str, bytes | Path] = {name: package.read(name) for name in package.manifest.files}
    write_package(path, dataclasses.replace(package.manifest, **changes), kept | files)
