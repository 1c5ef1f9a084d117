"""Removing units equals masking them, and the remaining units are those of the unpruned network."""

from functools import partial
from typing import Any

import pytest
import torch
from bodies import checkpoint_of, random_student, small_teacher, smaller, student, windows
from torch import Tensor, nn

from edgehar.student.network.rebuild import rebuild
from edgehar.student.pruning.drop_blocks import without_blocks
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import Part, RemovedUnits, output_rows, part_hooks, parts_of, remove
from edgehar.student.windows import Inputs
from edgehar.teacher.network.layers import Attention


def masked_logits(network: nn.Module, parts: list[Part], removed: RemovedUnits, inputs: Inputs) -> Tensor:
    """Logits of a network of unchanged size in which no layer reads the removed units and heads."""

    def hide(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        units = part.by_unit(given[0]).clone()
        units[..., removed[part.name], :] = 0
        return (part.as_rows(units), *given[1:])

    with part_hooks(network, parts, hide):
        return network(*inputs).logits


@pytest.mark.parametrize("make", [student, small_teacher, partial(random_student, "convolutions")])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75])
def test_pruned_network_equals_unpruned_one_with_masked_units(make: Any, share: float):
    network, inputs = make(), windows(4)
    parts = parts_of(network, width=False)
    scores = l2(network, parts, windows(2))
    removed = {part.name: scores[part.name].argsort()[: int(share * part.count)] for part in parts}
    pruned, kept = remove(network, removed, parts, windows(2))
    expected = masked_logits(network, parts, removed, inputs)
    torch.testing.assert_close(pruned.eval()(*inputs).logits, expected, atol=1e-6, rtol=1e-6)
    for part in parts:
        assert len(kept[part.name]) == part.count - len(removed[part.name])
        if part.kind == "heads":
            attention = pruned.get_submodule(part.name.removesuffix(".qkv"))
            assert isinstance(attention, Attention)
            assert attention.heads == len(kept[part.name])
            rows = output_rows(network, part, kept[part.name])
            assert torch.equal(attention.qkv.weight, network.get_submodule(part.name).weight[rows])


def test_remaining_channels_and_tokens_are_reported():
    unpruned = student()
    pruned, kept = smaller(unpruned, 0.4)
    channels, tokens = kept["encoder.modality_projection.skeleton"], kept["encoder.token_projection"]
    projection = unpruned.encoder.token_projection.weight
    assert torch.equal(pruned.encoder.token_projection.weight, projection[tokens][:, channels])
    assert torch.equal(pruned.head.position_embedding, unpruned.head.position_embedding[:, tokens])
    for name, entry in pruned.encoder.missing.items():
        assert torch.equal(entry, unpruned.encoder.missing[name][channels])


def test_pruned_network_is_rebuilt_from_its_weights():
    pruned = smaller(without_blocks(student(), 1, windows(2))[0], 0.5)[0].eval()
    rebuilt = rebuild(checkpoint_of(pruned, "pruned"))
    assert len(rebuilt.encoder.blocks) == 1
    assert torch.equal(rebuilt(*windows(3)).logits, pruned(*windows(3)).logits)
