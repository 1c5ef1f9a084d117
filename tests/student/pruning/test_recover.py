"""The recovery loss, and early stopping of the recovery."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from bodies import SPECS, STEPS, checkpoint_of, student

from edgehar.student import prune
from edgehar.student.network.blocks import blocks_of
from edgehar.student.pruning.recover import RecoveryConfig, recovery_loss
from edgehar.student.pruning.removal import PrunedNetwork
from edgehar.student.synthesis.samplers import NoiseSampler
from edgehar.teacher.network.layers import outputs_of
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint
from edgehar.teacher.training.processes import ProcessGroup


@torch.no_grad()
def test_recovery_loss_is_zero_only_for_equal_networks():
    network = student()
    other = copy.deepcopy(network)
    sampler, config, processes = NoiseSampler(SPECS, STEPS, 0.2), RecoveryConfig(), ProcessGroup.from_environment()
    blocks = blocks_of(network)
    pairs = PrunedNetwork(network, {name: name for name in blocks}, {}).pairs()
    with outputs_of(network, blocks) as outputs, outputs_of(other, blocks) as targets:
        loss_of = recovery_loss(other, sampler, pairs, outputs, targets, 8, config, processes)
        rows = np.arange(8)
        assert float(loss_of(network, rows, update_generator(0, 0))) < 1e-6
        for name in blocks:
            bias = network.get_submodule(name).feedforward.contract.bias  # type: ignore[union-attr]
            bias.data += 0.1  # type: ignore[operator]
            assert float(loss_of(network, rows, update_generator(0, 0))) > 1e-3
            bias.data -= 0.1  # type: ignore[operator]


@pytest.mark.parametrize(("updates", "sixtieths", "after"), [(60, 2, 2), (31, 30, 16), (130, 6, 14), (40, 60, None)])
def test_recovery_stops_without_improvement_for_patience_sixtieths_of_the_updates(
    updates: int, sixtieths: int, after: int | None, tmp_path: Path
):
    """At the first point of the curve (every second update of 130) that late after the best; 60 never stop it."""
    save_checkpoint(tmp_path / "student", checkpoint_of(student("tiny")))
    words = [str(tmp_path / "student"), "--macs", "0.5", "--batch", "4", "--source", "noise", "--updates", str(updates)]
    # At this learning rate the first updates diverge, and nothing improves.
    words += ["--out", str(tmp_path / "stopped"), "--learning-rate", "3"]
    assert prune.main([*words, "--patience", str(sixtieths)]) == 0
    stopped = load_checkpoint(tmp_path / "stopped", ("pruned",))
    best = min(stopped.history, key=lambda point: point["held_out"])["update"]
    assert stopped.facts["updates"] == stopped.history[-1]["update"] == (best + after if after else updates)
    assert after is None or best + after < updates
