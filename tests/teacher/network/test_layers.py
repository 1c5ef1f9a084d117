"""Multiply-adds of the transformer layers."""

import torch

from edgehar.teacher.network.layers import Block, count_macs


def test_multiply_adds_of_a_block_equal_the_formula():
    dim, hidden, tokens = 16, 32, 10
    linear = tokens * (3 * dim * dim + dim * dim + 2 * dim * hidden)
    attention = 2 * tokens * tokens * dim
    assert count_macs(Block(dim, 4, hidden), torch.zeros(1, tokens, dim)) == linear + attention
