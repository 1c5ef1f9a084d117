"""The built distribution: one top-level package that holds every module, from the source archive, too."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = {"edgehar": "edgehar", "teacher": "edgehar/teacher", "student": "edgehar/student", "deploy": "edgehar/deploy"}


def build(kind: str, source: Path, out: Path) -> Path:
    """Build a distribution of a checkout or an unpacked source archive; no network is needed."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def modules_of_the_checkout() -> set[str]:
    """Every module by the path it is installed under; folders below the links are listed once, by their target."""
    return {
        f"{installed}/{path.relative_to(REPOSITORY / folder).as_posix()}"
        for folder, installed in FOLDERS.items()
        for path in (REPOSITORY / folder).rglob("*.py")
        if not (folder == "edgehar" and path.relative_to(REPOSITORY).parts[1] in FOLDERS)
    }


@pytest.mark.parametrize("through_source_archive", [False, True], ids=["wheel", "wheel from sdist"])
def test_the_wheel_holds_edgehar_alone_and_all_of_it(through_source_archive: bool, tmp_path: Path) -> None:
    source = REPOSITORY
    if through_source_archive:
        with tarfile.open(build("sdist", REPOSITORY, tmp_path / "sdist")) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
        (source,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", source, tmp_path / "wheel")) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"edgehar"}
    assert {name for name in names if name.endswith(".py")} == modules_of_the_checkout()
    assert "edgehar/py.typed" in names
    shipped = {f"edgehar/teacher/pretraining/shipped/{name}" for name in ("weights.safetensors", "CARD.md")}
    assert shipped <= set(names)


@pytest.mark.parametrize("folder", ["teacher", "student", "deploy"])
def test_a_folder_at_the_top_is_what_edgehar_imports(folder: str) -> None:
    assert (REPOSITORY / "edgehar" / folder).resolve() == (REPOSITORY / folder).resolve()
