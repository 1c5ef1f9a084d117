"""Downloads of public data sets: resumable, verified by the publisher's checksum, unpacked safely.

The publisher of UTD-MHAD states no checksum; the digest of the received file is shown, to compare between machines.
SP-SW-HAR is on Zenodo, whose record states an MD5 of each file.
"""

import hashlib
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from edgehar.errors import DataError
from edgehar.files.unzip import unpack

TRIES = 3
"""Consecutive attempts without a new byte before a download fails."""
PAUSE_S = 2.0
TIMEOUT_S = 60.0
MAX_ARCHIVE_BYTES = 2 << 30
_CHUNK_BYTES = 1 << 18

Report = Callable[[str], None]
Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total, or None if the server does not state it."""


@dataclass(frozen=True)
class Archive:
    """One zip file of a publisher; checksum as "algorithm:hex", or None if none is published."""

    url: str
    file_name: str
    checksum: str | None = None


@dataclass(frozen=True)
class Download:
    """Where a data set is published, and which files of its archives to unpack.

    Attributes:
        page: URL of the publisher's web page.
        licence: terms, shown before the download.
        member: matches the path of a file to unpack; its group "to" is the path to unpack it to.
        archives: the zip files, if their URLs are fixed.
        record: otherwise the URL of a Zenodo record (JSON) that lists the zip files and their checksums.
        folders: the match's group "kind" -> the folder to unpack into.
    """

    page: str
    licence: str
    member: re.Pattern[str]
    archives: tuple[Archive, ...] = ()
    record: str = ""
    folders: dict[str, str] = field(default_factory=lambda: dict[str, str]())

    def output_path(self, path: str) -> str | None:
        """Path of an archive's file below the output folder, or None if it is not needed."""
        match = self.member.fullmatch(path)
        if match is None or "__MACOSX" in path:
            return None
        folder = self.folders.get(match.groupdict().get("kind", ""), "")
        return f"{folder}/{match['to']}" if folder else match["to"]


_UTD = "https://personal.utdallas.edu/~kehtar/"
DOWNLOADS = {
    "utd-mhad": Download(
        page=_UTD + "UTD-MHAD.html",
        licence="no licence stated; for research use, cite Chen, Jafari, Kehtarnavaz, IEEE ICIP 2015",
        member=re.compile(r"(?:.*/)?(?P<to>a\d+_s\d+_t\d+_(?P<kind>skeleton|inertial)\.mat)"),
        # The folder on the server is spelled UTD-MAD.
        archives=(
            Archive(_UTD + "UTD-MAD/Skeleton.zip", "Skeleton.zip"),
            Archive(_UTD + "UTD-MAD/Inertial.zip", "Inertial.zip"),
        ),
        folders={"skeleton": "Skeleton", "inertial": "Inertial"},
    ),
    "sp-sw-har": Download(
        page="https://doi.org/10.5281/zenodo.8398688",
        licence="CC BY 4.0, cite Matey-Sanz, Casteleyn, Granell, Data in Brief 109809, 2023",
        member=re.compile(r"(?:.*/)?(?P<to>DATA/(?:s\d+/s\d+_\d+_s[pw]|subjects_info|executions_info)\.csv)"),
        record="https://zenodo.org/api/records/8398688",
    ),
}


def _advice(page: str, path: Path) -> str:
    return f"run the same command again, or download it with a browser from {page} and save it as {path}"


def _open(url: str, first_byte: int = 0) -> Any:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: not a web address; expected http or https; nothing was downloaded")
    headers = {"User-Agent": "edgehar", "Accept-Encoding": "identity"}
    if first_byte:
        headers["Range"] = f"bytes={first_byte}-"
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)


def _is_final(problem: Exception) -> bool:
    """Whether a retry cannot help: the server refuses the request, or its certificate is invalid."""
    if isinstance(problem, urllib.error.HTTPError):
        return problem.code < 500 and problem.code not in (408, 429)
    return isinstance(problem, urllib.error.URLError) and isinstance(problem.reason, ssl.SSLCertVerificationError)


def _reason(problem: Exception) -> str:
    """The message without urllib's wrapping."""
    return str(problem).removeprefix("<urlopen error ").removesuffix(">")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, progress: Progress) -> None:
    """Append the missing bytes to `part`; raises OSError or HTTPException if the connection fails."""
    have = _size(part)
    try:
        response = _open(url, have)
    except urllib.error.HTTPError as problem:
        with problem:
            if problem.code != 416:
                raise
            if problem.headers.get("Content-Range") == f"bytes */{have}":
                return
        part.unlink()
        raise OSError("the partial file of an earlier attempt is of another file") from None
    with response:
        # A server that ignores the range sends the whole file again.
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                have += len(chunk)
                if have > MAX_ARCHIVE_BYTES:
                    raise DataError(
                        f"{url}: more than {MAX_ARCHIVE_BYTES} bytes; expected a smaller file; the download was stopped"
                    )
                file.write(chunk)
                progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _receive_with_retries(archive: Archive, advice: str, part: Path, report: Report, progress: Progress) -> None:
    """Retry while bytes arrive; raises DataError after TRIES consecutive attempts without a new one."""
    received, failures = _size(part), 0
    while True:
        try:
            return _receive(archive.url, part, progress)
        except (OSError, http.client.HTTPException) as problem:
            if not isinstance(problem, urllib.error.URLError) and getattr(problem, "filename", None):
                raise  # an error of the file, not of the connection
            failures = 0 if _size(part) > received else failures + 1
            received = max(received, _size(part))
            if failures == TRIES or _is_final(problem):
                raise DataError(f"{archive.url}: {_reason(problem)}; expected a zip file; {advice}") from None
            report(f"{archive.url}: {_reason(problem)}; retrying")
            if failures:
                time.sleep(PAUSE_S)


def checksum_problem(path: Path, checksum: str | None, report: Report) -> str:
    """How a file differs from its published checksum, or an empty text; reports the file's own checksum."""
    algorithm, _, expected = (checksum or "sha256:").rpartition(":")
    algorithm = algorithm or "md5"  # some Zenodo records state an MD5 without its name
    if algorithm not in ("md5", "sha256"):
        return f"a published checksum of kind {algorithm!r}; expected md5 or sha256"
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    name, received = path.name.removesuffix(".part"), f"{digest.name} {digest.hexdigest()}"
    if checksum is None:
        report(f"{name}: {received}, as received; the publisher states no checksum to compare with")
    elif digest.hexdigest() != expected.lower():
        return f"{received}; expected {expected}, as published"
    else:
        report(f"{name}: {received}, as published")
    return ""


def download_archive(archive: Archive, page: str, folder: Path, report: Report, progress: Progress) -> Path:
    """Download one archive into `folder`, or resume an earlier download, and verify its checksum.

    An existing file of that name is verified and used.

    Returns:
        Path of the archive.

    Raises:
        DataError: the server cannot be reached or refuses, or the checksum differs from the published one.
    """
    path = folder / archive.file_name
    part = path.with_name(path.name + ".part")
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        wrong = checksum_problem(path, archive.checksum, report)
        if wrong:
            raise DataError(f"{path}: {wrong}; remove the file and run the same command again")
        return path
    advice = _advice(page, path)
    _receive_with_retries(archive, advice, part, report, progress)
    wrong = checksum_problem(part, archive.checksum, report)
    if wrong:
        part.unlink()
        raise DataError(f"{archive.url}: {wrong}; the received file was removed; {advice}")
    part.replace(path)
    return path


def record_archives(address: str) -> tuple[Archive, ...]:
    """The zip files of a Zenodo record with their published checksums; raises DataError."""
    try:
        with _open(address) as response:
            files = json.loads(response.read(1 << 24))["files"]
        archives: list[Archive] = []
        for entry in files:
            url, name = str(entry["links"]["self"]), PurePosixPath(entry["key"]).name
            if name.endswith(".zip"):
                archives.append(Archive(url if url.endswith("/content") else url + "/content", name, entry["checksum"]))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as problem:
        raise DataError(f"{address}: {problem}; expected the JSON of a Zenodo record; try again later") from None
    if not archives:
        raise DataError(f"{address}: lists no zip file; expected the data set's archive; check the page of the record")
    return tuple(archives)


def fetch(name: str, download: Download, out: Path, report: Report, progress: Progress) -> int:
    """Download and unpack a public data set; returns how many files were unpacked.

    Args:
        name: name of the data set, for the report.
        download: one of DOWNLOADS.
        out: folder to unpack into; the archives are kept in it.
        report: called with each line of progress text.
        progress: called as bytes arrive.

    Raises:
        DataError: see `record_archives`, `download_archive` and `edgehar.files.unzip.unpack`.
    """
    report(f"{name}: {download.page}")
    report(f"terms: {download.licence}")
    archives = download.archives or record_archives(download.record)
    paths = [download_archive(archive, download.page, out, report, progress) for archive in archives]
    return sum(unpack(path, download.output_path, out) for path in paths)
