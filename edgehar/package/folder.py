"""Reads and writes edge packages: a folder with a manifest and files of listed size and sha256."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from edgehar.errors import ConfigError, PackageError
from edgehar.files.atomic import atomic_folder, check_writable
from edgehar.files.plain_files import is_plain, read_plain
from edgehar.files.safe_npz import read_npz
from edgehar.files.strict_json import strict_json
from edgehar.package.manifest import FEATURES, FORMAT, PARITY, QUANTISATION_ARRAYS, Json, Manifest
from edgehar.package.model_card import model_card

__all__ = [
    "CARD",
    "FEATURES",
    "MANIFEST",
    "PARITY",
    "QUANTISATION_ARRAYS",
    "SIGNATURE",
    "EdgePackage",
    "Manifest",
    "amend_package",
    "check_apart",
    "check_result",
    "model_card",
    "write_package",
]

MANIFEST, CHECKSUM, SIGNATURE, CARD = "manifest.json", "manifest.sha256", "manifest.sig", "MODEL_CARD.md"
OWN_NAMES = (MANIFEST, CHECKSUM, SIGNATURE, CARD)
"""Files of a package that its manifest does not list."""
MAX_MANIFEST_BYTES = 1 << 20
MAX_CHECKSUM_BYTES = 1 << 10
MAX_FILE_BYTES = 64 << 20
MAX_PACKAGE_BYTES = 256 << 20
MAX_FILES = 64


def _checksum(manifest: bytes) -> bytes:
    """Content of manifest.sha256, in the format of `sha256sum --check`."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def check_apart(result: str, option: str, package: str | None, read: Iterable[str | None] = ()) -> None:
    """Raise ConfigError if a file to write is inside the package, or is or lies within anything else that is read.

    Args:
        result: path of the file.
        option: that names it, for messages.
        package: folder of the package.
        read: files, folders or names of data sets; a name is not a path and does no harm.
    """
    target = Path(result).resolve()
    for place in (package, *read):
        if place is None or Path(place).resolve() not in (target, *target.parents):
            continue
        if place == package:
            raise ConfigError(
                f"{option} {result}: inside the package {package}; expected a file outside of it; choose another"
            )
        raise ConfigError(
            f"{option} {result}: is, or lies within, {place}, which the same command reads or writes; expected another "
            "file; choose one"
        )


def check_result(
    result: str | None, package: str | None, option: str = "--json", read: Iterable[str | None] = ()
) -> None:
    """Raise ConfigError as `check_apart` for the file of --json, or of another option, or if it cannot be written."""
    if result is not None:
        check_apart(result, option, package, read)
        check_writable(Path(result), option)


@dataclass(frozen=True)
class EdgePackage:
    """A package on disk with verified files."""

    path: Path
    manifest: Manifest

    @staticmethod
    def open(path: Path | str, approve: Callable[[bytes], None] | None = None) -> "EdgePackage":
        """Read the manifest and verify each file; raises PackageError for the first problem.

        Args:
            path: folder of the package.
            approve: called with the bytes of manifest.json before they are parsed; raises PackageError to reject them,
                see `edgehar.deploy.runtime.signature.signature_check`.
        """
        folder = Path(path)
        try:
            data = read_plain(folder, MANIFEST, MAX_MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise PackageError(
                f"{folder}: no {MANIFEST}; expected an edge package; give a folder written by edgehar export"
            ) from None
        if approve is not None:
            approve(data)
        try:
            if read_plain(folder, CHECKSUM, MAX_CHECKSUM_BYTES) != _checksum(data):
                raise PackageError(f"{folder / MANIFEST}: its sha256 differs from {CHECKSUM}; copy the package again")
        except FileNotFoundError:
            pass  # a package of an older version, or an edited manifest
        try:
            manifest = Manifest.from_json(strict_json(data))
        except ValueError as problem:
            raise PackageError(f"{folder / MANIFEST}: not valid JSON ({problem}); copy the package again") from None
        unlisted = manifest.needed_files - set(manifest.files)
        unlisted |= {found.name for found in folder.glob("*.onnx")} - set(manifest.files)
        if unlisted:
            raise PackageError(
                f"{folder}: {', '.join(map(repr, sorted(unlisted)[:9]))} not listed in the manifest; "
                "expected a checksum of each graph and array; copy the package again"
            )
        _check_sizes(folder, manifest)
        package = EdgePackage(folder, manifest)
        for name in manifest.files:
            package.read(name)
        return package

    def read(self, name: str) -> bytes:
        """The bytes of a file, verified against the manifest on each call.

        Raises PackageError for a file that the manifest does not list, a link, or another size or sha256.
        """
        facts = self.manifest.files.get(name)
        if facts is None:
            raise PackageError(f"{self.path}: the manifest lists no file {name!r}; export the model again")
        path = self.path / name
        try:
            data = read_plain(self.path, name, MAX_FILE_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise PackageError(f"{path}: missing, but listed in the manifest; copy the package again") from None
        if len(data) != facts["bytes"]:
            raise PackageError(f"{path}: {len(data)} bytes; expected {facts['bytes']}; copy the package again")
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise PackageError(f"{path}: its sha256 differs from the manifest; copy the package again")
        return data

    def graph(self, part: str, precision: str) -> Path:
        """Path of the graph of "encoder" or "head"; raises PackageError if the package lacks that precision."""
        parts = self.manifest.graphs.get(precision)
        if parts is None or part not in parts:
            raise PackageError(
                f"{self.path}: no {part} of precision {precision!r}; expected {' or '.join(self.manifest.graphs)}; "
                "choose one of these or run edgehar quantize"
            )
        return self.path / parts[part]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a .npz file by name; raises PackageError if they cannot be read."""
        try:
            return read_npz(self.read(name))
        except ValueError as problem:
            raise PackageError(f"{self.path / name}: not readable arrays ({problem}); copy the package again") from None


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    """Raise PackageError for invalid names, numbers or sizes of files, before reading them."""
    files = manifest.files
    own = sorted(set(files) & set(OWN_NAMES))
    if own:
        raise PackageError(f"{folder}: the manifest lists {own}; expected graphs and arrays; export the model again")
    sizes = [facts["bytes"] for facts in files.values()]
    if len(sizes) > MAX_FILES or any(not 0 <= size <= MAX_FILE_BYTES for size in sizes):
        raise PackageError(
            f"{folder}: {len(sizes)} files with up to {max(sizes)} bytes; expected at most {MAX_FILES} with up to "
            f"{MAX_FILE_BYTES} bytes each; export a smaller model"
        )
    if sum(sizes) > MAX_PACKAGE_BYTES:
        raise PackageError(
            f"{folder}: {sum(sizes)} bytes; expected {MAX_PACKAGE_BYTES} at most; export a smaller model"
        )


def _foreign_files(folder: Path) -> list[str]:
    """Names in a package's folder that do not belong to the package; with a damaged manifest, graphs and arrays do.

    Raises PackageError if the manifest is of another format.
    """
    names = [found.name for found in folder.iterdir() if found.name not in (*OWN_NAMES, ".lock")]
    try:
        entry = strict_json(read_plain(folder, MANIFEST, MAX_MANIFEST_BYTES))
    except (ValueError, PackageError):
        return sorted(name for name in names if not name.endswith((".onnx", ".npz")))
    if not isinstance(entry, dict) or cast(Json, entry).get("format") != FORMAT:
        raise PackageError(f"{folder}: its {MANIFEST} is not of an edge package; choose another --out")
    listed = cast(Json, entry).get("files")
    return sorted(set(names) - set(cast(Json, listed) if isinstance(listed, dict) else ()))


def write_package(path: Path, manifest: Manifest, files: dict[str, bytes | Path]) -> None:
    """Write a package atomically.

    Args:
        path: folder of the package. An existing package, even a damaged one, is replaced together with its signature.
        manifest: the manifest; its `files` is filled in.
        files: name -> bytes, or a file to copy: at least the graphs, calibration.npz and parity.npz.

    Raises:
        PackageError: the folder contains other files, or a file is missing or has an invalid name.
    """
    empty = path.is_dir() and all(found.name == ".lock" for found in path.iterdir())
    if path.exists() and not empty and not (path / MANIFEST).is_file():
        raise PackageError(f"{path}: not an edge package; expected a new folder or a package; choose another --out")
    foreign = [] if empty or not path.exists() else _foreign_files(path)
    if foreign:
        raise PackageError(
            f"{path}: contains {', '.join(foreign)}, which would be deleted; expected the files of a package only; "
            "move it elsewhere or choose another --out"
        )
    missing = sorted(manifest.needed_files - set(files))
    invalid = sorted(name for name in files if not is_plain(name) or name in OWN_NAMES)
    if missing or invalid:
        raise PackageError(f"{path}: missing {missing}, invalid {invalid}; expected the manifest's graphs and arrays")
    with atomic_folder(path) as folder:
        listed: dict[str, dict[str, Any]] = {}
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            (folder / name).write_bytes(data)
            listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        complete = dataclasses.replace(manifest, files=listed)
        text = (json.dumps(complete.to_json(), indent=1, allow_nan=False) + "\n").encode()
        if len(text) > MAX_MANIFEST_BYTES:
            raise PackageError(
                f"{path}: a manifest of {len(text)} bytes; expected {MAX_MANIFEST_BYTES} at most; use shorter names of "
                "labels, sensors and people"
            )
        (folder / MANIFEST).write_bytes(text)
        (folder / CHECKSUM).write_bytes(_checksum(text))
        (folder / CARD).write_text(model_card(complete), encoding="utf-8")
        EdgePackage.open(folder)  # verify before the package is replaced


def amend_package(package: Path | EdgePackage, files: dict[str, bytes | Path], **changes: Any) -> None:
    """Atomically add files to a package or change fields of its manifest; removes its signature.

    An opened package is written with the manifest it was opened with: nothing that changed on disk since is trusted.
    """
    package = package if isinstance(package, EdgePackage) else EdgePackage.open(package)
    existing: dict[str, bytes | Path] = {name: package.read(name) for name in package.manifest.files}
    write_package(package.path, dataclasses.replace(package.manifest, **changes), existing | files)
