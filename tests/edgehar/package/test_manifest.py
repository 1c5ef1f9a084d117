"""The manifest of an edge package keeps what is optional about a sensor."""

import json
from pathlib import Path

import pytest

from edgehar.errors import PackageError
from edgehar.package.folder import EdgePackage, Manifest
from edgehar.signals.modality import ModalitySpec
from tests.deploy.tiny_package import write_tiny_package


def test_names_of_channels_lost_joints_and_mirror_are_kept(tmp_path: Path) -> None:
    watch = ModalitySpec("watch", 3, "g", 50, 4, columns=("ax", "ay", "az"), mirror="x")
    hand = ModalitySpec("hand", 6, "m", 30, 2, joints=("palm", "tip"), parents=(0, 0), lost_joints=True)
    write_tiny_package(tmp_path / "package", specs=(watch, hand))
    assert EdgePackage.open(tmp_path / "package").manifest.modalities == (watch, hand)
    entry = json.loads((tmp_path / "package" / "manifest.json").read_text())
    assert "lost_joints" not in entry["modalities"][0]
    assert not {"columns", "mirror"} & set(entry["modalities"][1])
    for key, value in (
        ("columns", ["a"]),
        ("columns", [1, 2, 3]),
        ("columns", "abc"),
        ("lost_joints", 1),
        ("mirror", "w"),
    ):
        changed = json.loads(json.dumps(entry))
        changed["modalities"][0][key] = value
        with pytest.raises(PackageError, match="manifest"):
            Manifest.from_json(changed)
