"""Tests of `edgehar calibrate`: stored values, rejected logits, manifests with a calibration."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.deploy.packaging import calibrate
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.packaging.verify import FAILED, verify
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError, PackageError
from edgehar.metrics.calibration import negative_log_likelihood
from edgehar.package.folder import EdgePackage, Manifest, model_card
from tests.deploy.running import ROOT
from tests.deploy.tiny_package import LABELS, PROVENANCE, calibrated, write_tiny_package

GOLDEN = ROOT / "tests" / "golden" / "package_v1"


def arrays(windows: int = 60, **changes: Any) -> dict[str, Any]:
    """Overconfident out-of-fold logits: three times too large."""
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((windows, len(LABELS)))
    label = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    subject = np.where(np.arange(windows) % 2, "s1", "s3")
    clip = np.asarray([f"c{number}" for number in range(windows)], np.str_)
    names = {"labels": np.asarray(LABELS), "modalities": np.asarray(["skeleton", "inertial"])}
    stored = {"logits": (3 * logits).astype(np.float32), "label": label, "subject": subject, "clip": clip}
    return stored | names | changes


def save(path: Path, **changes: Any) -> Path:
    np.savez(path, **{name: array for name, array in arrays(**changes).items() if array is not None})
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write_tiny_package(tmp_path / "package", provenance=PROVENANCE)
    return tmp_path / "package"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_logits_of_a_network_on_its_test_people_calibrate_as_those_of_cross_validation(
    package: Path, tmp_path: Path
) -> None:
    logits = arrays()["logits"]
    of_sets = np.stack([logits, np.zeros_like(logits)])  # all sensors first
    fed = np.asarray(["skeleton+inertial", "skeleton"])
    calibrate.calibrate(package, save(tmp_path / "network.npz", logits=of_sets, fed=fed))
    found = EdgePackage.open(package).manifest.calibration
    assert found == calibrate.calibrate(package, save(tmp_path / "folds.npz"))
    with pytest.raises(DataError, match="expected logits"):
        calibrate.calibrate(package, save(tmp_path / "flat.npz", logits=logits[0], fed=fed))


def test_fitted_values_are_stored_and_printed(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(package)
    arguments = [str(package), "--out-of-fold", str(save(tmp_path / "logits.npz")), "--coverage", "0.9"]
    assert calibrate.main(arguments) == 0
    *text, last = capsys.readouterr().out.splitlines()
    found = EdgePackage.open(package).manifest.calibration
    assert found is not None
    assert json.loads(last) == {"package": str(package), "calibration": found.to_json()}
    assert any("never" in line or "unknown below" in line for line in text)
    stored = arrays()
    assert 2 < found.temperature < 4.5
    assert found.nll_before == pytest.approx(negative_log_likelihood(stored["logits"], stored["label"]))
    assert found.nll_after < found.nll_before
    assert found.ece_after < found.ece_before
    assert (found.windows, found.subjects, found.coverage) == (60, ("s1", "s3"), 0.9)
    soft = np.exp(stored["logits"] / found.temperature)
    top = (soft / soft.sum(1, keepdims=True)).max(1)
    assert found.threshold == pytest.approx(np.sort(top)[60 - 54], abs=1e-6)
    after = contents(package)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"manifest.json", "manifest.sha256", "MODEL_CARD.md"}
    assert [check.found for check in verify(package) if check.result == FAILED] == []
    card = after["MODEL_CARD.md"].decode()
    assert "## Calibration" in card
    assert f"{found.ece_after:.6g}" in card
    assert '"unknown"' in card


def test_without_a_coverage_no_threshold_is_stored(package: Path, tmp_path: Path) -> None:
    found = calibrate.calibrate(package, save(tmp_path / "logits.npz"))
    assert (found.threshold, found.coverage) == (None, None)
    assert "unknown" not in (package / "MODEL_CARD.md").read_text()
    assert "never unknown" in calibrate.summary(found)
    # A second calibration replaces the first.
    calibrate.calibrate(package, tmp_path / "logits.npz", 1.0)
    again = EdgePackage.open(package).manifest.calibration
    assert again is not None
    assert again.threshold is not None
    assert again.temperature == found.temperature


def test_quantize_keeps_the_calibration(package: Path, tmp_path: Path) -> None:
    found = calibrate.calibrate(package, save(tmp_path / "logits.npz"), 0.8)
    quantize(package)
    assert EdgePackage.open(package).manifest.calibration == found


REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "other labels": ({"labels": np.asarray([*LABELS[:-1], "jump"])}, "jump"),
    "labels in another order": ({"labels": np.asarray(LABELS[::-1])}, "sit, walk, throw, clap, wave"),
    "other modalities": ({"modalities": np.asarray(["skeleton"])}, "skeleton"),
    "a test subject": ({"subject": np.asarray(["s1", "s2"] * 30)}, "s2"),
    "a stranger": ({"subject": np.asarray(["s1", "s9"] * 30)}, "s9"),
    "not finite": ({"logits": np.full((60, 5), np.nan, np.float32)}, "not finite"),
    "too large for float32": ({"logits": np.full((60, 5), 1e300)}, "not finite"),
    "one row": ({"windows": 1}, "2 or more"),
    "no row": ({"windows": 0}, "2 or more"),
    "fewer labels than rows": ({"label": np.zeros(59, np.int64)}, "label"),
    "subjects in a table": ({"subject": np.full((60, 2), "s1")}, "shapes"),
    "flat logits": ({"logits": np.zeros(60, np.float32)}, "shapes"),
    "one number": ({"logits": np.float32(0), "label": np.int64(0), "subject": "s1", "clip": "c"}, "shapes"),
    "fewer columns than labels": ({"logits": np.zeros((60, 4), np.float32)}, "shapes"),
    "a class out of range": ({"label": np.full(60, 5)}, "labels 5"),
    "labels as text": ({"label": np.full(60, "wave")}, "<U4 in label"),
    "logits as text": ({"logits": np.full((60, 5), "1")}, "<U1 in logits"),
    "subjects as numbers": ({"subject": np.arange(60)}, "int64 in subject"),
    "pickled objects": ({"clip": np.asarray([{"a": 1}] * 60, object)}, r"logits\.npz"),
    "no logits": ({"logits": None}, "logits"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_unsuitable_logits_are_rejected_and_change_nothing(package: Path, tmp_path: Path, case: str) -> None:
    changes, message = REJECTED[case]
    before = contents(package)
    stored = save(tmp_path / "logits.npz", **changes)
    with pytest.raises(DataError, match=message) as rejected:
        calibrate.calibrate(package, stored)
    assert "\n" not in str(rejected.value)
    assert contents(package) == before


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more", None], ids=str)
def test_other_files_are_rejected(package: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "logits.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"logits\.npz"):
        calibrate.calibrate(package, path)
    np.save(tmp_path / "single.npy", np.zeros((3, 5)))
    with pytest.raises(DataError, match=r"single\.npy"):
        calibrate.calibrate(package, tmp_path / "single.npy")
    whole = save(path).read_bytes()
    path.write_bytes(whole[:200] + bytes(100) + whole[300:])
    with pytest.raises(DataError, match=r"logits\.npz"):
        calibrate.calibrate(package, path)


@pytest.mark.parametrize("coverage", ["0", "-0.5", "1.01", "nan"])
def test_coverage_out_of_range_is_rejected(
    package: Path, tmp_path: Path, coverage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(package), "--out-of-fold", str(save(tmp_path / "logits.npz")), f"--coverage={coverage}"]
    assert guarded(calibrate.main, arguments) == 2
    assert "--coverage" in capsys.readouterr().err


def test_package_without_listed_subjects_is_rejected(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package", provenance={"data": "x", "split": "odd-even"})
    with pytest.raises(PackageError, match="train_subjects"):
        calibrate.calibrate(tmp_path / "package", save(tmp_path / "logits.npz"))


def test_activity_named_unknown_forbids_a_threshold(tmp_path: Path) -> None:
    labels = (*LABELS[:-1], "unknown")
    write_tiny_package(tmp_path / "package", labels=labels, provenance=PROVENANCE)
    stored = save(tmp_path / "logits.npz", labels=np.asarray(labels))
    with pytest.raises(ConfigError, match=r"--coverage: .*'unknown'"):
        calibrate.calibrate(tmp_path / "package", stored, 0.9)
    calibrate.calibrate(tmp_path / "package", stored)
    entry = json.loads((tmp_path / "package" / "manifest.json").read_text())
    entry["calibration"] |= {"threshold": 0.5, "coverage": 0.9}
    with pytest.raises(PackageError, match="unknown"):
        Manifest.from_json(entry)


def test_manifest_is_read_with_and_without_a_calibration(package: Path, tmp_path: Path) -> None:
    entry = json.loads((package / "manifest.json").read_text())
    assert "calibration" not in entry
    plain = Manifest.from_json(entry)
    assert plain.calibration is None
    assert "calibration" not in plain.to_json()
    assert "Calibration" not in model_card(plain)
    golden = json.loads((GOLDEN / "manifest.json").read_text())
    assert "calibration" not in golden
    assert Manifest.from_json(golden).calibration is None
    manifest = calibrated(package, tmp_path / "calibrated", 0.5).manifest
    written = json.loads((tmp_path / "calibrated" / "manifest.json").read_text())
    assert json.loads(json.dumps(manifest.to_json())) == written
    assert Manifest.from_json(written).calibration == manifest.calibration
    assert {name: value for name, value in written.items() if name != "calibration"} == entry


INVALID: dict[str, Callable[[dict[str, Any]], object]] = {
    "null": lambda entry: entry.update(calibration=None),
    "text": lambda entry: entry.update(calibration="good"),
    "empty": lambda entry: entry.update(calibration={}),
    "temperature 0": lambda entry: entry["calibration"].update(temperature=0),
    "huge temperature": lambda entry: entry["calibration"].update(temperature=10**400),
    "threshold without coverage": lambda entry: entry["calibration"].update(coverage=None),
    "unknown key": lambda entry: entry["calibration"].update(colour="red"),
    "missing key": lambda entry: entry["calibration"].pop("windows"),
    "subjects nested": lambda entry: entry["calibration"].update(subjects=[["s1"]]),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_calibration_is_a_package_error(package: Path, tmp_path: Path, case: str) -> None:
    calibrated(package, tmp_path / "calibrated", 0.5)
    path = tmp_path / "calibrated" / "manifest.json"
    entry = json.loads(path.read_text())
    INVALID[case](entry)
    path.write_text(json.dumps(entry))
    path.with_suffix(".sha256").unlink()
    with pytest.raises(PackageError) as rejected:
        EdgePackage.open(tmp_path / "calibrated")
    assert "\n" not in str(rejected.value)
