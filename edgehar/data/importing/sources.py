"""Finds the files to import, inside zip archives too, and recognises their format."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from edgehar.data.importing.takes import Remarks
from edgehar.errors import ConfigError, DataError
from edgehar.files.unzip import unpack

FORMATS = {
    "table": (".csv", ".tsv", ".txt", ".log", ".dat", ".tab"),
    "ntu": (".skeleton",),
    "keypoints": (".json",),
    "bvh": (".bvh",),
}
"""Format -> endings of its files."""


@dataclass(frozen=True)
class FoundFile:
    """A file, and its path as it is shown and compared with names: relative to the source, archives as folders."""

    path: Path
    shown: PurePosixPath

    def text(self) -> str:
        """Its text, UTF-8 or UTF-16 with a byte order mark, otherwise Latin-1."""
        data = self.path.read_bytes()
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")


def _files(folder: Path, shown: PurePosixPath) -> list[FoundFile]:
    hidden = (".", "__MACOSX")
    return [
        FoundFile(path, shown / PurePosixPath(*path.relative_to(folder).parts))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(hidden) for part in path.relative_to(folder).parts)
    ]


@contextmanager
def found_files(source: Path, remarks: Remarks) -> Generator[list[FoundFile], None, None]:
    """All files of a source: a file, a folder, or a zip archive; archives are unpacked to a temporary folder.

    Raises:
        DataError: no such file, or a folder that is in edgehar's own format.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; expected recordings to import")
    if (source / "recordings.json").exists():
        raise DataError(f"{source}: already in edgehar's own format; pass it as --data {source}")
    listed = _files(source, PurePosixPath()) if source.is_dir() else [FoundFile(source, PurePosixPath(source.name))]
    with TemporaryDirectory() as temporary:
        files: list[FoundFile] = []
        for number, file in enumerate(listed):
            if file.path.suffix.casefold() != ".zip":
                files.append(file)
                continue
            folder = Path(temporary) / str(number)
            try:
                unpack(file.path, lambda path: path, folder)
            except DataError as problem:
                why = str(problem).removeprefix(f"{file.path}: ").partition("; expected")[0]
                remarks.add(str(file.shown), f"cannot be unpacked ({why}); left out")
                continue
            files += _files(folder, file.shown.with_suffix(""))
        yield files


def _format_of(file: FoundFile) -> str | None:
    ending = file.path.suffix.casefold()
    return next((name for name, endings in FORMATS.items() if ending in endings), None)


def choose_format(source: Path, files: list[FoundFile], given: str | None) -> tuple[str, list[FoundFile]]:
    """The format to import and its files.

    Raises:
        ConfigError: files of several formats and none chosen.
        DataError: no file of the format, or of any.
    """
    by_format = {name: [file for file in files if _format_of(file) == name] for name in FORMATS}
    present = [name for name, own in by_format.items() if own]
    if given is None and len(present) > 1 and "table" in present:  # text files accompany recordings of other formats
        rest = [name for name in present if name != "table"]
        only_notes = all(file.path.suffix.casefold() != ".csv" for file in by_format["table"])
        present = rest if only_notes else present
    endings = Counter(file.path.suffix.casefold() or "without ending" for file in files)
    listing = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(6)) or "no file"
    if given is None and len(present) > 1:
        raise ConfigError(f"{source}: {listing}; expected one format; choose with --format {' or '.join(present)}")
    chosen = given or (present[0] if present else None)
    if chosen is None or not by_format[chosen]:
        expected = f" ({', '.join(FORMATS[chosen])})" if chosen else f": {', '.join(sum(FORMATS.values(), ()))}"
        raise DataError(f"{source}: {listing}; expected files of {chosen or 'a known format'}{expected}")
    return chosen, by_format[chosen]
