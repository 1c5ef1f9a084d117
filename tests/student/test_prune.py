import copy
from typing import Any, cast

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.clip import DatasetInfo
from edgehar.errors import ConfigError
from edgehar.modality import WindowSpec
from edgehar.preprocess import Normalisation
from student.lite import PRESETS, Lite, LiteConfig
from student.prune import remove, remove_to
from student.rebuild import rebuild
from teacher.checkpoint import Checkpoint
from teacher.layers import count_macs


def student(preset: str = "base") -> Lite:
    torch.manual_seed(0)
    network = Lite(LiteConfig(**PRESETS[preset]), SPECS, STEPS, CLASSES).eval()
    for name, parameter in network.named_parameters():
        if "missing" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def rows_that_stayed(whole: torch.Tensor, cut: torch.Tensor) -> torch.Tensor:
    """True for the entries of a vector of distinct numbers that are still there."""
    return torch.isin(whole, cut)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75])
def test_a_pruned_network_is_the_unpruned_one_with_those_units_masked(share: float):
    whole, inputs = student(), windows(4)
    small = remove(whole, share, windows(2), width=False).student.eval()
    masked = copy.deepcopy(whole)
    pairs = [
        (b.feedforward.expand, b.feedforward.contract, s.feedforward.expand)
        for part, cut in ((masked.encoder, small.encoder), (masked.head, small.head))
        for b, s in zip(part.parts, cut.parts, strict=True)
    ]
    whole_stem, whole_widen, small_stem = masked.encoder.stem, masked.encoder.widen, small.encoder.stem
    pairs += [cast(Any, (whole_stem[name], whole_widen[name], small_stem[name])) for name in masked.encoder.names]
    for before, after, cut in pairs:
        after.weight.data[:, ~rows_that_stayed(before.bias.data, cut.bias.data)] = 0
    for block, cut in zip(masked.head.parts, small.head.parts, strict=True):
        attention = block.attention
        value_bias = attention.qkv.bias.data.reshape(3, -1)[2]
        stayed = rows_that_stayed(value_bias, cut.attention.qkv.bias.data)
        attention.project.weight.data[:, ~stayed] = 0
        assert cut.attention.heads == attention.heads - int(share * attention.heads)
        assert int(stayed.sum()) == cut.attention.heads * attention.head_dim
    torch.testing.assert_close(small(*inputs).logits, masked(*inputs).logits, atol=1e-6, rtol=1e-6)


def test_channels_that_stayed_are_named():
    whole = student()
    cut = remove(whole, 0.4, windows(2), width=True)
    kept = whole.encoder.narrow.weight[:, cut.kept_width]
    assert torch.equal(cut.student.encoder.narrow.weight, kept)
    for name, entry in cut.student.encoder.missing.items():
        assert torch.equal(entry, whole.encoder.missing[name][cut.kept_width])


@pytest.mark.parametrize("preset", ["tiny", "base", "large"])
@pytest.mark.parametrize("macs", [0.9, 0.5, 0.15])
def test_multiply_adds_come_down_to_what_was_asked(preset: str, macs: float):
    whole = student(preset)
    small = remove_to(whole, macs, windows(2), width=True).student
    share = count_macs(small, *windows(1)) / count_macs(whole, *windows(1))
    assert macs - 0.12 < share <= macs
    assert small(*windows(3)).logits.shape == (3, CLASSES)


@pytest.mark.parametrize("macs", [0.0, 1.0, 1.7, -0.2])
def test_an_impossible_share_is_a_clear_error(macs: float):
    with pytest.raises(ConfigError, match=r"expected a share"):
        remove_to(student("tiny"), macs, windows(2), width=True)


def test_removing_everything_is_a_clear_error():
    with pytest.raises(ConfigError, match="ask for more --macs"):
        remove_to(student("tiny"), 0.021, windows(2), width=False)


def test_a_pruned_network_comes_back_from_its_weights():
    small = remove(student(), 0.5, windows(2), width=True).student.eval()
    info = DatasetInfo("test", SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1))
    checkpoint = Checkpoint(
        "pruned", {}, info, Normalisation.identity(SPECS), {}, [], {"statistics": {}}, copy.deepcopy(small.state_dict())
    )
    again = rebuild(checkpoint)
    assert torch.equal(again(*windows(3)).logits, small(*windows(3)).logits)
