"""Scores of units that are unused, redundant, or neither."""

import pytest
import torch
from bodies import student, windows

from edgehar.choices import CRITERIA
from edgehar.student.pruning.importance import SCORE_FUNCTIONS
from edgehar.student.pruning.units import Scores, parts_of


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_scores_every_unit_and_all_but_random_rank_unused_units_last(criterion: str):
    network = student("tiny")
    block = network.encoder.blocks[0].feedforward  # type: ignore[union-attr]
    for unit in (3, 7):  # their outputs are constant and not read
        block.expand.weight.data[unit] = 0  # type: ignore[union-attr, index]
        block.expand.bias.data[unit] = 0  # type: ignore[union-attr, index]
        block.contract.weight.data[:, unit] = 0  # type: ignore[union-attr, index]
    parts = parts_of(network, width=True)
    scores: Scores = SCORE_FUNCTIONS[criterion](network, parts, windows(48))
    assert {name: len(entry) for name, entry in scores.items()} == {part.name: part.count for part in parts}
    assert all(torch.isfinite(entry).all() for entry in scores.values())
    ranks = scores["encoder.blocks.0.feedforward.expand"].argsort().argsort()
    # An untrained head reads little of this block: some of its gates close as far as unused ones.
    last = {"overlap": 8, "gates": 4}.get(criterion, 2)
    if criterion != "random":
        assert int(ranks[[3, 7]].max()) < last


def test_random_scores_depend_on_the_windows_only():
    network = student("tiny")
    parts = parts_of(network, width=False)
    one, again, other = (SCORE_FUNCTIONS["random"](network, parts, windows(4, seed)) for seed in (0, 0, 1))
    for name in one:
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])


def test_overlap_ranks_one_of_two_equal_units_last():
    network = student("tiny")
    block = network.encoder.blocks[0].feedforward  # type: ignore[union-attr]
    block.expand.weight.data[5] = block.expand.weight.data[2]  # type: ignore[union-attr, index]
    block.expand.bias.data[5] = block.expand.bias.data[2]  # type: ignore[union-attr, index]
    parts = parts_of(network, width=False)
    scores = SCORE_FUNCTIONS["overlap"](network, parts, windows(48))["encoder.blocks.0.feedforward.expand"]
    assert int(scores.argmin()) in (2, 5)
    assert float((scores[2] - scores[5]).abs()) > 0.01
