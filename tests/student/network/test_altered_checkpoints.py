"""An altered checkpoint is refused in one line with its path and the reason, before any training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STATISTICS, STEPS, checkpoint_of, student
from safetensors.torch import load_file, save_file
from torch import Tensor

from edgehar.entry import guarded
from edgehar.errors import CheckpointError
from edgehar.student import prune
from edgehar.student.network.rebuild import network_of
from edgehar.teacher import finetune, pretrain
from edgehar.teacher.network.model import PRESETS as TEACHERS
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint

SIZE = sum(STEPS * spec.patch * spec.groups * spec.features for spec in SPECS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoint of a tiny student with statistics and moments."""
    moments = {"means": torch.randn(CLASSES, SIZE).half(), "directions": torch.randn(2, SIZE).half()}
    facts: dict[str, Any] = {"options": {}, "statistics": STATISTICS}
    checkpoint = replace(checkpoint_of(student("tiny")), facts=facts, moments=moments)
    save_checkpoint(tmp_path / "student", checkpoint)
    return tmp_path / "student"


def assert_refused(folder: Path, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("means", "smooth", "noise"):
        words = [str(folder), "--out", str(folder.parent / "pruned"), "--preset", "tiny", "--updates", "1"]
        assert guarded(prune.main, [*words, "--source", source]) == 2
        line = capsys.readouterr().err
        assert reason in line
        assert str(folder) in line
        assert len(line.strip().splitlines()) == 1
    assert not (folder.parent / "pruned").exists()


Weights = dict[str, Tensor]


def short(*names: str, rows: int = 1) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: weights[name][:-rows].clone() for name in names}


WEIGHTS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "token projection": (
        short("encoder.token_projection.weight", "encoder.token_projection.bias"),
        "do not fit a student network",
    ),
    "qkv": (short("head.blocks.0.attention.qkv.weight", rows=5), "qkv has 91 rows, expected up to 2 heads of 3 x 16"),
    "expand": (short("head.blocks.0.feedforward.expand.weight"), "expand.bias has 32 values for 31 weights"),
    "both of expand": (
        short("head.blocks.0.feedforward.expand.weight", "head.blocks.0.feedforward.expand.bias"),
        "do not fit a student network",
    ),
    "position embedding": (
        short("head.position_embedding"),
        "head.position_embedding has shape (7, 32), expected (8, 32) or narrower",
    ),
    "one position": (short("head.position_embedding", rows=STEPS - 1), "head.position_embedding has shape (1, 32)"),
    "bias": (
        short("encoder.token_projection.bias", rows=31),
        "encoder.token_projection.bias has 1 values for 32 weights",
    ),
    "half": (lambda weights: {name: part.half() for name, part in weights.items()}, "is float16, expected float32"),
    "double": (lambda weights: {name: part.double() for name, part in weights.items()}, "is float64, expected float32"),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_of_other_shapes_or_types_are_refused(what: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    change, reason = WEIGHTS[what]
    save_file(change(load_file(folder / "weights.safetensors")), folder / "weights.safetensors")
    assert_refused(folder, reason, capsys)


def facts(**changes: Any) -> Callable[[Any], object]:
    return lambda entry: entry["facts"].update(changes)


def watch(**changes: Any) -> Callable[[Any], object]:
    return lambda entry: entry["facts"]["statistics"]["inertial"].update(changes)


ENTRIES: dict[str, tuple[Callable[[Any], object], str]] = {
    "facts": (lambda entry: entry.update(facts=[]), "facts is [], expected a dict"),
    "network": (lambda entry: entry.update(network=[]), "network is [], expected a dict"),
    "data": (lambda entry: entry.update(data=[]), "data is [], expected a dict"),
    "history": (lambda entry: entry.update(history={}), "history is {}, expected a list"),
    "heads": (lambda entry: entry["network"].update(heads=4), "network: heads is 4, the weights were saved with 2"),
    "needs": (facts(needs=[]), "facts: needs is []"),
    "options": (facts(options=3), "facts: options is 3"),
    "statistics": (facts(statistics=[]), "facts: statistics is []"),
    "statistics of a sensor": (lambda entry: entry["facts"]["statistics"].update(inertial=[1]), "statistics of inert"),
    "statistics of another": (facts(statistics={"radar": {}}), "statistics of radar, expected those of skeleton"),
    "mean of 1": (watch(mean=[0.0]), "statistics of inertial: mean is not 6 finite numbers"),
    "mean of nan": (watch(mean=[float("nan")] * 6), "statistics of inertial: mean is not 6 finite numbers"),
    "mean of text": (watch(mean=["1"] * 6), "statistics of inertial: mean is not 6 finite numbers"),
    "covariance": (watch(covariance="x"), "statistics of inertial: covariance is not 6 x 6 finite numbers"),
    "no motion": (lambda entry: entry["facts"]["statistics"]["inertial"].pop("motion"), "motion is not 6 finite"),
    "ragged": (watch(covariance=[[1.0], [1.0, 2.0]]), "damaged checkpoint"),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_altered_facts_are_refused(what: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    change, reason = ENTRIES[what]
    entry = json.loads((folder / "checkpoint.json").read_text())
    change(entry)
    (folder / "checkpoint.json").write_text(json.dumps(entry))
    assert_refused(folder, reason, capsys)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda moments: moments | {"means": moments["means"][:0]}, f"means of shape (0, {SIZE}), expected 1 or more"),
        (lambda moments: {"means": moments["means"]}, "directions of shape (0,), expected 0 or more"),
        (lambda moments: {name: part[:, :100] for name, part in moments.items()}, "means of shape (5, 100)"),
        (lambda moments: {name: part.int() for name, part in moments.items()}, "moments: means"),
    ],
)
def test_moments_of_other_windows_are_refused(
    change: Callable[[Weights], Weights], reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    altered = {name: part.contiguous() for name, part in change(load_file(folder / "moments.safetensors")).items()}
    save_file(altered, folder / "moments.safetensors")
    assert_refused(folder, reason, capsys)


def test_impossible_sizes_are_refused_with_the_path(folder: Path):
    save_file(load_file(folder / "weights.safetensors"), folder / "weights.safetensors")  # as older versions wrote them
    for sizes in ({"heads": 0}, {"heads": 3}, {"encoder_blocks": 0}, {"width": "wide"}):
        loaded = load_checkpoint(folder, ("student",))
        with pytest.raises(CheckpointError, match=f"{folder}: weights do not fit a student"):
            network_of(replace(loaded, network=loaded.network | sizes))


def test_teacher_whose_layers_do_not_fit_is_refused(tmp_path: Path):
    network = Teacher(TeacherConfig(**TEACHERS["tiny"]), SPECS, STEPS, CLASSES)
    save_checkpoint(tmp_path / "teacher", checkpoint_of(network, "teacher"))
    whole = load_checkpoint(tmp_path / "teacher", ("teacher",))
    assert network_of(whole)
    for name in ("tokens.inertial.merge.weight", "fusion_tokens", "position_embedding.skeleton", "classifier.weight"):
        with pytest.raises(CheckpointError, match=r"teacher: weights do not fit a teacher"):
            network_of(replace(whole, weights=short(name)(whole.weights)))


@pytest.mark.parametrize(
    ("sizes", "change", "reason"),
    [
        ({"width": 3}, short(), "network size"),
        ({}, short("shared.fusion_tokens"), "weights of another network"),
        ({}, lambda weights: dict(list(weights.items())[1:]), "weights of another network"),
    ],
)
def test_pretrained_network_that_does_not_fit_is_refused(
    sizes: dict[str, int], change: Callable[[Weights], Weights], reason: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    data = ["--preset", "tiny", "--updates", "1", "--modalities", "wrist"]
    assert pretrain.main([*data, "--out", str(tmp_path / "pretrained")]) == 0
    whole = load_checkpoint(tmp_path / "pretrained", ("pretrained",))
    altered = replace(whole, network=whole.network | sizes, weights=change(whole.weights))
    save_checkpoint(tmp_path / "pretrained", altered)
    words = ["--preset", "tiny", "--updates", "1", "--pretrained", str(tmp_path / "pretrained")]
    assert guarded(finetune.main, [*words, "--out", str(tmp_path / "teacher")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path / 'pretrained'}: {reason}" in line
