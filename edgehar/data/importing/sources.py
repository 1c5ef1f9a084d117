"""Finds the files to import, inside zip archives too, and recognises their format."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkdtemp

from edgehar.data.importing.takes import Remarks
from edgehar.errors import ConfigError, DataError
from edgehar.files.unzip import MAX_UNPACKED_BYTES, unpack

FORMATS = {
    "table": (".csv", ".tsv", ".txt", ".log", ".dat", ".tab"),
    "ntu": (".skeleton",),
    "keypoints": (".json",),
    "bvh": (".bvh",),
}
"""Format -> endings of its files."""
ARCHIVE = ".zip"
MAX_NESTED = 3
"""Archives inside each other that are unpacked."""
_UNPACK_IT, _SAVE_AS_CSV = "not imported: unpack it first", "not imported: save the sheet as .csv"
CURES = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz"), _UNPACK_IT),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), _SAVE_AS_CSV),
    "": "not imported: its name has no ending; add .csv if it is a table",
}
"""Ending of a file that is not read -> what to do."""


@dataclass(frozen=True)
class FoundFile:
    """A file.

    Attributes:
        path: where it is.
        shown: its path as it is shown and compared with names: relative to the source, archives as folders.
        archive: the outermost archive that holds it, as it is shown, or None.
    """

    path: Path
    shown: PurePosixPath
    archive: PurePosixPath | None = None

    def text(self) -> str:
        """Its text, UTF-8 or UTF-16 with a byte order mark, otherwise Latin-1."""
        data = self.path.read_bytes()
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")


def _ending(file: FoundFile) -> str:
    return file.path.suffix.casefold()


def _files(folder: Path, shown: PurePosixPath, archive: PurePosixPath | None, remarks: Remarks) -> list[FoundFile]:
    """Files below a folder, apart from hidden ones; remarks on links and devices."""
    hidden = (".", "__MACOSX")
    found: list[FoundFile] = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(hidden) for part in parts):
            continue
        if path.is_file():
            found.append(FoundFile(path, shown / PurePosixPath(*parts), archive))
        elif path.is_symlink() or not path.is_dir():
            what = "a link to a folder; import that folder" if path.is_dir() else "a broken link, or a device"
            remarks.add(str(shown / PurePosixPath(*parts)), f"not imported: {what}")
    return found


def _unpacked(files: list[FoundFile], temporary: Path, remarks: Remarks, depth: int = 1) -> list[FoundFile]:
    """The files, with those of archives in place of the archives."""
    found: list[FoundFile] = []
    for file in files:
        if _ending(file) != ARCHIVE:
            found.append(file)
            continue
        folder = Path(mkdtemp(dir=temporary))
        try:
            if depth > MAX_NESTED:
                raise DataError(f"more than {MAX_NESTED} archives inside each other")
            unpack(file.path, lambda path: path, folder)
            if sum(path.stat().st_size for path in temporary.rglob("*")) > MAX_UNPACKED_BYTES:
                raise DataError(f"more than {MAX_UNPACKED_BYTES >> 30} GiB in all")
        except DataError as problem:
            why = str(problem).removeprefix(f"{file.path}: ").partition("; expected")[0]
            remarks.add(str(file.shown), f"cannot be unpacked ({why}); left out")
            continue
        shown = file.shown.with_suffix("")
        inside = _files(folder, shown, file.archive or shown, remarks)
        found += _unpacked(inside, temporary, remarks, depth + 1)
    return found


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
    with TemporaryDirectory() as temporary:
        if source.is_dir():
            listed = _files(source, PurePosixPath(), None, remarks)
        else:
            listed = [FoundFile(source, PurePosixPath(source.name))]
        yield _unpacked(listed, Path(temporary), remarks)


def only_archive(files: list[FoundFile]) -> str:
    """The archive that holds all files, as a folder: "day1/"; empty if there are several or none."""
    archives = {file.archive for file in files}
    return f"{archive}/" if len(archives) == 1 and (archive := archives.pop()) is not None else ""


def _format_of(file: FoundFile) -> str | None:
    return next((name for name, endings in FORMATS.items() if _ending(file) in endings), None)


def choose_format(
    source: Path, files: list[FoundFile], given: str | None, remarks: Remarks
) -> tuple[str, list[FoundFile]]:
    """The format to import and its files; remarks on all others.

    Raises:
        ConfigError: files of several formats and none chosen.
        DataError: no file of the format, or of any.
    """
    by_format = {name: [file for file in files if _format_of(file) == name] for name in FORMATS}
    present = [name for name, own in by_format.items() if own]
    if given is None and len(present) > 1 and "table" in present:  # text files accompany recordings of other formats
        rest = [name for name in present if name != "table"]
        only_notes = all(_ending(file) != ".csv" for file in by_format["table"])
        present = rest if only_notes else present
    endings = Counter(_ending(file) or "without ending" for file in files)
    listing = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(6)) or "no file"
    if given is None and len(present) > 1:
        raise ConfigError(f"{source}: {listing}; expected one format; choose with --format {' or '.join(present)}")
    chosen = given or (present[0] if present else None)
    if chosen is None or not by_format[chosen]:
        expected = f"files of {chosen or 'a known format'}: "
        expected += ", ".join(FORMATS[chosen] if chosen else sum(FORMATS.values(), ()))
        cures = {f"{file.shown.name} {cure}" for file in files if (cure := CURES.get(_ending(file)))}
        found = "; ".join([listing, *remarks.lines()[:3], *sorted(cures)[:3]])
        raise DataError(f"{source}: {found}; expected {expected}, or {ARCHIVE} archives of them")
    for file in files:
        if _format_of(file) != chosen:
            other = f"not imported: expected {', '.join(FORMATS[chosen])}"
            remarks.add(str(file.shown), CURES.get(_ending(file), other))
    return chosen, by_format[chosen]
