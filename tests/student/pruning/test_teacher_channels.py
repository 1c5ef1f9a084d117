"""Channels of a teacher are removed, and the pruned teacher can be used like any other."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import checkpoint_of, small_teacher, untrained_student, windows
from torch import nn

from edgehar.choices import CRITERIA
from edgehar.student import prune
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.student.distillation.objective import DistillationModel, DistillConfig
from edgehar.student.network.blocks import blocks_of
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.student.pruning.importance import SCORE_FUNCTIONS
from edgehar.student.pruning.removal import PrunedNetwork
from edgehar.student.pruning.units import parts_of, remove
from edgehar.teacher.network.layers import count_macs, outputs_of
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint


def random_teacher() -> Teacher:
    network = small_teacher()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def channel_parts(network: nn.Module, width: bool = True) -> list[Any]:
    return [part for part in parts_of(network, width) if part.kind in ("channels", "joints")]


@torch.no_grad()
def with_duplicate_channels(network: Teacher) -> Teacher:
    """Every odd channel, also of convolutions, equals the even one before it, and no layer reads it."""
    read = ("qkv", "expand", "merge", "classifier", "head.skeleton", "head.inertial", "embed")
    read = tuple(f"{layer}.weight" for layer in (*read, "layers.1.convolution", "layer.convolution"))
    for name, entry in network.named_parameters():
        if name.endswith(read):
            entry[:, 1::2] = 0
        if any(f".{layer}." in name for layer in ("convolution", "embed", "merge", "project", "contract")):
            entry[1::2] = entry[::2]
        elif any(part in name for part in ("norm", "missing", "embedding", "fusion_", "hidden_group")):
            entry[..., 1::2] = entry[..., ::2]
    return network


def test_teacher_without_its_duplicate_channels_has_the_same_outputs():
    network = with_duplicate_channels(random_teacher())
    assert [part.count for part in channel_parts(network)] == [16, 16, 32]
    convolutions = [part for part in parts_of(network, width=False) if part.name.endswith(".convolution")]
    assert [part.count for part in convolutions] == [16] * 4
    parts = channel_parts(network) + convolutions
    odd = {part.name: torch.arange(1, part.count, 2) for part in parts}
    pruned, kept = remove(network, odd, parts, windows(2))
    assert all(torch.equal(kept[part.name], torch.arange(0, part.count, 2)) for part in parts)
    features, valid = windows(4)
    valid["inertial"][0] = False
    valid["skeleton"][1, 3:] = False
    found, expected = pruned.eval()(features, valid), network(features, valid)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=1e-4)
    for name, logits in expected.modality_logits.items():
        torch.testing.assert_close(found.modality_logits[name], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.steps, expected.steps[..., ::2], atol=1e-4, rtol=1e-4)
    assert count_macs(pruned, *windows(1)) < 0.6 * count_macs(network, *windows(1))
    # The target of a block is the output of the same block of the unpruned teacher on the remaining channels.
    blocks = {name: name for name in blocks_of(network)}
    with outputs_of(network, list(blocks)) as targets, outputs_of(pruned, list(blocks)) as outputs:
        network(*windows(4))
        pruned(*windows(4))
    for block, target, channels in PrunedNetwork(pruned, blocks, kept).pairs():
        torch.testing.assert_close(outputs[block], targets[target][..., channels], atol=1e-4, rtol=1e-4)


def test_teacher_keeps_its_channels_without_width():
    assert not channel_parts(random_teacher(), width=False)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_scores_the_channels_of_a_teacher(criterion: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgehar.student.pruning.importance.GATE_STEPS", 5)
    network = random_teacher()
    parts = parts_of(network, width=True)
    scores = SCORE_FUNCTIONS[criterion](copy.deepcopy(network).requires_grad_(True), parts, windows(8))
    assert {name: len(entry) for name, entry in scores.items()} == {part.name: part.count for part in parts}
    assert all(entry.isfinite().all() for entry in scores.values())


def test_pruned_teacher_can_be_pruned_again_and_distilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgehar.student.pruning.removal.BISECTION_STEPS", 3)
    network = random_teacher()
    unpruned = checkpoint_of(network, "teacher")
    save_checkpoint(tmp_path / "teacher", unpruned)
    quick = ["--updates", "2", "--batch", "4", "--source", "noise"]
    before = "teacher"
    for name, share in (("once", 0.2), ("twice", 0.7)):
        words = [str(tmp_path / before), "--out", str(tmp_path / name), "--macs", str(share), *quick]
        assert prune.main(words) == 0
        before = name
    twice = load_checkpoint(tmp_path / "twice", ("teacher",))
    pruned = rebuild_teacher(twice)
    # Fewer than removing units and heads alone can reach.
    assert count_macs(pruned, *windows(1)) <= 0.14 * count_macs(network, *windows(1))
    assert pruned(*windows(3)).fused.shape[1] == 3 * pruned.config.dim < 3 * 32
    teachers = TeacherEnsemble([twice, unpruned], layers=1)
    model = DistillationModel(untrained_student(), teachers.dim, teachers.fused_dim, DistillConfig(layers=1))
    output, targets = model(*windows(3)), teachers(*windows(3))
    assert output.heads["fused"].shape == targets.fused.shape
    assert output.heads["steps"].shape == targets.steps.shape
