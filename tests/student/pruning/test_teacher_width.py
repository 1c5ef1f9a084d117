"""The channels of a teacher go for good, and what is left is a teacher like any other."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows
from torch import nn

from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student import prune
from edgehar.student.distill import DistillationModel, DistillConfig
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.student.network.blocks import blocks_of
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.student.pruning.importance import CRITERIA
from edgehar.student.pruning.recover import PrunedNetwork
from edgehar.student.pruning.units import parts_of, remove
from edgehar.teacher.network.layers import count_macs, outputs_of
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

INFO = DatasetInfo("test", SPECS, tuple("abcde")[:CLASSES], WindowSpec("clip", STEPS, 0.1))
SIZES = {"dim": 32, "joint_dim": 16}


def teacher() -> Teacher:
    torch.manual_seed(0)
    network = Teacher(TeacherConfig(**SIZES), SPECS, STEPS, CLASSES).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def wide(network: nn.Module, width: bool = True) -> list[Any]:
    return [part for part in parts_of(network, width) if part.kind in ("channels", "joints")]


@torch.no_grad()
def with_twins(network: Teacher) -> Teacher:
    """Every odd channel holds what the even one before it does, and nothing reads it."""
    read = ("qkv.weight", "expand.weight", "merge.weight", "classifier.weight", "head.skeleton.weight")
    for name, entry in network.named_parameters():
        if name.endswith((*read, "head.inertial.weight")):
            entry[:, 1::2] = 0
        if any(f".{layer}." in name for layer in ("embed", "merge", "project", "contract")):
            entry[1::2] = entry[::2]
        elif any(loose in name for loose in ("norm", "missing", "embedding", "fusion_", "hidden_group")):
            entry[..., 1::2] = entry[..., ::2]
    return network


def test_a_teacher_whose_channels_come_in_pairs_needs_one_of_each():
    network = with_twins(teacher())
    parts = wide(network)
    assert [part.count for part in parts] == [16, 16, 32]
    small, kept = remove(network, {part.name: torch.arange(1, part.count, 2) for part in parts}, parts, windows(2))
    assert all(torch.equal(kept[part.name], torch.arange(0, part.count, 2)) for part in parts)
    features, valid = windows(4)
    valid["inertial"][0] = False
    valid["skeleton"][1, 3:] = False
    got, wanted = small.eval()(features, valid), network(features, valid)
    torch.testing.assert_close(got.logits, wanted.logits, atol=1e-4, rtol=1e-4)
    for name, logits in wanted.modality_logits.items():
        torch.testing.assert_close(got.modality_logits[name], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got.steps, wanted.steps[..., ::2], atol=1e-4, rtol=1e-4)
    assert count_macs(small, *windows(1)) < 0.6 * count_macs(network, *windows(1))
    # What a block has to give is what the same block of the whole teacher gives on the channels that stayed.
    blocks = {name: name for name in blocks_of(network)}
    with outputs_of(network, list(blocks)) as known, outputs_of(small, list(blocks)) as gave:
        network(*windows(4))
        small(*windows(4))
    for own, other, left in PrunedNetwork(small, blocks, kept).pairs():
        torch.testing.assert_close(gave[own], known[other][..., left], atol=1e-4, rtol=1e-4)


def test_without_width_a_teacher_keeps_its_channels():
    assert not wide(teacher(), width=False)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_judges_the_channels_of_a_teacher(criterion: str):
    network = teacher()
    parts = parts_of(network, width=True)
    scores = CRITERIA[criterion](copy.deepcopy(network).requires_grad_(True), parts, windows(8))
    assert {name: len(worth) for name, worth in scores.items()} == {part.name: part.count for part in parts}
    assert all(worth.isfinite().all() for worth in scores.values())


def test_a_teacher_gets_far_smaller_than_its_units_and_heads_alone_let_it_and_teaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edgehar.student.pruning.allocation.HALVINGS", 3)
    network = teacher()
    given = Checkpoint(
        "teacher", dict(SIZES), INFO, Normalisation.identity(SPECS), {}, [], {"options": {}}, network.state_dict()
    )
    save_checkpoint(tmp_path / "teacher", given)
    quick = ["--updates", "2", "--batch", "4", "--source", "noise"]
    before = "teacher"
    for name, share in (("small", 0.2), ("smaller", 0.7)):  # a pruned teacher can be pruned again
        words = [str(tmp_path / before), "--out", str(tmp_path / name), "--macs", str(share), *quick]
        assert prune.main(words) == 0
        before = name
    small = load_checkpoint(tmp_path / "smaller", ("teacher",))
    left = rebuild_teacher(small)
    assert count_macs(left, *windows(1)) <= 0.14 * count_macs(network, *windows(1))
    assert left(*windows(3)).fused.shape[1] == 2 * left.config.dim < 2 * 32
    teachers = TeacherEnsemble([small, given], layers=1)
    student = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    config = DistillConfig(layers=1)
    said, known = DistillationModel(student, teachers.dim, config)(*windows(3)), teachers(*windows(3))
    assert said[2]["fused"].shape == known.fused.shape
    assert said[2]["steps"].shape == known.steps.shape
