"""Two commands that change one package at the same time."""

import shutil
from pathlib import Path

import pytest

from edgehar.deploy.packaging import calibrate, quantize
from edgehar.deploy.runtime.signature import locked_package
from edgehar.errors import BusyError, PackageError


def test_second_command_is_rejected_and_changes_nothing(clip_package: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(clip_package, tmp_path / "package"))
    before = (package / "manifest.json").read_bytes()
    with locked_package(package):
        with pytest.raises(BusyError, match="another run is writing"):
            quantize.main([str(package)])
        with pytest.raises(BusyError, match="another run is writing"):
            calibrate.main([str(package), "--out-of-fold", "none.npz"])
    assert (package / "manifest.json").read_bytes() == before


def test_wrong_path_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"no manifest\.json"):
        quantize.main([str(tmp_path / "no" / "package")])
    assert list(tmp_path.iterdir()) == []
