"""What each criterion says of units that are useless, alike, or like any other."""

import pytest
import torch
from bodies import student, windows

from edgehar.student.pruning.importance import CRITERIA
from edgehar.student.pruning.units import Scores, parts_of


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_scores_every_unit_and_all_but_chance_know_a_useless_one(criterion: str):
    whole = student("tiny")
    block = whole.encoder.blocks[0].feedforward  # type: ignore[union-attr]
    # Two units that say nothing, or always the same, whatever comes in.
    for unit in (3, 7):
        block.expand.weight.data[unit] = 0  # type: ignore[union-attr, index]
        block.expand.bias.data[unit] = 0  # type: ignore[union-attr, index]
        block.contract.weight.data[:, unit] = 0  # type: ignore[union-attr, index]
    parts = parts_of(whole, width=True)
    scores: Scores = CRITERIA[criterion](whole, parts, windows(48))
    assert {name: len(entry) for name, entry in scores.items()} == {part.name: part.count for part in parts}
    assert all(torch.isfinite(entry).all() for entry in scores.values())
    ranks = scores["encoder.blocks.0.feedforward.expand"].argsort().argsort()
    if criterion != "random":
        assert max(int(ranks[3]), int(ranks[7])) < 8 if criterion == "overlap" else int(ranks[[3, 7]].max()) < 2


def test_chance_is_the_same_for_the_same_windows_and_another_for_others():
    whole = student("tiny")
    parts = parts_of(whole, width=False)
    one, again, other = (CRITERIA["random"](whole, parts, windows(4, seed)) for seed in (0, 0, 1))
    for name in one:
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])


def test_of_two_units_that_say_the_same_one_goes_first():
    whole = student("tiny")
    block = whole.encoder.blocks[0].feedforward  # type: ignore[union-attr]
    block.expand.weight.data[5] = block.expand.weight.data[2]  # type: ignore[union-attr, index]
    block.expand.bias.data[5] = block.expand.bias.data[2]  # type: ignore[union-attr, index]
    parts = parts_of(whole, width=False)
    worth = CRITERIA["overlap"](whole, parts, windows(48))["encoder.blocks.0.feedforward.expand"]
    assert int(worth.argmin()) in (2, 5)
    assert float((worth[2] - worth[5]).abs()) > 0.01
