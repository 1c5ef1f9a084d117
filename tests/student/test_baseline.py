"""The baseline verb: complete, reproducible results that do not depend on the test subjects."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Dataset
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baseline import KINDS, NETWORKS, main

QUICK = ["--preset", "tiny", "--updates", "6", "--kernels", "84", "--seed", "3"]
NO_AEON = "ROCKETs need the baselines extra"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return simulate(SimulatorConfig(subjects=4, trials=2, activities=("wave", "squat", "walk", "throw")))


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    recordings.write(dataset, root)
    return root


def run(kind: str, folder: Path, out: Path, *more: str) -> dict[str, Any]:
    assert main([kind, "--data", str(folder), "--split", "odd-even", "--out", str(out), *QUICK, *more]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_a_complete_result(
    kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "rocket" in kind:
        pytest.importorskip("aeon", reason=NO_AEON)
    result = run(kind, folder, tmp_path / "result.json")
    assert (result["format"], result["kind"], result["seed"]) == ("edgehar-baseline", kind, 3)
    assert result["parameters"] > 0
    assert result["seconds"] > 0
    assert (result["macs"] is None) == ("rocket" in kind)
    dataset, together = result["dataset"], "+".join(result["dataset"]["modalities"])
    assert dataset["split"] == "odd-even"
    assert (dataset["train_subjects"], dataset["test_subjects"]) == (["s1", "s3"], ["s2", "s4"])
    assert (dataset["train_windows"], dataset["test_windows"]) == (16, 16)
    alone = dataset["modalities"] if kind in NETWORKS else []
    assert list(result["scores"]) == [together, *alone]
    assert {score["total"] for score in result["scores"].values()} == {16}
    assert set(result["scores"][together]["per_subject"]) == {"s2", "s4"}
    assert str(folder.parent) not in json.dumps(result)
    assert re.match(rf"{kind}: \d+/16 correct in the test", capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".result.json.lock", "result.json"]


def test_single_sensor_is_scored_once(folder: Path, tmp_path: Path) -> None:
    assert list(run("tcn", folder, tmp_path / "tcn.json", "--modalities", "wrist")["scores"]) == ["wrist"]


@pytest.mark.parametrize("kind", ["lstm", "tcn"])
def test_result_depends_on_the_seed_only(kind: str, folder: Path, tmp_path: Path) -> None:
    first, again = (run(kind, folder, tmp_path / f"{name}.json") for name in ("first", "again"))
    assert first["history"] == again["history"]
    assert first["scores"] == again["scores"]
    assert run(kind, folder, tmp_path / "other.json", "--seed", "4")["history"] != first["history"]


def test_training_does_not_depend_on_the_test_subjects(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [
        clip
        if clip.subject in ("s1", "s3")
        else replace(
            clip,
            label=int(rng.integers(4)),
            signals={name: values[::-1] * 3 for name, values in clip.signals.items()},
        )
        for clip in dataset.clips
    ]
    changed = tmp_path / "changed"
    recordings.write(Dataset(dataset.info, tuple(clips)), changed)
    for kind in ("lstm", "tcn"):
        one = run(kind, folder, tmp_path / "one.json")
        other = run(kind, changed, tmp_path / "other.json")
        assert one["history"] == other["history"]
        assert one["scores"] != other["scores"]


def test_missing_aeon_is_an_error_that_names_the_extra(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("aeon.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aeon", None)
    assert guarded(main, ["minirocket", "--data", str(folder), "--out", str(tmp_path / "result.json")]) == 2
    shown = capsys.readouterr().err
    assert "pip install 'edgehar[baselines]'" in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "result.json").exists()


def test_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="forest: expected one of nearest, minirocket, multirocket-hydra, lstm"):
        main(["forest", "--out", str(tmp_path / "result.json")])


def test_file_that_is_no_result_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    for name, content in {"notes.txt": "mine", "other.json": "{}", "list.json": "[]"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(ConfigError, match="--out"):
            main(["nearest", "--data", str(folder), "--out", str(tmp_path / name)])
        assert (tmp_path / name).read_text() == content


def test_training_windows_of_one_activity_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    clips = (clip if clip.subject in ("s2", "s4") else replace(clip, label=0) for clip in dataset.clips)
    recordings.write(Dataset(dataset.info, tuple(clips)), tmp_path / "data")
    with pytest.raises(DataError, match="one activity"):
        main(["nearest", "--data", str(tmp_path / "data"), "--split", "odd-even", "--out", str(tmp_path / "a.json")])


def test_killed_training_resumes_to_the_same_result(folder: Path, tmp_path: Path) -> None:
    longer = ["--updates", "10", "--save-every-s", "0"]
    whole = run("lstm", folder, tmp_path / "whole.json", *longer)
    command = [sys.executable, "-m", "edgehar.student.baseline", "lstm", "--data", str(folder), "--split", "odd-even"]
    command += ["--out", str(tmp_path / "broken.json"), *QUICK, *longer]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    progress = tmp_path / ".broken.json.progress"
    while process.poll() is None and not progress.is_file():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = run("lstm", folder, tmp_path / "broken.json", *longer)
    assert resumed["history"] == whole["history"]
    assert resumed["scores"] == whole["scores"]
    assert not progress.exists()
