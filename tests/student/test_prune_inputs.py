"""Unusable checkpoints and options without effect are refused in one line, and input files are never overwritten."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, INFO, SPECS, STEPS, checkpoint_of, student
from safetensors.torch import load_file, save_file

from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.student import prune
from edgehar.student.network.rebuild import network_of
from edgehar.student.prune import PruneOptions
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig
from edgehar.student.synthesis.generator import GeneratorConfig
from edgehar.student.synthesis.inversion import InversionConfig
from edgehar.student.synthesis.sources import SourceConfig
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoint of a tiny student."""
    save_checkpoint(tmp_path / "student", checkpoint_of(student("tiny")))
    return tmp_path / "student"


@pytest.mark.parametrize("out", ["student", "student/pruned", "."])
def test_input_checkpoint_is_not_overwritten(folder: Path, out: str, capsys: pytest.CaptureFixture[str]):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    path = folder.parent / out
    assert guarded(prune.main, [str(folder), "--out", str(path), "--preset", "tiny"]) == 2
    message = capsys.readouterr().err
    assert "--out" in message
    assert len(message.strip().splitlines()) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_limit_that_is_already_met_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    out = folder.parent / "pruned"
    words = [str(folder), "--out", str(out), "--preset", "tiny", "--source", "noise", "--bytes", "99999999"]
    assert guarded(prune.main, words) == 2
    assert "--bytes" in capsys.readouterr().err
    assert not out.exists()


def change(path: Path, **facts: Any) -> None:
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | facts))


def test_damaged_checkpoint_is_refused_with_the_reason(folder: Path):
    entry = json.loads((folder / "checkpoint.json").read_text())
    for scale in ({}, {spec.name: [[1, float("nan")]] * spec.groups for spec in SPECS}):
        change(folder / "checkpoint.json", normalisation=scale)
        with pytest.raises(CheckpointError, match="damaged checkpoint"):
            load_checkpoint(folder, ("student",))
    change(folder / "checkpoint.json", **entry)
    change(folder / "checkpoint.json", info=entry["info"] | {"labels": ["a", "b"]})
    with pytest.raises(CheckpointError, match=f"{CLASSES} classes, 2 labels"):
        network_of(load_checkpoint(folder, ("student",)))
    for facts in ({"kind": "teacher"}, {"network": entry["network"] | {"token": "wide"}}):
        change(folder / "checkpoint.json", **(entry | facts))
        with pytest.raises(CheckpointError, match=r"do not fit|were saved with"):
            network_of(load_checkpoint(folder, ("student", "teacher")))
    change(folder / "checkpoint.json", **entry)
    weights = load_file(folder / "weights.safetensors")
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(folder, ("student",))


@pytest.mark.parametrize(
    ("config", "given", "named"),
    [
        (FrameStatisticsConfig, {"waves": 0}, "--waves 0"),
        (FrameStatisticsConfig, {"slowest": 0}, "--slowest 0"),
        (FrameStatisticsConfig, {"slowest": 5}, "--slowest 5, --fastest 4.0"),
        (FrameStatisticsConfig, {"still": 3}, "--still 3"),
        (InversionConfig, {"inverted": 0}, "--inverted 0"),
        (InversionConfig, {"inversion_rate": float("nan")}, "--inversion-rate nan"),
        (GeneratorConfig, {"generator_steps": -5}, "--generator-steps -5"),
        (SourceConfig, {"noisy_sensor": float("nan")}, "--noisy-sensor nan"),
        (SourceConfig, {"lost_modality": 7}, "--lost-modality 7"),
        (SourceConfig, {"people": -3}, "--people -3"),
    ],
)
def test_options_of_sources_out_of_bounds_are_refused(config: type, given: dict[str, Any], named: str):
    with pytest.raises(ConfigError, match=f"^{named}"):
        config(**given)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--split", "odd-even"], "--split: has no effect"),
        (["--modalities", "skeleton", "--without", "walk"], "--modalities, --without: has no effect"),
        (["--data", "utd-mhad", "--root", "nowhere"], "--data, --root: has no effect"),
        (["--people", "5"], "--people 5: has no effect with --source means, only with simulated, inverted"),
        (["--people", "5", "--source", "noise"], "--people 5: has no effect with --source noise"),
        (["--inversion-steps", "5", "--source", "simulated"], "only with inverted"),
        (["--roughness", "0.5", "--source", "smooth"], "only with generated"),
        (["--noisy-sensor", "0.5", "--source", "noise"], "--noisy-sensor 0.5: has no effect with --source noise"),
        (["--waves", "3"], "--waves 3: has no effect with --source means, only with smooth"),
    ],
)
def test_option_without_effect_is_refused(
    folder: Path, more: list[str], named: str, capsys: pytest.CaptureFixture[str]
):
    save_file(zero_moments(INFO), folder / "moments.safetensors")
    out = folder.parent / "pruned"
    assert guarded(prune.main, [str(folder), "--out", str(out), "--preset", "tiny", *more]) == 2
    assert named in capsys.readouterr().err
    assert not out.exists()


def zero_moments(info: DatasetInfo) -> dict[str, torch.Tensor]:
    size = sum(STEPS * spec.patch * spec.groups * spec.features for spec in info.modalities)
    return {"means": torch.zeros(CLASSES, size).half(), "directions": torch.zeros(2, size).half()}


def test_option_of_a_used_source_is_accepted(folder: Path):
    words = [str(folder), "--out", str(folder.parent / "pruned"), "--preset", "tiny", "--updates", "2", "--batch", "4"]
    assert prune.main([*words, "--source", "simulated,noise", "--people", "1", "--noisy-sensor", "0.3"]) == 0
    with pytest.raises(ConfigError, match="--data"):
        PruneOptions("a", "b", data=DataOptions("utd-mhad"))
    assert PruneOptions("a", "b", data=DataOptions("utd-mhad"), score=True).score
    assert PruneOptions("a", "b", data=DataOptions("utd-mhad"), inputs=SourceConfig(("recordings",))).data.root is None
