"""What no package can hold is refused before training; what is accepted fits into a manifest."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.data.recordings.check import check
from edgehar.data.registry import DataOptions
from edgehar.errors import DataError, PackageError, SplitError
from edgehar.metrics.calibration import TemperatureScaling
from edgehar.package.folder import MANIFEST, MAX_MANIFEST_BYTES, EdgePackage, amend_package
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.limits import (
    MAX_DECLARATION_BYTES,
    MAX_LABELS,
    MAX_LISTED_BYTES,
    json_bytes,
    size_problem,
)
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.teacher.training.stage import load_stage_data
from tests.deploy.tiny_package import INERTIAL, write_tiny_package

WATCH = ModalitySpec("watch", 3, "g", 20.0, 1)
INFO = DatasetInfo("signs", (WATCH,), ("walk", "rest"), WindowSpec("clip", 4, 0.1))


def names(count: int, characters: int, letter: str = "x") -> tuple[str, ...]:
    return tuple(f"{number:04d}".ljust(characters, letter) for number in range(count))


def longest_names(count: int, limit: int) -> tuple[str, ...]:
    """Names that just fit into this many bytes of JSON."""
    return names(count, (limit - 1000) // count - len('  "",\n'))


def test_the_largest_declaration_fits_into_a_manifest(tmp_path: Path) -> None:
    labels = longest_names(MAX_LABELS, MAX_DECLARATION_BYTES)
    assert not size_problem(replace(INFO, labels=labels))
    assert size_problem(replace(INFO, labels=names(MAX_LABELS, len(labels[0]) + 2)))
    trained = longest_names(MAX_LABELS, MAX_LISTED_BYTES)
    assert MAX_LISTED_BYTES * 0.95 < json_bytes(trained) <= MAX_LISTED_BYTES
    provenance = {"split": "trial:0of5", "train_subjects": ["p0"], "test_subjects": ["p0"], "train_recordings": trained}
    package = tmp_path / "package"
    manifest, _ = write_tiny_package(package, specs=(INERTIAL,), labels=labels, provenance=provenance)
    scaling = TemperatureScaling(1.5, 0.5, 0.9, 9000, ("p0",), 0.1, 0.1, 0.2, 0.2)
    evaluation = {"correct": 1, "total": 2, "per_subject": {f"s{number}": {"correct": 1} for number in range(100)}}
    amend_package(package, {}, calibration=scaling, metrics={"torch": {"evaluation": evaluation}})
    assert EdgePackage.open(package).manifest.labels == manifest.labels
    assert MAX_MANIFEST_BYTES * 0.8 < (package / MANIFEST).stat().st_size <= MAX_MANIFEST_BYTES


def test_a_manifest_beyond_the_limit_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"manifest of .* expected 1048576 at most; use shorter names"):
        write_tiny_package(tmp_path / "package", specs=(INERTIAL,), labels=names(MAX_LABELS, 200, "ä"))
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": ["walk", "rest", *names(MAX_LABELS, 5)]},
            "1 modalities, 4098 labels; expected at most 32 and 4096",
        ),
        ({"labels": ["walk", "rest", "y" * 201]}, r"the name 'yyy.*' of 201 characters; expected up to 200"),
        ({"labels": ["walk", "rest", "a\tb"]}, "no control characters"),
        ({"labels": ["walk", "rest", *names(4000, 200)]}, r"4002 labels and 1 sensors of .* bytes .*use shorter names"),
        ({"name": "n" * 190}, "of 190 characters; expected up to 180"),
        ({"modalities": [WATCH.to_json() | {"rate_hz": 2e6}]}, r"watch at 2000000\.0 Hz; expected 0\.001 to 1e\+06 Hz"),
        ({"window": {"steps": 4, "step_s": 1e-5, "hop": 1}}, "a step of 1e-05 s"),
        ({"window": {"steps": 1 << 23, "step_s": 0.1, "hop": 1}}, "8388608 steps of 6 values"),
    ],
)
def test_what_no_package_holds_is_refused_before_training(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    values, valid = {"watch": np.ones((2, 3), np.float32)}, {"watch": np.ones(2, bool)}
    clips = tuple(
        Clip(f"r{subject}{label}", f"s{subject}", "1", values, valid, label)
        for subject in range(2)
        for label in range(2)
    )
    recordings.write(Dataset(INFO, clips), tmp_path / "data")
    header = tmp_path / "data" / "recordings.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | changes))
    (found,) = [str(one) for one in check(tmp_path / "data") if "no package" in str(one)]
    assert found.startswith(str(header))
    with pytest.raises(DataError, match=message):
        load_stage_data(DataOptions(str(tmp_path / "data")))


def test_names_of_recordings_that_a_package_cannot_list(tmp_path: Path) -> None:
    values, valid = {"watch": np.ones((2, 3), np.float32)}, {"watch": np.ones(2, bool)}
    clips = tuple(Clip(name, "p0", "", values, valid, number % 2) for number, name in enumerate(names(1400, 180)))
    recordings.write(Dataset(INFO, clips), tmp_path / "data")
    with pytest.raises(SplitError, match=r"names of 1120 training recordings .* expected 196608 at most"):
        load_stage_data(DataOptions(str(tmp_path / "data")))
