"""Edge packages: round trip, golden package, damaged packages, writing and amending."""

import contextlib
import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar import load
from edgehar.errors import PackageError
from edgehar.package.folder import EdgePackage, Manifest, amend_package, model_card, write_package
from tests.deploy.tiny_package import write_tiny_package

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "package_v1"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package"
    write_tiny_package(path)
    return path


def edit(package: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and remove its checksum."""
    entry = json.loads((package / "manifest.json").read_text())
    change(entry)
    (package / "manifest.json").write_text(json.dumps(entry))
    (package / "manifest.sha256").unlink(missing_ok=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_manifest_round_trip(tmp_path: Path) -> None:
    manifest, _ = write_tiny_package(tmp_path / "package")
    found = EdgePackage.open(tmp_path / "package").manifest
    assert found.labels == manifest.labels
    assert found.modalities == manifest.modalities
    assert found.window == manifest.window
    assert found.macs == manifest.macs
    for name, scale in manifest.normalisation.scale.items():
        np.testing.assert_array_equal(found.normalisation.scale[name], scale)
    assert json.loads(json.dumps(found.to_json())) == json.loads((tmp_path / "package/manifest.json").read_text())


def test_golden_package_gives_the_stored_predictions() -> None:
    recognizer = load(GOLDEN)
    expected = json.loads((GOLDEN.parent / "package_v1_answers.json").read_text())
    assert recognizer.manifest.labels == tuple(expected["labels"])
    times = np.arange(expected["samples"]) / recognizer.manifest.modalities[0].rate_hz
    signal = np.stack([np.sin(times * (channel + 1)) for channel in range(3)], axis=1)
    found = [window.probabilities for window in recognizer.predict_windows({"watch": signal})]
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-4)


def test_golden_manifest_round_trip() -> None:
    entry = json.loads((GOLDEN / "manifest.json").read_text())
    assert json.loads(json.dumps(Manifest.from_json(entry).to_json())) == entry


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed byte of the manifest": lambda path: flip(path / "manifest.json"),
    "changed byte of its checksum": lambda path: flip(path / "manifest.sha256"),
    "changed byte": lambda path: flip(path / "head.fp32.onnx"),
    "truncated graph": lambda path: (path / "encoder.fp32.onnx").write_bytes(
        (path / "encoder.fp32.onnx").read_bytes()[:-100]
    ),
    "missing file": lambda path: (path / "parity.npz").unlink(),
    "missing manifest": lambda path: (path / "manifest.json").unlink(),
    "manifest is not JSON": lambda path: rewrite(path, b"{"),
    "manifest is a list": lambda path: rewrite(path, b"[]"),
    "manifest is binary": lambda path: rewrite(path, b"\xff\xfe\x00"),
    "manifest is nested deeply": lambda path: rewrite(path, b"[" * 100_000),
    "manifest with NaN": lambda path: edit(path, lambda entry: entry["window"].update(step_s=float("nan"))),
    "unknown version": lambda path: edit(path, lambda entry: entry.update(format_version=2)),
    "version as text": lambda path: edit(path, lambda entry: entry.update(format_version="1")),
    "another format": lambda path: edit(path, lambda entry: entry.update(format="zip")),
    "missing key": lambda path: edit(path, lambda entry: entry.pop("labels")),
    "unknown key": lambda path: edit(path, lambda entry: entry.update(colour="red")),
    "wrong type": lambda path: edit(path, lambda entry: entry.update(token_dim="16")),
    "bool for a number": lambda path: edit(path, lambda entry: entry.update(parameters=True)),
    "labels that are not texts": lambda path: edit(path, lambda entry: entry.update(labels=[1, 2])),
    "same label twice": lambda path: edit(path, lambda entry: entry.update(labels=["a", "a"])),
    "modality named like an input": lambda path: edit(path, lambda e: e["modalities"][0].update(name="valid")),
    "modality with a wrong type": lambda path: edit(path, lambda e: e["modalities"][0].update(channels="60")),
    "inconsistent modality": lambda path: edit(path, lambda e: e["modalities"][0].update(channels=61)),
    "skeleton without a root": lambda path: edit(path, lambda e: e["modalities"][0]["parents"].__setitem__(3, 2)),
    "unknown window kind": lambda path: edit(path, lambda entry: entry["window"].update(kind="round")),
    "scale of 0": lambda path: edit(path, lambda entry: entry["normalisation"].update(inertial=[[0, 1], [1, 1]])),
    "scale of wrong shape": lambda path: edit(path, lambda entry: entry["normalisation"].update(inertial=[[1, 1]])),
    "scale that is not a number": lambda path: edit(path, lambda e: e["normalisation"].update(inertial=[["x", 1]])),
    "graph without a head": lambda path: edit(path, lambda entry: entry["graphs"]["fp32"].pop("head")),
    "unknown default precision": lambda path: edit(path, lambda entry: entry.update(default_precision="int4")),
    "graph that is not listed": lambda path: edit(path, lambda entry: entry["files"].pop("head.fp32.onnx")),
    "unlisted graph": lambda path: shutil.copy(path / "head.fp32.onnx", path / "other.onnx"),
    "file outside the folder": lambda path: lead_outside(path),
    "absolute file": lambda path: edit(path, lambda entry: entry["files"].update({"/etc/hostname": FACTS})),
    "symbolic link": lambda path: link(path / "head.fp32.onnx"),
    "size that is not a number": lambda path: edit(path, lambda e: e["files"]["parity.npz"].update(bytes="1")),
}
FACTS = {"sha256": "0" * 64, "bytes": 1}


def rewrite(package: Path, manifest: bytes) -> None:
    (package / "manifest.json").write_bytes(manifest)
    (package / "manifest.sha256").unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lead_outside(package: Path) -> None:
    shutil.copy(package / "head.fp32.onnx", package.parent / "head.onnx")

    def change(entry: dict[str, Any]) -> None:
        entry["graphs"]["fp32"]["head"] = "../head.onnx"
        entry["files"]["../head.onnx"] = entry["files"].pop("head.fp32.onnx")

    edit(package, change)
    (package / "head.fp32.onnx").unlink()


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere.onnx")
    path.symlink_to(path.parent.parent / "elsewhere.onnx")


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_package_is_an_error_of_one_line(package: Path, damage: str) -> None:
    DAMAGE[damage](package)
    with pytest.raises(PackageError) as refused:
        EdgePackage.open(package)
    assert len(str(refused.value).splitlines()) == 1


def test_command_with_a_damaged_package_has_exit_code_2(package: Path) -> None:
    flip(package / "head.fp32.onnx")
    command = [sys.executable, "-m", "edgehar.cli", "run", str(package), "--input", "inertial=nothing.csv"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=GOLDEN.parents[2])
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "sha256" in run.stderr
    assert run.stdout == ""


ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    [],
    [[]],
    [None],
    ["x"],
    [1.5],
    {},
    {"x": None},
    {"x": []},
]


def locations(entry: Any) -> list[tuple[Any, Any]]:
    """Each (container, key) in a JSON document."""
    items = list(entry.items() if isinstance(entry, dict) else enumerate(entry))
    inner = [location for _, value in items if isinstance(value, dict | list) for location in locations(value)]
    return [(entry, key) for key, _ in items] + inner


def test_unexpected_values_raise_nothing_but_a_package_error() -> None:
    # A skeleton, so that joints and parents are covered.
    entry = json.loads((GOLDEN / "manifest.json").read_text())
    parents = [0, 0, 1]
    entry["modalities"][0] |= {"channels": 9, "joints": ["hip", "knee", "foot"], "parents": parents}
    entry["normalisation"]["watch"] = [[1.0, 1.0]] * 3
    assert Manifest.from_json(entry).modalities[0].root == 0
    for container, key in locations(entry):
        before = container[key]
        for value in ODD_VALUES:
            container[key] = value
            with contextlib.suppress(PackageError):
                Manifest.from_json(entry)
        container[key] = before


def test_pickled_arrays_are_refused(package: Path) -> None:
    np.savez(package / "calibration.npz", tokens=np.asarray([{"a": 1}], object))
    data = (package / "calibration.npz").read_bytes()
    (package / "calibration.npz").unlink()
    amendment: dict[str, bytes | Path] = {"calibration.npz": data}
    files: dict[str, bytes | Path] = {path.name: path for path in package.iterdir() if path.suffix in (".onnx", ".npz")}
    manifest = Manifest.from_json(json.loads((package / "manifest.json").read_text()))
    write_package(package, manifest, files | amendment)
    with pytest.raises(PackageError, match=r"calibration\.npz: not readable arrays"):
        EdgePackage.open(package).arrays("calibration.npz")


def test_model_card_is_generated_from_the_manifest(package: Path) -> None:
    manifest = EdgePackage.open(package).manifest
    assert (package / "MODEL_CARD.md").read_text() == model_card(manifest)
    assert str(manifest.parameters) in model_card(manifest)
    assert manifest.files["head.fp32.onnx"]["sha256"] in model_card(manifest)


def test_amending_changes_the_manifest_only(package: Path) -> None:
    before = contents(package)
    amend_package(package, {}, metrics={"accuracy": 0.5, "wilson95": [0.4, 0.6], "confusion": [[1, 2], [3, 4]]})
    after = contents(package)
    assert EdgePackage.open(package).manifest.metrics["accuracy"] == 0.5
    assert "| wilson95 | 0.4, 0.6 |" in after["MODEL_CARD.md"].decode()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"manifest.json", "manifest.sha256", "MODEL_CARD.md"}


@pytest.mark.parametrize("name", ["../outside.onnx", "manifest.json", ".hidden", "a/b.onnx"])
def test_files_with_other_names_cannot_be_added(package: Path, name: str) -> None:
    before = contents(package)
    with pytest.raises(PackageError, match=re.escape(f"invalid [{name!r}]")):
        amend_package(package, {name: b""})
    assert contents(package) == before


def test_a_folder_without_a_package_is_not_replaced(package: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letters.txt").write_text("dear")
    with pytest.raises(PackageError, match=f"{home}: not an edge package"):
        write_tiny_package(home)
    assert (home / "letters.txt").read_text() == "dear"


def test_foreign_files_in_a_package_are_not_deleted(package: Path) -> None:
    for name in ("notes.txt", "mine.npz", "recordings"):
        (package / name).mkdir() if name == "recordings" else (package / name).write_text("dear")
        with pytest.raises(PackageError, match=f"contains {name}"):
            write_tiny_package(package)
        with pytest.raises(PackageError, match=f"contains {name}"):
            amend_package(package, {}, metrics={"accuracy": 0.5})
        (package / name).rmdir() if name == "recordings" else (package / name).unlink()
    write_tiny_package(package)


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "another"}'])
def test_a_manifest_of_another_format_is_not_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/manifest.json").write_text(content)
    with pytest.raises(PackageError, match=r"manifest\.json is not of an edge package"):
        write_tiny_package(tmp_path / "app")
    assert contents(tmp_path / "app") == {"manifest.json": content.encode()}


def test_a_damaged_package_is_replaced_unless_it_contains_foreign_files(package: Path) -> None:
    (package / "manifest.json").write_text("{")
    (package / "notes.txt").write_text("dear")
    with pytest.raises(PackageError, match=r"contains notes\.txt"):
        write_tiny_package(package)
    (package / "notes.txt").unlink()
    write_tiny_package(package)
    EdgePackage.open(package)


def test_a_package_is_written_to_the_target_of_a_link(package: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(package)
    write_tiny_package(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    EdgePackage.open(package)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "package"]


def test_a_full_disk_leaves_the_package_unchanged(package: Path) -> None:
    before = contents(package)
    run = subprocess.run(
        [sys.executable, "-m", "edgehar.cli", "quantize", str(package)],
        capture_output=True,
        text=True,
        check=False,
        cwd=GOLDEN.parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert run.returncode == 2
    assert "File too large" in run.stderr
    assert "Traceback" not in run.stderr
    assert contents(package) == before
    assert {path.name for path in package.parent.iterdir()} <= {package.name, f".{package.name}.lock"}
