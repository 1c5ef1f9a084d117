"""The prune verb: limits are met and reported, pruned networks can be pruned again, contradictions are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, checkpoint_of, small_teacher, student, windows

from edgehar.errors import ConfigError
from edgehar.student import prune
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.student.network.blocks import blocks_of
from edgehar.student.network.rebuild import rebuild, rebuild_teacher
from edgehar.student.prune import PruneOptions, report_limit
from edgehar.student.pruning.cost import graph_bytes
from edgehar.student.pruning.recover import RecoveryConfig
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import TrainConfig

QUICK = ("--source", "noise", "--updates", "2", "--batch", "4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoint of a tiny student."""
    network = student("tiny")
    for parameter in network.parameters():  # the exporter stores equal tensors once, such as those of new layers
        torch.nn.init.normal_(parameter, std=0.3)
    save_checkpoint(tmp_path / "student", checkpoint_of(network))
    return tmp_path / "student"


def pruned(folder: Path, *words: str) -> Checkpoint:
    assert prune.main([str(folder), "--out", str(folder.parent / "pruned"), *QUICK, *words]) == 0
    return load_checkpoint(folder.parent / "pruned", ("pruned",))


def test_limit_on_bytes_is_met(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("edgehar.student.pruning.removal.BISECTION_STEPS", 0)  # each step exports both graphs
    checkpoint = pruned(folder, "--bytes", "100000", "--no-width")
    reached = graph_bytes(rebuild(checkpoint), windows(1))
    assert reached <= 100_000  # the unpruned network is above the limit, or it would have been refused
    assert checkpoint.facts["limit"] == {"of": "bytes", "asked": 100_000, "reached": reached}
    shown = capsys.readouterr().out
    assert "100,000 bytes" in shown
    assert f"{reached:,.0f} bytes" in shown


def test_limit_on_multiply_adds_is_recorded(folder: Path, capsys: pytest.CaptureFixture[str]):
    facts = pruned(folder, "--macs", "0.5").facts
    assert facts["limit"] == {"of": "macs", "asked": 0.5 * facts["macs_before"], "reached": facts["macs"]}
    assert f"reached: {facts['macs']:,} multiply-adds\n" in capsys.readouterr().out


def test_limit_exceeded_after_recovery_is_reported(capsys: pytest.CaptureFixture[str]):
    removal = PruneOptions("", "", latency_ms=0.5).removal
    report_limit(removal, {"of": "latency_ms", "asked": 0.5, "reached": 0.61})
    exceeded = capsys.readouterr().out.splitlines()[1]
    assert "0.61 ms" in exceeded
    assert "--latency-ms" in exceeded


def test_pruned_student_can_be_pruned_again(tmp_path: Path):
    unpruned = student()
    save_checkpoint(tmp_path / "student", checkpoint_of(unpruned))
    words = [str(tmp_path / "student"), "--out", str(tmp_path / "once"), "--macs", "0.5", *QUICK]
    assert prune.main([*words, "--criterion", "taylor", "--allocation", "sensitivity"]) == 0
    again = [str(tmp_path / "once"), "--out", str(tmp_path / "twice"), "--macs", "0.6", *QUICK]
    assert prune.main([*again, "--allocation", "ranked", "--no-width"]) == 0
    once, twice = (
        sum(entry.numel() for entry in rebuild(load_checkpoint(tmp_path / name, ("pruned",))).parameters())
        for name in ("once", "twice")
    )
    # A weight of a convolution is used in every frame: half of the multiply-adds is more than half of the weights.
    assert once < 0.8 * count_parameters(unpruned)
    assert twice < once


def test_pruned_teacher_is_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgehar.student.pruning.removal.BISECTION_STEPS", 2)
    save_checkpoint(tmp_path / "teacher", checkpoint_of(small_teacher(), "teacher"))
    words = [str(tmp_path / "teacher"), "--out", str(tmp_path / "pruned"), *QUICK]
    assert prune.main([*words, "--macs", "0.5", "--drop-blocks", "1", "--rounds", "2"]) == 0
    checkpoint = load_checkpoint(tmp_path / "pruned", ("teacher",))
    network = rebuild_teacher(checkpoint)
    assert len(blocks_of(network)) == len(blocks_of(small_teacher())) - 1
    assert count_macs(network, *windows(1)) <= 0.5 * count_macs(small_teacher(), *windows(1))
    assert network(*windows(3)).logits.shape == (3, CLASSES)
    assert TeacherEnsemble([checkpoint])(*windows(3)).logits.shape == (3, CLASSES)
    assert not list(tmp_path.glob(".pruned*progress*"))
    with pytest.raises(ConfigError, match="--bytes"):
        prune.main([*words, "--bytes", "100000"])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": -1}, "--seed -1"),
        ({"drop_blocks": -1}, "--drop-blocks -1"),
        ({"rounds": 0}, "--rounds 0"),
        ({"rounds": 21}, "--rounds 21"),
        ({"multiple": 0}, "--multiple 0"),
        ({"macs": 0.0}, "--macs 0.0"),
        ({"macs": 1.0}, "--macs 1.0"),
        ({"macs": 1.7}, "--macs 1.7"),
        ({"macs": -0.2}, "--macs -0.2"),
        ({"bytes": 0}, "--bytes 0"),
        ({"latency_ms": 0.0}, "--latency-ms 0.0"),
        ({"latency_ms": float("inf")}, "--latency-ms inf"),
        ({"macs": 0.5, "bytes": 10_000}, "--macs and --bytes"),
        ({"criterion": "luck"}, "--criterion luck: expected one of l1"),
        ({"allocation": "none"}, "--allocation none: expected one of uniform"),
        ({"rounds": 20, "train": TrainConfig(updates=5)}, r"--rounds 20: found 5 updates \(--updates 5, "),
    ],
)
def test_options_out_of_bounds_or_in_conflict_are_refused(given: dict[str, Any], named: str):
    with pytest.raises(ConfigError, match=f"^{named}"):
        PruneOptions("", "", **given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"matching": -1.0}, "--matching -1.0"),
        ({"matching": 0.0, "soft": 0.0}, "--matching 0, --soft 0"),
        ({"soft": float("inf")}, "--soft inf"),
        ({"temperature": 0.0}, "--temperature 0.0"),
        ({"temperature": float("inf")}, "--temperature inf"),
        ({"patience": 0}, "--patience 0"),
    ],
)
def test_recovery_options_out_of_bounds_are_refused(given: dict[str, Any], named: str):
    with pytest.raises(ConfigError, match=f"^{named}"):
        RecoveryConfig(**given)
