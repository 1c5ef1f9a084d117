import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, student, windows

from edgehar.errors import ConfigError
from edgehar.student.network.blocks import blocks_of
from edgehar.student.pruning.drop_blocks import without_blocks
from edgehar.teacher.network.model import Teacher, TeacherConfig


def test_least_important_blocks_are_removed_and_targets_are_reassigned():
    network = Teacher(TeacherConfig(dim=32, joint_dim=16, time_blocks=4), SPECS, STEPS, CLASSES).eval()
    for unimportant in ("time_blocks.skeleton.1", "time_blocks.inertial.3"):
        block = network.get_submodule(unimportant)
        for last in ("attention.project", "feedforward.contract"):
            block.get_submodule(last).weight.data.mul_(1e-3)  # type: ignore[union-attr, operator]
            block.get_submodule(last).bias.data.zero_()  # type: ignore[union-attr, operator]
    pruned, target_block = without_blocks(network, 2, windows(8))
    assert blocks_of(network)[2:] == [
        f"time_blocks.{name}.{index}" for name in ("skeleton", "inertial") for index in range(4)
    ] + ["fusion.0"]
    assert {block: target for block, target in target_block.items() if block.startswith("time")} == {
        "time_blocks.skeleton.0": "time_blocks.skeleton.1",
        "time_blocks.skeleton.1": "time_blocks.skeleton.2",
        "time_blocks.skeleton.2": "time_blocks.skeleton.3",
        "time_blocks.inertial.0": "time_blocks.inertial.0",
        "time_blocks.inertial.1": "time_blocks.inertial.1",
        "time_blocks.inertial.2": "time_blocks.inertial.3",
    }
    assert blocks_of(pruned) == list(target_block)
    # Equal to the network in which the outputs of those blocks are zero.
    for unimportant in ("time_blocks.skeleton.1", "time_blocks.inertial.3"):
        for last in ("attention.project", "feedforward.contract"):
            network.get_submodule(f"{unimportant}.{last}").weight.data.zero_()  # type: ignore[union-attr, operator]
    torch.testing.assert_close(pruned(*windows(4)).logits, network(*windows(4)).logits, atol=1e-6, rtol=1e-6)


def test_one_block_of_each_sequence_remains():
    with pytest.raises(ConfigError, match="--drop-blocks 2: expected 0 to 1"):
        without_blocks(student(), 2, windows(2))
    assert len(without_blocks(student(), 1, windows(2))[0].encoder.blocks) == 1
