"""Limits are met as closely as possible; an unreachable limit is refused."""

from functools import cache

import pytest
import torch
from bodies import CLASSES, smaller, student, windows

from edgehar.errors import ConfigError
from edgehar.student.network.blocks import blocks_of
from edgehar.student.prune import PruneOptions
from edgehar.student.pruning.allocation import ALLOCATIONS, Plan
from edgehar.student.pruning.cost import latency_ms
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.removal import PrunedNetwork, remove_to_limit, shrink
from edgehar.student.pruning.units import parts_of
from edgehar.teacher.network.layers import count_macs


@cache
def plan_of(preset: str, allocation: str) -> Plan:
    network = student(preset)
    parts = parts_of(network, width=True)
    return ALLOCATIONS[allocation](network, parts, l2(network, parts, windows(2)), windows(16))


@cache
def remaining_share(preset: str, allocation: str, limit: float) -> float:
    """Multiply-adds after removal, relative to before."""
    network = student(preset)
    before = count_macs(network, *windows(1))
    pruned, _ = remove_to_limit(
        network, parts_of(network, width=True), plan_of(preset, allocation), windows(2),
        lambda network: count_macs(network, *windows(1)), limit * before,
    )  # fmt: skip
    assert pruned(*windows(3)).logits.shape == (3, CLASSES)
    return count_macs(pruned, *windows(1)) / before


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("macs", [0.9, 0.5, 0.1])
def test_limit_on_multiply_adds_is_met(preset: str, macs: float, allocation: str):
    assert macs - 0.12 < remaining_share(preset, allocation, macs) <= macs


@pytest.mark.parametrize("macs", [0.9, 0.7, 0.5, 0.3, 0.1])
def test_no_more_is_removed_than_necessary(macs: float):
    """A unit of the skeleton's first convolution is 1.48 % of the multiply-adds."""
    for allocation in ("ranked", "sensitivity"):
        assert macs - 0.015 < remaining_share("base", allocation, macs) <= macs


def test_unreachable_limit_is_refused():
    network = student("tiny")
    parts = parts_of(network, width=False)
    plan = ALLOCATIONS["uniform"](network, parts, l2(network, parts, windows(2)), windows(2))
    with pytest.raises(ConfigError, match=r"--macs.* 100 .*97%"):
        remove_to_limit(network, parts, plan, windows(2), lambda network: count_macs(network, *windows(1)), 100.0)


def test_latency_of_a_pruned_network_is_measured():
    assert 0 < latency_ms(smaller(student("tiny"), 0.6)[0], windows(1)) < 1000


def test_repeated_removal_meets_each_limit_and_reports_units_of_the_unpruned_network():
    unpruned, removal = student(), PruneOptions("", "", macs=0.3).removal
    network = PrunedNetwork(unpruned, {name: name for name in blocks_of(unpruned)}, {})
    for limit in (0.7e6, 0.5e6, 0.3e6):
        network = shrink(network, windows(16), removal, lambda network: count_macs(network, *windows(1)), limit)
        assert count_macs(network.network, *windows(1)) <= limit
    channels = network.kept["encoder.modality_projection.skeleton"]
    tokens = network.kept["encoder.token_projection"]
    projection = unpruned.encoder.token_projection.weight
    assert torch.equal(network.network.encoder.token_projection.weight, projection[tokens][:, channels])
    remaining = {block: units for block, _, units in network.pairs()}
    assert torch.equal(remaining["encoder.blocks.1"], channels)  # type: ignore[arg-type]
    assert torch.equal(remaining["head.blocks.0"], tokens)  # type: ignore[arg-type]
