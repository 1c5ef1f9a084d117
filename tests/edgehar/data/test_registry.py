"""Data sets by name or folder: selection of sensors, fingerprint and default split."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.data.registry import DataOptions, default_split, fingerprint, load, select
from edgehar.errors import DataError, SplitError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.windows import cut, fit_normalisation


def small(subjects: tuple[str, ...] = ("ann", "bob", "eve")) -> Dataset:
    specs = tuple(ModalitySpec(name, 3, "g", 20, 1) for name in ("watch", "phone"))
    random = np.random.default_rng(0)
    clips = tuple(
        Clip(
            name=f"r{number}",
            subject=subject,
            trial="1",
            signals={spec.name: random.standard_normal((8, 3)).astype(np.float32) for spec in specs},
            valid={spec.name: np.ones(8, bool) for spec in specs},
            label=0,
        )
        for number, subject in enumerate(subjects)
    )
    return Dataset(DatasetInfo("mine", specs, ("wave",), WindowSpec("clip", 4, 0.1)), clips)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recordings.write(small(), tmp_path / "mine")
    return tmp_path / "mine"


def test_a_folder_is_a_data_set(folder: Path) -> None:
    assert load(str(folder)).info == load("recordings", folder).info == small().info


@pytest.mark.parametrize(
    ("name", "root", "found"),
    [
        ("nowhere", None, "data 'nowhere'"),
        ("recordings", None, "data recordings: .*--root"),
        ("utd-mhad", None, "data utd-mhad: .*--root .*EDGEHAR_DATA"),
        ("utd-mhad", "nowhere", "nowhere: no such folder"),
        ("recordings", "nowhere", "nowhere: no such folder"),
    ],
)
def test_missing_data_sets_are_errors(monkeypatch: pytest.MonkeyPatch, name: str, root: str | None, found: str) -> None:
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)
    with pytest.raises(DataError, match=found):
        load(name, root)
    with pytest.raises(DataError, match=found):
        fingerprint(name, root)


def test_a_folder_without_header(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"recordings\.json"):
        load(str(tmp_path))


def test_public_data_set_by_environment_variable(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEHAR_DATA", str(data_root))
    dataset = load("utd-mhad", modalities=("inertial",))
    assert [spec.name for spec in dataset.info.modalities] == ["inertial"]
    assert len(dataset.clips) == 861
    assert fingerprint("utd-mhad") == fingerprint("utd-mhad", data_root / "utd-mhad")
    assert fingerprint("utd-mhad") != fingerprint("sp-sw-har")


def test_simulated_needs_no_folder() -> None:
    dataset = load("simulated")
    assert len(dataset.subjects) > 1
    assert fingerprint("simulated") == fingerprint("simulated")


def test_select_keeps_the_order_and_the_clips() -> None:
    dataset = small()
    assert select(dataset, ()) is dataset
    both = select(dataset, ("phone", "watch"))
    assert [spec.name for spec in both.info.modalities] == ["watch", "phone"]
    phone = select(dataset, ("phone",))
    assert all(list(clip.signals) == ["phone"] for clip in phone.clips)
    assert set(cut(phone.clips, phone.info, fit_normalisation(phone, phone.subjects)).features) == {"phone"}
    with pytest.raises(DataError, match=r"'camera'.*watch, phone"):
        select(dataset, ("camera",))


def test_fingerprint_changes_if_and_only_if_a_file_changes(folder: Path) -> None:
    before = fingerprint(str(folder))
    assert fingerprint("recordings", folder) == before
    path = folder / "phone" / "r1.npy"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    changed = fingerprint(str(folder))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(str(folder)) == before
    path.rename(path.with_name("r9.npy"))
    assert len({before, changed, fingerprint(str(folder))}) == 3


def test_splits(folder: Path) -> None:
    assert [default_split(name) for name in ("simulated", "utd-mhad", "sp-sw-har")] == ["odd-even"] * 2 + ["fold:0of5"]
    options = DataOptions(str(folder), modalities=("watch",))
    dataset = options.load()
    split = options.make_split(dataset)
    assert (split.train, split.test) == (("bob", "eve"), ("ann",))
    assert DataOptions(str(folder), split="loso:eve").make_split(dataset).test == ("eve",)
    with pytest.raises(SplitError):
        options.make_split(small(("ann",)))


def test_warnings_of_a_folder_are_one_line_and_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = np.random.default_rng(0).normal(size=(3, 2, 60, 3))
    samples[1, 0] = samples[0, 0]  # the watch of r1 is a copy
    for number, sensors in enumerate(samples):
        for name, values in zip(("watch", "phone"), sensors, strict=True):
            np.save(folder / name / f"r{number}.npy", values)
    options = DataOptions(str(folder))
    assert len(options.load().clips) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"edgehar: {folder}/watch/r1.npy: warning: the same samples as {folder}/watch/r0.npy")
    options.load()
    load(str(folder))
    assert capsys.readouterr().err == ""
