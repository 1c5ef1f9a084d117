"""Plans of removal: monotonic, within their limits, in multiples."""

from functools import cache

import pytest
import torch
from bodies import CLASSES, student, windows

from edgehar.student.pruning.allocation import ALLOCATIONS, Plan, in_multiples, sensitivity_of
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.removal import remove_to_limit
from edgehar.student.pruning.units import parts_of
from edgehar.teacher.network.layers import count_macs


@cache
def plan_of(allocation: str) -> Plan:
    network = student()
    parts = parts_of(network, width=True)
    return ALLOCATIONS[allocation](network, parts, l2(network, parts, windows(2)), windows(16))


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_plan_removes_nothing_at_strength_0_and_keeps_one_unit_of_each_part_at_1(allocation: str):
    parts, plan = parts_of(student(), width=True), plan_of(allocation)
    assert all(len(removed) == 0 for removed in plan(0.0).values())
    assert all(0 < part.count - len(plan(1.0)[part.name]) <= max(1, 0.5 * part.count) for part in parts)
    before = -1
    for strength in (0.1, 0.4, 0.7, 1.0):
        removed = sum(len(units) for units in plan(strength).values())
        assert removed >= before
        before = removed


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("multiple", [8, 12])
def test_remaining_units_are_multiples_and_the_most_important(allocation: str, multiple: int):
    network, plan = student(), plan_of(allocation)
    parts = parts_of(network, width=True)
    rounded = in_multiples(plan, parts, multiple)
    assert {part.count % multiple for part in parts} != {0}
    for strength in (0.0, 0.3, 0.6, 1.0):
        for part in parts:
            fewer, more = rounded(strength)[part.name], plan(strength)[part.name]
            remaining = part.count - len(fewer)
            if part.kind == "heads":
                assert torch.equal(fewer, more)
                continue
            assert remaining % multiple == 0 or remaining == part.count
            assert 0 <= len(more) - len(fewer) < multiple
            assert torch.equal(fewer, more[: len(fewer)])  # the least important ones are removed
    pruned, _ = remove_to_limit(
        network, parts, rounded, windows(2), lambda network: count_macs(network, *windows(1)),
        0.6 * count_macs(network, *windows(1)),
    )  # fmt: skip
    assert pruned.encoder.norm.weight.numel() % multiple in (0, network.encoder.norm.weight.numel() % multiple)
    assert pruned(*windows(2)).logits.shape == (2, CLASSES)


def test_sensitivity_of_a_part_without_effect_is_zero():
    network = student()
    network.encoder.blocks[1].feedforward.contract.weight.data.zero_()  # type: ignore[union-attr, operator]
    parts = parts_of(network, width=False)
    divergences = sensitivity_of(network, parts, l2(network, parts, windows(2)), windows(16))
    assert max(divergences["encoder.blocks.1.feedforward.expand"]) < 1e-6
    others = [levels[-1] for name, levels in divergences.items() if name != "encoder.blocks.1.feedforward.expand"]
    assert min(others) > 1e-6
    for levels in divergences.values():
        assert levels == sorted(levels)
