"""Which files are imported: archives in archives, and a line for each file that is not read."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgehar import cli
from tests.edgehar.data.importing.conftest import Importer
from tests.edgehar.data.importing.logger_files import csv_text, samples

TIMES_S, VALUES = samples()
TEXT = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES)


def packed(files: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_archives_inside_archives_are_unpacked(imported: Importer) -> None:
    inner = packed({"Raw Data.csv": TEXT})
    files: dict[str, str | bytes] = {"all.zip": packed({"ann_walk_1/acc.csv": TEXT, "bob_run_1.zip": inner})}
    found = imported(files, "--names", "{subject}_{label}_{trial}", source="src/all.zip")
    assert [(clip.name, clip.subject) for clip in found.dataset.clips] == [("ann_walk_1", "ann"), ("bob_run_1", "bob")]
    assert "left out" not in found.printed


def test_archives_are_unpacked_to_a_depth(imported: Importer) -> None:
    deep = packed({"r.csv": TEXT})
    for level in range(5):
        deep = packed({f"{level}.zip": deep})
    found = imported({"deep.zip": deep, "r1.csv": TEXT})
    assert "deep/4/3/2.zip: cannot be unpacked (more than 3 archives inside each other); left out" in found.printed


def test_several_archives_keep_their_names(imported: Importer) -> None:
    found = imported({"day1.zip": packed({"walk.csv": TEXT}), "day2.zip": packed({"walk.csv": TEXT})})
    assert [clip.name for clip in found.dataset.clips] == ["day1_walk", "day2_walk"]


def test_files_that_are_not_read_are_named(imported: Importer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "r2.csv").write_text(TEXT)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "linked").symlink_to(other)
    (tmp_path / "src" / "lost").symlink_to(tmp_path / "nothing")
    found = imported({
        "r1.csv": TEXT, "r2.csv.gz": b"x", "r3.xlsx": b"x", "r4": TEXT, "film.mp4": b"x", ".DS_Store": b"x",
    })  # fmt: skip
    assert [clip.name for clip in found.dataset.clips] == ["r1"]
    for line in (
        "linked: not imported: a link to a folder; import that folder",
        "lost: not imported: a broken link, or a device",
        "r2.csv.gz: not imported: unpack it first",
        "r3.xlsx: not imported: save the sheet as .csv",
        "r4: not imported: its name has no ending; add .csv if it is a table",
        "film.mp4: not imported: expected .csv",
    ):
        assert line in found.printed
    assert "DS_Store" not in found.printed


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a.zip": b"PK\3\4 not a zip"}, "a.zip: cannot be unpacked (File is not a zip file)"),
        ({"a.zip": packed({"../../b.csv": TEXT})}, "the path '../../b.csv' leads out of the folder"),
        ({"a.xlsx": b"x"}, "1 .xlsx; a.xlsx not imported: save the sheet as .csv"),
        ({"a.csv.gz": b"x"}, "1 .gz; a.csv.gz not imported: unpack it first"),
        ({"a.mat": b"x"}, "1 .mat; expected"),
    ],
    ids=["damaged", "outside", "sheet", "compressed", "other"],
)
def test_a_source_without_recordings_says_why(
    files: dict[str, str | bytes], found: str, refused: Callable[..., str]
) -> None:
    message = refused(files)
    assert found in message
    assert ".bvh, or .zip archives of them" in message


def test_an_output_that_is_a_file_is_named_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert cli.main(["data", "import", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert f"{tmp_path / 'out'}: a file; expected a new or empty folder" in capsys.readouterr().err
