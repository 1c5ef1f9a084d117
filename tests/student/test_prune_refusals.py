"""What cannot be pruned is refused in one line, and what is read is never written over."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, student
from safetensors.torch import load_file, save_file

from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import CheckpointError, ConfigError, EdgeharError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student import prune
from edgehar.student.network.rebuild import network_of
from edgehar.student.prune import PruneOptions
from edgehar.student.pruning.recover import RecoveryConfig
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig
from edgehar.student.synthesis.generator import GeneratorConfig
from edgehar.student.synthesis.inversion import InversionConfig
from edgehar.student.synthesis.sources import SourceConfig
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

INFO = DatasetInfo("test", SPECS, tuple("abcde")[:CLASSES], WindowSpec("clip", STEPS, 0.1))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    network = student("tiny")
    given = Checkpoint(
        "student", {"stem": 24, "width": 32, "encoder_blocks": 1, "hidden": 32, "token": 32, "heads": 2},
        INFO, Normalisation.identity(SPECS), {}, [], {"options": {}}, network.state_dict(), {},
    )  # fmt: skip
    save_checkpoint(tmp_path / "student", given)
    return tmp_path / "student"


@pytest.mark.parametrize("out", ["student", "student/pruned", "."])
def test_what_is_read_is_not_written_over(kept: Path, out: str, capsys: pytest.CaptureFixture[str]):
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    place = kept.parent / out
    assert guarded(prune.main, [str(kept), "--out", str(place), "--preset", "tiny"]) == 2
    said = capsys.readouterr().err
    assert "choose a folder beside it" in said
    assert len(said.strip().splitlines()) == 1
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_a_limit_that_is_met_already_is_said(kept: Path, capsys: pytest.CaptureFixture[str]):
    words = [str(kept), "--out", str(kept.parent / "p"), "--preset", "tiny", "--source", "noise", "--bytes", "99999999"]
    assert guarded(prune.main, words) == 2
    assert "already, so nothing has to go; give less" in capsys.readouterr().err
    assert not (kept.parent / "p").exists()


def change(path: Path, **facts: Any) -> None:
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | facts))


def test_a_damaged_checkpoint_is_refused_by_what_is_wrong_with_it(kept: Path):
    entry = json.loads((kept / "checkpoint.json").read_text())
    for scale in ({}, {spec.name: [[1, float("nan")]] * spec.groups for spec in SPECS}):
        change(kept / "checkpoint.json", normalisation=scale)
        with pytest.raises(CheckpointError, match="damaged checkpoint"):
            load_checkpoint(kept, ("student",))
    change(kept / "checkpoint.json", **entry)
    change(kept / "checkpoint.json", info=entry["info"] | {"labels": ["a", "b"]})
    with pytest.raises(CheckpointError, match=f"{CLASSES} classes, 2 labels"):
        network_of(load_checkpoint(kept, ("student",)))
    for facts in ({"kind": "teacher"}, {"network": entry["network"] | {"token": "wide"}}):
        change(kept / "checkpoint.json", **(entry | facts))
        with pytest.raises(CheckpointError, match=r"weights that are no|were saved with"):
            network_of(load_checkpoint(kept, ("student", "teacher")))
    change(kept / "checkpoint.json", **entry)
    weights = load_file(kept / "weights.safetensors")
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, kept / "weights.safetensors")
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(kept, ("student",))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PruneOptions("a", "b", seed=-1), "--seed"),
        (lambda: FrameStatisticsConfig(waves=0), "--waves"),
        (lambda: FrameStatisticsConfig(slowest=0), "--slowest"),
        (lambda: FrameStatisticsConfig(still=3), "--still"),
        (lambda: FrameStatisticsConfig(noisy_sensor=float("nan")), "--noisy-sensor"),
        (lambda: FrameStatisticsConfig(lost_modality=7), "--lost-modality"),
        (lambda: InversionConfig(inverted=0), "--inverted"),
        (lambda: InversionConfig(inversion_rate=float("nan")), "--inversion-rate"),
        (lambda: GeneratorConfig(generator_steps=-5), "--generator-steps"),
        (lambda: RecoveryConfig(soft=float("inf")), "--soft"),
        (lambda: RecoveryConfig(temperature=float("inf")), "--temperature"),
        (lambda: SourceConfig(people=-3), "--people -3: expected 1 or more"),
    ],
)
def test_values_that_mean_nothing_are_refused(make: Any, said: str):
    with pytest.raises(ConfigError, match=said):
        make()
    assert issubclass(ConfigError, EdgeharError)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--split", "odd-even"], "--split: no recordings are read"),
        (["--modalities", "skeleton", "--without", "walk"], "--modalities, --without: no recordings are read"),
        (["--data", "utd-mhad", "--root", "nowhere"], "--data, --root: no recordings are read"),
        (
            ["--people", "5"],
            "--people 5 with --source means: has no effect there, only with simulated, inverted",
        ),
        (["--people", "5", "--source", "noise"], "--people 5 with --source noise: has no effect there"),
        (["--inversion-steps", "5", "--source", "simulated"], "only with inverted"),
        (["--roughness", "0.5", "--source", "smooth"], "only with generated"),
        (["--noisy-sensor", "0.5", "--source", "noise"], "--noisy-sensor 0.5 with --source noise"),
        (["--waves", "3"], "--waves 3 with --source means: has no effect there, only with smooth"),
    ],
)
def test_an_option_without_effect_is_refused(
    kept: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    save_file(around(INFO), kept / "moments.safetensors")
    assert guarded(prune.main, [str(kept), "--out", str(kept.parent / "p"), "--preset", "tiny", *more]) == 2
    assert said in capsys.readouterr().err
    assert not (kept.parent / "p").exists()


def around(info: DatasetInfo) -> dict[str, torch.Tensor]:
    size = sum(STEPS * spec.patch * spec.groups * spec.features for spec in info.modalities)
    return {"means": torch.zeros(CLASSES, size).half(), "directions": torch.zeros(2, size).half()}


def test_options_of_the_source_that_is_used_are_taken(kept: Path):
    words = [str(kept), "--out", str(kept.parent / "p"), "--preset", "tiny", "--updates", "2", "--batch", "4"]
    assert prune.main([*words, "--source", "simulated,noise", "--people", "1", "--noisy-sensor", "0.3"]) == 0
    with pytest.raises(ConfigError, match="--data"):
        PruneOptions("a", "b", data=DataOptions("utd-mhad"))
    assert PruneOptions("a", "b", data=DataOptions("utd-mhad"), score=True).score
    assert PruneOptions("a", "b", data=DataOptions("utd-mhad"), inputs=SourceConfig(("recordings",))).data.root is None
