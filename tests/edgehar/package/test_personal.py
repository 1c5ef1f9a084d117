"""Personal files: what is written is read again; damaged, foreign and hostile files are named."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.errors import PackageError
from edgehar.files.atomic import digest_of
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import Manifest
from edgehar.package.personal import (
    MAX_EXAMPLES,
    MAX_FILE_BYTES,
    Adaptation,
    Example,
    Personal,
    identity_of,
    read_personal,
    write_personal,
)
from tests.deploy.tiny_package import write_tiny_package

WIDTH = 16


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    path = tmp_path_factory.mktemp("package")
    write_tiny_package(path)
    return EdgePackage.open(path).manifest


def vector(seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(WIDTH).astype(np.float32)


def learnt(manifest: Manifest, examples: int = 2) -> Personal:
    listed = tuple(Example("juggle", 3, f"{index:064x}", vector(index)) for index in range(examples))
    return Personal(identity_of(manifest), WIDTH, listed, Adaptation(4, vector(8), vector(9)))


def test_file_is_read_as_written(tmp_path: Path, manifest: Manifest) -> None:
    path, written = tmp_path / "für anna.json", learnt(manifest)
    write_personal(path, written)
    found = read_personal(path, manifest)
    assert found.new_labels(manifest) == ("juggle",)
    assert found.adaptation is not None
    assert written.adaptation is not None
    assert [one.recording for one in found.examples] == [one.recording for one in written.examples]
    np.testing.assert_array_equal(found.examples[1].features, written.examples[1].features)
    np.testing.assert_array_equal(found.adaptation.shift, written.adaptation.shift)


def test_file_of_another_package_is_rejected(tmp_path: Path, manifest: Manifest) -> None:
    write_personal(tmp_path / "a.json", learnt(manifest))
    write_tiny_package(tmp_path / "other", seed=1)
    other = EdgePackage.open(tmp_path / "other").manifest
    with pytest.raises(PackageError, match=r"learnt with package .* expected .*choose the package"):
        read_personal(tmp_path / "a.json", other)


def test_missing_file_and_folder_are_named(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(PackageError, match="no such file"):
        read_personal(tmp_path / "none.json", manifest)
    with pytest.raises(PackageError, match="no file; expected a personal file"):
        read_personal(tmp_path, manifest)


def test_large_file_is_rejected_before_it_is_parsed(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "a.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(PackageError, match="more than 8388608 bytes"):
        read_personal(tmp_path / "a.json", manifest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "checksum"),
        ({"format_version": 2}, "format version 2; expected 1"),
        ({"format_version": None}, "format version None"),
        ({"width": 15}, "checksum"),
        ({"more": 1}, "the keys"),
    ],
)
def test_changed_file_is_rejected(tmp_path: Path, manifest: Manifest, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.json"
    write_personal(path, learnt(manifest))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PackageError, match=message):
        read_personal(path, manifest)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("label", "unknown", "unusable label"),
        ("label", "", "unusable label"),
        ("label", "a\x1b[2J", "unusable label"),
        ("label", 3, "label of another type"),
        ("windows", 0, "unusable label or count"),
        ("windows", True, "windows of another type"),
        ("recording", "zz", "unusable digest"),
        ("features", "AAAA", "not a personal file"),
        ("features", "AAAAAA==", "1 features instead of 16"),
        ("features", base64.b64encode(b"\xff" * 4 * WIDTH).decode(), "features that are not finite"),
    ],
)
def test_hostile_example_is_rejected_although_its_checksum_fits(
    tmp_path: Path, manifest: Manifest, key: str, value: Any, message: str
) -> None:
    path = tmp_path / "a.json"
    write_personal(path, learnt(manifest))
    document = json.loads(path.read_text())
    document["examples"][0][key] = value
    del document["checksum"]
    document["checksum"] = digest_of(document)
    path.write_text(json.dumps(document))
    with pytest.raises(PackageError, match=message):
        read_personal(path, manifest)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"format": "edgehar-personal"}', b"[" * 99])
def test_other_content_is_rejected(tmp_path: Path, manifest: Manifest, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(PackageError, match=r"not a personal file, or damaged|format version"):
        read_personal(tmp_path / "a.json", manifest)


def test_too_many_examples_are_rejected(tmp_path: Path, manifest: Manifest) -> None:
    write_personal(tmp_path / "a.json", learnt(manifest, MAX_EXAMPLES + 1))
    with pytest.raises(PackageError, match="513 examples, more than 512"):
        read_personal(tmp_path / "a.json", manifest)


def test_every_truncation_is_rejected(tmp_path: Path, manifest: Manifest) -> None:
    write_personal(tmp_path / "a.json", learnt(manifest))
    data = (tmp_path / "a.json").read_bytes()
    for length in range(0, len(data) - 2, 37):
        (tmp_path / "b.json").write_bytes(data[:length])
        with pytest.raises(PackageError):
            read_personal(tmp_path / "b.json", manifest)


def test_calibrating_a_package_keeps_its_personal_files(tmp_path: Path, clip_like: Path) -> None:
    from tests.deploy.tiny_package import calibrated

    before = EdgePackage.open(clip_like).manifest
    write_personal(tmp_path / "a.json", learnt(before))
    after = calibrated(clip_like, tmp_path / "calibrated", 0.5).package.manifest
    assert read_personal(tmp_path / "a.json", after).examples


@pytest.fixture
def clip_like(tmp_path: Path) -> Path:
    write_tiny_package(tmp_path / "package")
    return tmp_path / "package"
