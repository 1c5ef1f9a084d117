"""Downloads from a local server: complete, interrupted, damaged, refused; malicious archives."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgehar.data.public import fetch as fetching
from edgehar.data.public.fetch import DOWNLOADS, Archive, Download, download_archive, fetch
from edgehar.errors import DataError
from edgehar.files.unzip import unpack


class Server(ThreadingHTTPServer):
    """Serves `files`; cuts the connection of each response after `cut_after` bytes, `cuts` times."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cuts = 0
        self.cut_after = 0
        self.failures = 0
        self.requested: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        asked = self.headers.get("Range")
        self.server.requested.append(asked)
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        if content is None:
            self.send_error(404)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(content[first : first + self.server.cut_after])
            self.close_connection = True
            return
        self.wfile.write(content[first:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.0)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def no_progress(have: int, total: int | None) -> None:
    """Show no progress."""


CONTENT = bytes(range(256)) * 400


def get(server: Server, out: Path, checksum: str | None = None, lines: list[str] | None = None) -> Path:
    archive = Archive(server.address + "/x.zip", "x.zip", checksum)
    return download_archive(archive, "http://page", out, (lines if lines is not None else []).append, no_progress)


def test_downloads_a_file_and_reports_its_checksum(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    lines: list[str] = []
    assert get(server, tmp_path, None, lines).read_bytes() == CONTENT
    assert len(lines) == 1
    assert lines[0].startswith(f"x.zip: sha256 {hashlib.sha256(CONTENT).hexdigest()}, as received")
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requested) == 1  # the second call uses the file


def test_a_cut_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    server.cuts, server.cut_after = 5, 20_000
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    lines: list[str] = []
    assert get(server, tmp_path, f"md5:{md5}", lines).read_bytes() == CONTENT
    assert server.requested == [None, *(f"bytes={20_000 * part}-" for part in range(1, 6))]
    assert server.address in lines[0]
    assert lines[-1] == f"x.zip: md5 {md5}, as published"


def test_a_partial_file_of_an_earlier_run_is_used(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    (tmp_path / "x.zip.part").write_bytes(CONTENT[:70_000])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.requested == ["bytes=70000-"]
    (tmp_path / "x.zip").rename(tmp_path / "x.zip.part")  # complete, but not yet renamed
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_discarded(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    (tmp_path / "x.zip.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    server.ranges, server.cuts, server.cut_after = False, 1, 20_000
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_an_overloaded_server_is_retried(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    server.failures = 2
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_fails_after_three_attempts_without_a_new_byte(server: Server, tmp_path: Path) -> None:
    server.failures = 99
    with pytest.raises(DataError, match=r"503.*; expected a zip file"):
        get(server, tmp_path)
    assert len(server.requested) == fetching.TRIES


def test_not_found_is_final(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"404.*http://page .*x\.zip"):
        get(server, tmp_path)
    assert len(server.requested) == 1


def test_connection_refused_and_other_schemes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.0)
    archive = Archive("http://127.0.0.1:1/x.zip", "x.zip")
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:1/x\.zip: .*refused"):
        download_archive(archive, "http://page", tmp_path, [].append, no_progress)
    with pytest.raises(DataError, match="file:///etc/passwd: "):
        download_archive(Archive("file:///etc/passwd", "x.zip"), "http://page", tmp_path, [].append, no_progress)


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = CONTENT
    with pytest.raises(DataError, match="expected 00, as published"):
        get(server, tmp_path, "sha256:00")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.zip").write_bytes(b"put here by hand")
    with pytest.raises(DataError, match=r"x\.zip: sha256 .*; expected 00"):
        get(server, tmp_path, "sha256:00")
    assert (tmp_path / "x.zip").exists()


def test_utd_mhad_is_unpacked_where_the_loader_reads_it(server: Server, tmp_path: Path) -> None:
    inside = {
        "Inertial/a1_s1_t1_inertial.mat": b"i",
        "a1_s1_t1_skeleton.mat": b"s",
        "notes.txt": b"",
        "__MACOSX/a2_s1_t1_skeleton.mat": b"",
    }
    server.files["/x.zip"] = zipped(inside)
    official = DOWNLOADS["utd-mhad"]
    archives = (Archive(server.address + "/x.zip", "x.zip"),)
    download = Download(official.page, official.licence, official.member, archives, folders=official.folders)
    lines: list[str] = []
    assert fetch("utd-mhad", download, tmp_path, lines.append, no_progress) == 2
    assert (tmp_path / "Inertial" / "a1_s1_t1_inertial.mat").read_bytes() == b"i"
    assert (tmp_path / "Skeleton" / "a1_s1_t1_skeleton.mat").read_bytes() == b"s"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Inertial", "Skeleton", "x.zip"]
    assert official.licence in lines[1]


def test_sp_sw_har_is_fetched_by_its_zenodo_record(server: Server, tmp_path: Path) -> None:
    archive = zipped(
        {"geo-1/DATA/s01/s01_01_sp.csv": b"x", "geo-1/DATA/subjects_info.csv": b"", "geo-1/README.md": b""}
    )
    md5 = hashlib.md5(archive, usedforsecurity=False).hexdigest()
    entry = {"key": "geo/v1.zip", "checksum": f"md5:{md5}", "links": {"self": server.address + "/files/v1.zip"}}
    server.files["/record"] = json.dumps({"files": [entry, {**entry, "key": "readme.pdf"}]}).encode()
    server.files["/files/v1.zip/content"] = archive
    official = DOWNLOADS["sp-sw-har"]
    download = Download(official.page, official.licence, official.member, record=server.address + "/record")
    lines: list[str] = []
    assert fetch("sp-sw-har", download, tmp_path, lines.append, no_progress) == 2
    assert (tmp_path / "DATA" / "s01" / "s01_01_sp.csv").read_bytes() == b"x"
    assert lines[-1] == f"v1.zip: md5 {md5}, as published"
    for broken in (b"", b"[]", b'{"files": []}', b'{"files": [{}]}', b'{"files": 3}'):
        server.files["/record"] = broken
        with pytest.raises(DataError, match="/record: "):
            fetch("sp-sw-har", download, tmp_path, lines.append, no_progress)


def keep(path: str) -> str | None:
    return path if path.endswith(".mat") else None


@pytest.mark.parametrize("name", ["../evil.mat", "/evil.mat", "a/../../evil.mat", "..\\evil.mat", "C:\\evil.mat"])
def test_no_path_leaves_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({name: b"x"}))
    with pytest.raises(DataError, match=r"x\.zip: .*evil\.mat"):
        unpack(tmp_path / "x.zip", keep, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"a.mat": bytes(50_000_000)}))
    with pytest.raises(DataError, match=r"a\.mat.* 50000000 bytes"):
        unpack(tmp_path / "x.zip", keep, tmp_path / "out")


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    whole = zipped({"a.mat": CONTENT})
    for content in (b"", b"<html>", whole[: len(whole) // 2], whole[:60] + b"\x00\xff\x00" + whole[63:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.zip: "):
            unpack(path, keep, tmp_path / "out")
    path.write_bytes(zipped({"readme": b""}))
    with pytest.raises(DataError, match=r"x\.zip: no file"):
        unpack(path, keep, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
