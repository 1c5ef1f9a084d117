"""What may be left of a network: limits are met, as closely as can be, and what was reached is said."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, smaller, student, windows

from edgehar.errors import ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student import prune
from edgehar.student.network.model import PRESETS
from edgehar.student.network.rebuild import rebuild
from edgehar.student.prune import PruneOptions, report_limit
from edgehar.student.pruning.allocation import ALLOCATIONS, remove_to_limit
from edgehar.student.pruning.cost import graph_bytes, latency_ms
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import parts_of
from edgehar.teacher.network.layers import count_macs
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import TrainConfig

INFO = DatasetInfo("test", SPECS, tuple("abcde")[:CLASSES], WindowSpec("clip", STEPS, 0.1))


def share_left(preset: str, allocation: str, limit: float) -> float:
    whole = student(preset)
    parts = parts_of(whole, width=True)
    plan = ALLOCATIONS[allocation](whole, parts, l2(whole, parts, windows(2)), windows(16))
    before = count_macs(whole, *windows(1))
    small, _ = remove_to_limit(
        whole, parts, plan, windows(2), lambda network: count_macs(network, *windows(1)), limit * before
    )
    assert small(*windows(3)).logits.shape == (3, CLASSES)
    return count_macs(small, *windows(1)) / before


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("macs", [0.9, 0.5, 0.1])
def test_multiply_adds_come_down_to_what_was_asked(preset: str, macs: float, allocation: str):
    assert macs - 0.12 < share_left(preset, allocation, macs) <= macs


@pytest.mark.parametrize("macs", [0.9, 0.7, 0.5, 0.3, 0.1])
def test_no_more_goes_than_has_to(macs: float):
    for allocation in ("ranked", "sensitivity"):
        assert macs - 0.007 < share_left("base", allocation, macs) <= macs


def test_the_same_share_of_every_part_is_what_it_was_when_results_were_published():
    left = [share_left("base", "uniform", macs) for macs in (0.9, 0.7, 0.5, 0.3, 0.1)]
    assert left == pytest.approx([0.8956, 0.6999, 0.4918, 0.2943, 0.0985], abs=5e-5)


def test_milliseconds_are_those_of_the_graphs():
    assert 0 < latency_ms(smaller(student("tiny"), 0.6)[0], windows(1)) < 1000


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    whole = student("tiny")
    for parameter in whole.parameters():  # the exporter stores tensors that are alike once, as those of new layers are
        torch.nn.init.normal_(parameter, std=0.3)
    facts = {"options": {"seed": 0}}
    sizes = dict(PRESETS["tiny"])
    save_checkpoint(
        tmp_path / "student",
        Checkpoint("student", sizes, INFO, Normalisation.identity(SPECS), {}, [], facts, whole.state_dict()),
    )
    return tmp_path / "student"


def pruned(kept: Path, *words: str) -> Checkpoint:
    quick = ["--source", "noise", "--updates", "2", "--batch", "4"]
    assert prune.main([str(kept), "--out", str(kept.parent / "pruned"), *quick, *words]) == 0
    return load_checkpoint(kept.parent / "pruned", ("pruned",))


def test_the_command_keeps_to_bytes(kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("edgehar.student.pruning.allocation.HALVINGS", 2)  # each is an export
    whole = rebuild(load_checkpoint(kept, ("student",)))
    checkpoint = pruned(kept, "--bytes", "100000", "--no-width")
    reached = graph_bytes(rebuild(checkpoint), windows(1))
    assert reached <= 100_000 < graph_bytes(whole, windows(1))
    assert checkpoint.facts["limit"] == {"of": "bytes", "asked": 100_000, "reached": reached}
    assert f"limit: 100,000 bytes asked for, {reached:,.0f} reached\n" in capsys.readouterr().out


def test_multiply_adds_that_were_reached_are_kept(kept: Path, capsys: pytest.CaptureFixture[str]):
    facts = pruned(kept, "--macs", "0.5").facts
    assert facts["limit"] == {"of": "macs", "asked": 0.5 * facts["macs_before"], "reached": facts["macs"]}
    assert f"asked for, {facts['macs']:,} reached\n" in capsys.readouterr().out


def test_a_limit_that_is_exceeded_after_recovery_is_said(capsys: pytest.CaptureFixture[str]):
    report_limit(PruneOptions("", "", latency_ms=0.5), {"of": "latency_ms", "asked": 0.5, "reached": 0.61})
    said = capsys.readouterr().out
    assert "0.61 ms after recovery is above 0.5, though it was met before" in said
    assert "prune again while the machine does nothing else, or with a lower --latency-ms" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bytes": 0}, r"^--bytes 0: expected a finite number above 0$"),
        ({"latency_ms": 0.0}, r"^--latency-ms 0.0: expected a finite number above 0$"),
        ({"latency_ms": float("inf")}, r"^--latency-ms inf: expected a finite number above 0$"),
        ({"rounds": 20, "train": TrainConfig(updates=5)}, r"^--rounds 20: found 5 updates \(--updates 5, "),
    ],
)
def test_only_what_was_given_is_named(given: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        PruneOptions("", "", **given)
