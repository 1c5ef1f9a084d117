import json
import os
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
import torch
from bodies import CLASSES, SPECS, STEPS, windows
from torch import nn

from edgehar.data import recordings
from edgehar.data.utd_mhad import INFO
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Dataset
from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baseline import KINDS, main
from edgehar.student.baselines.minirocket import minirocket, stacked
from edgehar.student.baselines.networks import Lstm, LstmConfig, Tcn, TcnConfig, count_window_macs
from edgehar.teacher.network.layers import count_parameters

REPOSITORY = Path(__file__).resolve().parent.parent.parent
STUDENT_PARAMETERS = 100_000
QUICK = ["--preset", "tiny", "--updates", "6", "--kernels", "84", "--seed", "3"]
NO_AEON = "MiniRocket needs the baselines extra"


@pytest.fixture(scope="module")
def people() -> Dataset:
    return simulate(SimulatorConfig(subjects=4, trials=2, activities=("wave", "squat", "walk", "throw")))


@pytest.fixture(scope="module")
def folder(people: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    recordings.write(people, root)
    return root


def run(kind: str, folder: Path, out: Path, *more: str) -> dict[str, Any]:
    assert main([kind, "--data", str(folder), "--split", "odd-even", "--out", str(out), *QUICK, *more]) == 0
    return json.loads(out.read_text())


def networks() -> list[nn.Module]:
    return [Lstm(LstmConfig(), SPECS, CLASSES), Tcn(TcnConfig(), SPECS, CLASSES)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_a_complete_result(
    kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "minirocket":
        pytest.importorskip("aeon", reason=NO_AEON)
    result = run(kind, folder, tmp_path / "result.json")
    assert (result["format"], result["kind"], result["seed"]) == ("edgehar-baseline", kind, 3)
    assert result["parameters"] > 0
    assert result["seconds"] > 0
    assert (result["macs"] is None) == (kind == "minirocket")
    dataset, together = result["dataset"], "+".join(result["dataset"]["modalities"])
    assert dataset["split"] == "odd-even"
    assert (dataset["train_subjects"], dataset["test_subjects"]) == (["s1", "s3"], ["s2", "s4"])
    assert (dataset["train_windows"], dataset["test_windows"]) == (16, 16)
    alone = dataset["modalities"] if kind in ("lstm", "tcn") else []
    assert list(result["scores"]) == [together, *alone]
    assert {score["total"] for score in result["scores"].values()} == {16}
    assert set(result["scores"][together]["per_subject"]) == {"s2", "s4"}
    assert str(folder.parent) not in json.dumps(result)
    assert re.match(rf"{kind}: \d+/16 correct on test subjects", capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".result.json.lock", "result.json"]


def test_one_sensor_is_scored_once(folder: Path, tmp_path: Path) -> None:
    assert list(run("tcn", folder, tmp_path / "tcn.json", "--modalities", "wrist")["scores"]) == ["wrist"]


@pytest.mark.parametrize("kind", ["lstm", "tcn"])
def test_the_same_seed_gives_the_same_result(kind: str, folder: Path, tmp_path: Path) -> None:
    first, again = (run(kind, folder, tmp_path / f"{name}.json") for name in ("first", "again"))
    assert first["history"] == again["history"]
    assert first["scores"] == again["scores"]
    assert run(kind, folder, tmp_path / "other.json", "--seed", "4")["history"] != first["history"]


def test_test_subjects_are_never_trained_on(people: Dataset, folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [
        clip
        if clip.subject in ("s1", "s3")
        else replace(
            clip,
            label=int(rng.integers(4)),
            signals={name: values[::-1] * 3 for name, values in clip.signals.items()},
        )
        for clip in people.clips
    ]
    strange = tmp_path / "strange"
    recordings.write(Dataset(people.info, tuple(clips)), strange)
    for kind in ("lstm", "tcn"):
        # A curve that does not change when the test subjects do was made without them.
        ours = run(kind, folder, tmp_path / "ours.json")
        theirs = run(kind, strange, tmp_path / "theirs.json")
        assert ours["history"] == theirs["history"]
        assert ours["scores"] != theirs["scores"]


@pytest.mark.parametrize("network", [Lstm(LstmConfig(), INFO.modalities, 27), Tcn(TcnConfig(), INFO.modalities, 27)])
def test_a_network_has_the_size_of_the_student(network: nn.Module) -> None:
    assert count_parameters(network) == pytest.approx(STUDENT_PARAMETERS, rel=0.05)


def test_multiply_adds_are_those_of_the_layers() -> None:
    config = LstmConfig(lstm_stem=8, lstm_units=6, lstm_layers=2)
    stem = sum(spec.patch * spec.groups * spec.features for spec in SPECS) * 8
    recurrent = 4 * 6 * (8 + 6) + 4 * 6 * (6 + 6)
    expected = STEPS * (stem + recurrent) + 6 * CLASSES
    assert count_window_macs(Lstm(config, SPECS, CLASSES), SPECS, STEPS) == expected


@pytest.mark.parametrize("network", networks())
def test_what_a_missing_sensor_left_behind_changes_nothing(network: nn.Module) -> None:
    network.eval()
    features, valid = windows()
    valid["inertial"] = torch.zeros_like(valid["inertial"])
    rubbish = features | {"inertial": features["inertial"] * 100}
    with torch.no_grad():
        torch.testing.assert_close(network(features, valid).logits, network(rubbish, valid).logits)


@pytest.mark.parametrize("network", networks())
def test_the_order_of_steps_matters(network: nn.Module) -> None:
    network.eval()
    features, valid = windows()
    backwards = {name: tensor.flip(1) for name, tensor in features.items()}
    with torch.no_grad():
        assert not torch.allclose(network(features, valid).logits, network(backwards, valid).logits, atol=1e-4)


def prepared(people: Dataset) -> Windows:
    return cut(people.clips, people.info, fit_normalisation(people, ("s1", "s3")))


def test_signals_of_all_sensors_share_one_grid(people: Dataset) -> None:
    some = prepared(people)
    signals = stacked(some)
    lengths = {name: array.shape[1] * array.shape[2] for name, array in some.features.items()}
    channels = {name: array.shape[3] * array.shape[4] for name, array in some.features.items()}
    assert signals.shape == (len(some), sum(channels.values()), max(lengths.values()))
    first = next(iter(some.features))
    frames = some.features[first].reshape(len(some), lengths[first], -1)
    np.testing.assert_allclose(signals[:, : channels[first], 0], frames[:, 0], rtol=1e-6)
    np.testing.assert_allclose(signals[:, : channels[first], -1], frames[:, -1], rtol=1e-6)
    straight = np.interp(
        np.linspace(0, lengths[first] - 1, signals.shape[2]), np.arange(lengths[first]), frames[0, :, 0]
    )
    np.testing.assert_allclose(signals[0, 0], straight, atol=1e-5)


def test_minirocket_repeats_itself_and_looks_at_training_windows_only(people: Dataset) -> None:
    pytest.importorskip("aeon", reason=NO_AEON)
    some = prepared(people)
    train, test = some.of_subjects(("s1", "s3")), some.of_subjects(("s2", "s4"))
    answer = minirocket(train, test, 84, 0)
    assert (minirocket(train, test, 84, 0).predicted == answer.predicted).all()
    assert (minirocket(train, test.take(np.arange(5)), 84, 0).predicted == answer.predicted[:5]).all()
    assert (answer.predicted == test.label).mean() > 0.4  # chance is 0.25


def test_without_aeon_the_extra_is_named(
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


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'forest' is unknown; expected one of nearest, minirocket, lstm, tcn"):
        main(["forest", "--out", str(tmp_path / "result.json")])


def test_too_few_kernels_are_refused(people: Dataset) -> None:
    some = prepared(people)
    with pytest.raises(ConfigError, match="--kernels 5: expected 84 or more"):
        minirocket(some, some, 5, 0)


def test_what_is_no_result_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    for name, content in {"notes.txt": "mine", "other.json": "{}", "list.json": "[]"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(ConfigError, match="nothing was changed"):
            main(["nearest", "--data", str(folder), "--out", str(tmp_path / name)])
        assert (tmp_path / name).read_text() == content


def test_one_activity_is_refused(people: Dataset, tmp_path: Path) -> None:
    clips = (clip if clip.subject in ("s2", "s4") else replace(clip, label=0) for clip in people.clips)
    recordings.write(Dataset(people.info, tuple(clips)), tmp_path / "data")
    with pytest.raises(DataError, match="all of one activity"):
        main(["nearest", "--data", str(tmp_path / "data"), "--split", "odd-even", "--out", str(tmp_path / "a.json")])


def test_an_interrupted_training_ends_as_an_undisturbed_one(folder: Path, tmp_path: Path) -> None:
    longer = ["--updates", "10", "--save-every-s", "0"]
    whole = run("lstm", folder, tmp_path / "whole.json", *longer)
    command = [sys.executable, "-m", "edgehar.student.baseline", "lstm", "--data", str(folder), "--split", "odd-even"]
    command += ["--out", str(tmp_path / "broken.json"), *QUICK, *longer]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    progress = tmp_path / ".broken.json.progress"
    while process.poll() is None and not progress.is_file():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = run("lstm", folder, tmp_path / "broken.json", *longer)
    assert resumed["history"] == whole["history"]
    assert resumed["scores"] == whole["scores"]
    assert not progress.exists()
