import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, smaller, student, windows
from torch import nn

from edgehar.errors import ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student import prune
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.student.network.blocks import blocks_of
from edgehar.student.network.model import PRESETS
from edgehar.student.network.rebuild import rebuild, rebuild_teacher
from edgehar.student.prune import PruneOptions, shrink
from edgehar.student.pruning.allocation import ALLOCATIONS, MOST, in_multiples, remove_to_limit, sensitivity_of
from edgehar.student.pruning.drop_blocks import without_blocks
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.recover import RecoveryConfig, PrunedNetwork, recovery_loss
from edgehar.student.pruning.units import Part, parts_of, remove, rows_of
from edgehar.student.synthesis.sources import NoiseSampler
from edgehar.teacher.network.layers import Attention, count_macs, outputs_of
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import ProcessGroup


def teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(TeacherConfig(dim=32, joint_dim=16), SPECS, STEPS, CLASSES).eval()


def masked(network: nn.Module, parts: list[Part], gone: dict[str, torch.Tensor]) -> nn.Module:
    """A network of the old size in which nothing reads what some units and heads give."""
    whole = copy.deepcopy(network)
    for part in parts:
        reader = whole.get_submodule(part.reader)
        assert isinstance(reader, nn.Linear)
        reader.weight.data.unflatten(1, (part.count, -1))[:, gone[part.name]] = 0
    return whole


@pytest.mark.parametrize("make", [student, teacher])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75])
def test_a_pruned_network_is_the_unpruned_one_with_those_units_masked(make: Any, share: float):
    network, inputs = make(), windows(4)
    parts = parts_of(network, width=False)
    scores = l2(network, parts, windows(2))
    gone = {part.name: scores[part.name].argsort()[: int(share * part.count)] for part in parts}
    small, kept = remove(network, gone, parts, windows(2))
    expected = masked(network, parts, gone)(*inputs).logits
    torch.testing.assert_close(small.eval()(*inputs).logits, expected, atol=1e-6, rtol=1e-6)
    for part in parts:
        assert len(kept[part.name]) == part.count - len(gone[part.name])
        if part.kind == "heads":
            attention = small.get_submodule(part.name.removesuffix(".qkv"))
            assert isinstance(attention, Attention)
            assert attention.heads == len(kept[part.name])
            rows = rows_of(network, part, kept[part.name])
            assert torch.equal(attention.qkv.weight, network.get_submodule(part.name).weight[rows])


def test_the_blocks_that_matter_least_go_and_the_ones_before_them_give_what_they_gave():
    network = Teacher(TeacherConfig(dim=32, joint_dim=16, time_blocks=4), SPECS, STEPS, CLASSES).eval()
    for useless in ("time_blocks.skeleton.1", "time_blocks.inertial.3"):
        block = network.get_submodule(useless)
        for last in ("attention.project", "feedforward.contract"):
            block.get_submodule(last).weight.data.mul_(1e-3)  # type: ignore[union-attr, operator]
            block.get_submodule(last).bias.data.zero_()  # type: ignore[union-attr, operator]
    small, gives = without_blocks(network, 2, windows(8))
    assert blocks_of(network)[2:] == [
        f"time_blocks.{name}.{place}" for name in ("skeleton", "inertial") for place in range(4)
    ] + ["fusion.0"]
    assert {own: other for own, other in gives.items() if own.startswith("time_blocks")} == {
        "time_blocks.skeleton.0": "time_blocks.skeleton.1",
        "time_blocks.skeleton.1": "time_blocks.skeleton.2",
        "time_blocks.skeleton.2": "time_blocks.skeleton.3",
        "time_blocks.inertial.0": "time_blocks.inertial.0",
        "time_blocks.inertial.1": "time_blocks.inertial.1",
        "time_blocks.inertial.2": "time_blocks.inertial.3",
    }
    assert blocks_of(small) == list(gives)
    # Exactly the network in which those blocks add nothing.
    for useless in ("time_blocks.skeleton.1", "time_blocks.inertial.3"):
        for last in ("attention.project", "feedforward.contract"):
            network.get_submodule(f"{useless}.{last}").weight.data.zero_()  # type: ignore[union-attr, operator]
    torch.testing.assert_close(small(*windows(4)).logits, network(*windows(4)).logits, atol=1e-6, rtol=1e-6)


def test_of_blocks_in_a_row_one_stays():
    with pytest.raises(ConfigError, match="--drop-blocks 2: expected 0 to 1; the network has 3, and of"):
        without_blocks(student(), 2, windows(2))
    assert len(without_blocks(student(), 1, windows(2))[0].encoder.blocks) == 1


def test_channels_and_tokens_that_stayed_are_named():
    whole = student()
    small, kept = smaller(whole, 0.4)
    channels, tokens = kept["encoder.modality_projection.skeleton"], kept["encoder.token_projection"]
    assert torch.equal(
        small.encoder.token_projection.weight, whole.encoder.token_projection.weight[tokens][:, channels]
    )
    assert torch.equal(small.head.position_embedding, whole.head.position_embedding[:, tokens])
    for name, entry in small.encoder.missing.items():
        assert torch.equal(entry, whole.encoder.missing[name][channels])


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_nothing_goes_at_strength_0_and_one_unit_of_each_part_stays_at_1(allocation: str):
    whole = student()
    parts = parts_of(whole, width=True)
    plan = ALLOCATIONS[allocation](whole, parts, l2(whole, parts, windows(2)), windows(16))
    assert all(len(gone) == 0 for gone in plan(0.0).values())
    assert all(0 < part.count - len(plan(1.0)[part.name]) <= max(1, 0.5 * part.count) for part in parts)
    before = -1
    for strength in (0.1, 0.4, 0.7, 1.0):
        gone = sum(len(units) for units in plan(strength).values())
        assert gone >= before
        before = gone


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("multiple", [8, 12])
def test_what_stays_comes_in_multiples_and_is_the_best(allocation: str, multiple: int):
    whole = student()
    parts = parts_of(whole, width=True)
    usual = ALLOCATIONS[allocation](whole, parts, l2(whole, parts, windows(2)), windows(16))
    rounded = in_multiples(usual, parts, multiple)
    assert {part.count % multiple for part in parts} != {0}
    for strength in (0.0, 0.3, 0.6, 1.0):
        for part in parts:
            fewer, more = rounded(strength)[part.name], usual(strength)[part.name]
            stay = part.count - len(fewer)
            if part.kind == "heads":
                assert torch.equal(fewer, more)
                continue
            assert stay % multiple == 0 or stay == part.count
            assert 0 <= len(more) - len(fewer) < multiple
            assert torch.equal(fewer, more[: len(fewer)])  # what goes is worth least
    small, _ = remove_to_limit(
        whole, parts, rounded, windows(2), lambda network: count_macs(network, *windows(1)),
        0.6 * count_macs(whole, *windows(1)),
    )  # fmt: skip
    assert small.encoder.norm.weight.numel() % multiple in (0, whole.encoder.norm.weight.numel() % multiple)
    assert small(*windows(2)).logits.shape == (2, CLASSES)


def test_sensitivity_finds_the_part_that_nothing_depends_on():
    whole = student()
    whole.encoder.blocks[1].feedforward.contract.weight.data.zero_()  # type: ignore[union-attr, operator]
    parts = parts_of(whole, width=False)
    harms = sensitivity_of(whole, parts, l2(whole, parts, windows(2)), windows(16))
    assert max(harms["encoder.blocks.1.feedforward.expand"]) < 1e-6
    others = [divergence[-1] for name, divergence in harms.items() if name != "encoder.blocks.1.feedforward.expand"]
    assert min(others) > 1e-6
    for divergence in harms.values():
        assert divergence == sorted(divergence)


def test_an_impossible_limit_is_a_clear_error():
    for wrong in ({"drop_blocks": -1}, {"rounds": 0}, {"rounds": 21}, {"multiple": 0}):
        with pytest.raises(ConfigError, match=r"expected 0 or more, 1 to 20, 1 or more"):
            PruneOptions("", "", **wrong)  # type: ignore[arg-type]
    for strange in ({"matching": -1.0}, {"matching": 0.0, "soft": 0.0}, {"temperature": 0.0}, {"patience": 0}):
        with pytest.raises(ConfigError, match="expected"):
            RecoveryConfig(**strange)  # type: ignore[arg-type]
    for macs in (0.0, 1.0, 1.7, -0.2):
        with pytest.raises(ConfigError, match="expected a share"):
            PruneOptions("", "", macs=macs)
    with pytest.raises(ConfigError, match="expected one limit"):
        PruneOptions("", "", macs=0.5, bytes=10_000)
    for changed in ({"criterion": "luck"}, {"allocation": "none"}):
        with pytest.raises(ConfigError, match="expected one of l1"):
            PruneOptions("", "", **changed)  # type: ignore[arg-type]
    whole = student("tiny")
    parts = parts_of(whole, width=False)
    plan = ALLOCATIONS["uniform"](whole, parts, l2(whole, parts, windows(2)), windows(2))
    with pytest.raises(ConfigError, match=f"with up to {MOST:.0%} of all units gone.*give a higher --macs"):
        remove_to_limit(whole, parts, plan, windows(2), lambda network: count_macs(network, *windows(1)), 100.0)


def checkpoint(network: nn.Module, kind: str = "pruned") -> Checkpoint:
    info = DatasetInfo("test", SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1))
    facts: dict[str, Any] = {"statistics": {}, "options": {"seed": 0}}
    sizes = dict(PRESETS["base"])
    return Checkpoint(
        kind, sizes, info, Normalisation.identity(SPECS), {}, [], facts, copy.deepcopy(network.state_dict())
    )


def test_a_pruned_network_comes_back_from_its_weights():
    small = smaller(without_blocks(student(), 1, windows(2))[0], 0.5)[0].eval()
    again = rebuild(checkpoint(small))
    assert len(again.encoder.blocks) == 1
    assert torch.equal(again(*windows(3)).logits, small(*windows(3)).logits)


def test_rounds_meet_the_limit_once_and_name_what_stayed_of_the_first_network():
    whole = student()
    inputs = windows(16)
    options = PruneOptions("", "", macs=0.3, rounds=3)
    smaller_still = PrunedNetwork(whole, {name: name for name in blocks_of(whole)}, {})
    for limit in (0.7, 0.5, 0.3):
        before = smaller_still
        smaller_still = shrink(before, inputs, options, lambda network: count_macs(network, *windows(1)), limit * 1e6)
        assert count_macs(smaller_still.network, *windows(1)) <= limit * 1e6
    channels, tokens = (
        smaller_still.kept["encoder.modality_projection.skeleton"],
        smaller_still.kept["encoder.token_projection"],
    )
    small = smaller_still.network
    assert torch.equal(
        small.encoder.token_projection.weight, whole.encoder.token_projection.weight[tokens][:, channels]
    )
    pairs = {own: left for own, _, left in smaller_still.pairs()}
    assert torch.equal(pairs["encoder.blocks.1"], channels)  # type: ignore[arg-type]
    assert torch.equal(pairs["head.blocks.0"], tokens)  # type: ignore[arg-type]


@torch.no_grad()
def test_a_network_that_lacks_nothing_has_nothing_to_recover():
    whole = student()
    source = NoiseSampler(SPECS, STEPS, 0.2)
    blocks = blocks_of(whole)
    pairs = PrunedNetwork(whole, {name: name for name in blocks}, {}).pairs()
    other = copy.deepcopy(whole)
    with outputs_of(whole, blocks) as got, outputs_of(other, blocks) as wanted:
        loss_of = recovery_loss(other, source, pairs, got, wanted, 8, RecoveryConfig(), ProcessGroup.from_environment())
        rows = np.arange(8)
        assert float(loss_of(whole, rows, update_generator(0, 0))) < 1e-6
        for name in blocks:
            changed = whole.get_submodule(name).feedforward.contract.bias  # type: ignore[union-attr]
            changed.data += 0.1  # type: ignore[operator]
            assert float(loss_of(whole, rows, update_generator(0, 0))) > 1e-3
            changed.data -= 0.1  # type: ignore[operator]


@pytest.mark.parametrize(("updates", "sixtieths", "after"), [(60, 2, 2), (31, 30, 16), (130, 6, 14), (90, 60, None)])
def test_recovery_stops_when_held_out_windows_gain_nothing_for_sixtieths_of_the_updates(
    updates: int, sixtieths: int, after: int | None, tmp_path: Path
):
    """After the first point of the curve (every second update of 130) that is as late; 60 never stop it."""
    whole = student("tiny")
    save_checkpoint(tmp_path / "student", replace(checkpoint(whole, "student"), network=dict(PRESETS["tiny"])))
    words = [str(tmp_path / "student"), "--macs", "0.5", "--batch", "4", "--source", "noise", "--updates", str(updates)]
    # At this rate the first updates do harm, and nothing gets better.
    words += ["--out", str(tmp_path / "stopped"), "--learning-rate", "3"]
    assert prune.main([*words, "--patience", str(sixtieths)]) == 0
    stopped = _load(tmp_path / "stopped")
    best = min(stopped.history, key=lambda point: point["held_out"])["update"]
    assert stopped.facts["updates"] == stopped.history[-1]["update"] == (best + after if after else updates)
    assert after is None or best + after < updates


def test_a_pruned_teacher_is_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgehar.student.pruning.allocation.HALVINGS", 2)
    sizes = {"dim": 32, "joint_dim": 16}
    save_checkpoint(tmp_path / "teacher", replace(checkpoint(teacher(), "teacher"), network=sizes))
    words = [str(tmp_path / "teacher"), "--out", str(tmp_path / "small"), "--updates", "4", "--batch", "4"]
    assert prune.main([*words, "--macs", "0.5", "--source", "noise", "--drop-blocks", "1", "--rounds", "2"]) == 0
    small = load_checkpoint(tmp_path / "small", ("teacher",))
    network = rebuild_teacher(small)
    assert len(blocks_of(network)) == len(blocks_of(teacher())) - 1
    assert count_macs(network, *windows(1)) <= 0.5 * count_macs(teacher(), *windows(1))
    assert network(*windows(3)).logits.shape == (3, CLASSES)
    assert TeacherEnsemble([small])(*windows(3)).logits.shape == (3, CLASSES)
    assert not list(tmp_path.glob(".small*progress*"))
    with pytest.raises(ConfigError, match="of a teacher: it has no graphs for a board; use --macs"):
        prune.main([*words, "--bytes", "100000", "--source", "noise"])


def test_the_command_meets_its_limit_and_what_it_pruned_can_be_pruned_again(tmp_path: Path):
    save_checkpoint(tmp_path / "student", replace(checkpoint(student(), "student")))
    quick = ["--updates", "3", "--batch", "8", "--source", "noise"]
    words = [str(tmp_path / "student"), "--out", str(tmp_path / "pruned"), "--macs", "0.5", *quick]
    assert prune.main([*words, "--criterion", "taylor", "--allocation", "sensitivity"]) == 0
    again = [str(tmp_path / "pruned"), "--out", str(tmp_path / "twice"), "--macs", "0.6", *quick]
    assert prune.main([*again, "--allocation", "ranked", "--no-width"]) == 0
    sizes = [
        sum(entry.numel() for entry in rebuild(_load(tmp_path / name)).parameters()) for name in ("pruned", "twice")
    ]
    assert 4 * sizes[0] < 250_000
    assert sizes[1] < sizes[0]


def _load(path: Path) -> Checkpoint:

    return load_checkpoint(path, ("pruned",))
