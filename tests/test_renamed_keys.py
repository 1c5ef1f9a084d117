"""Stored files with names that were renamed since stay readable."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS
from safetensors.torch import load_file, save_file

from edgehar.config import field_names
from edgehar.errors import CheckpointError
from edgehar.renamed_keys import OPTIONS, TENSORS, current_options, current_tensor, stored_option
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student.distill import DistillOptions
from edgehar.student.network import model as student_model
from edgehar.student.network.rebuild import network_of
from edgehar.student.prune import PruneOptions
from edgehar.teacher.finetune import FinetuneOptions
from edgehar.teacher.network import model as teacher_model
from edgehar.teacher.pretrain import PretrainOptions
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def option_names() -> set[str]:
    return set().union(*map(field_names, (PretrainOptions, FinetuneOptions, DistillOptions, PruneOptions)))


def names_in(settings: Mapping[str, Any]) -> set[str]:
    nested = [names_in(value) if isinstance(value, Mapping) else {name} for name, value in settings.items()]
    return set().union(*nested)


def stored_tensor(name: str) -> str:
    """The name in a version 1 checkpoint."""
    for stored, current in TENSORS.items():
        if name == current or name.startswith(f"{current}."):
            return stored + name[len(current) :]
    return name


def network(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "teacher":
        return teacher_model.Teacher(
            teacher_model.TeacherConfig(**teacher_model.PRESETS["tiny"], convolutions=0), SPECS, STEPS, CLASSES
        )
    return student_model.StudentNetwork(
        student_model.StudentConfig(**student_model.PRESETS["tiny"], convolutions=0), SPECS, STEPS, CLASSES
    )


@pytest.fixture(params=["teacher", "student"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Checkpoint, Path]:
    """A checkpoint, and its folder as version 1 wrote it."""
    kind: str = request.param
    built: Any = network(kind)
    info = DatasetInfo("test", SPECS, tuple("abcde"[:CLASSES]), WindowSpec("clip", STEPS, 0.1))
    sizes = {
        field.name: getattr(built.config, field.name)
        for field in fields(built.config)
        if field.name not in ("convolutions", "kernel")  # version 1 had linear layers only
    }
    options = {"seed": 0, "train": {"updates": 8, "ema_decay": 0.9}, "init_from_teacher": True}
    checkpoint = Checkpoint(
        kind, sizes, info, Normalisation.identity(SPECS), {}, [], {"options": options}, built.state_dict()
    )
    folder = tmp_path / kind
    save_checkpoint(folder, checkpoint)
    entry = json.loads((folder / "checkpoint.json").read_text())
    assert entry["format_version"] == 2
    assert entry["facts"]["options"] == options
    entry["format_version"] = 1
    entry["facts"]["options"] = {
        "seed": 0, "train": {"updates": 8, "average": 0.9}, "begin_like_teacher": True,
    }  # fmt: skip
    (folder / "checkpoint.json").write_text(json.dumps(entry))
    weights = load_file(folder / "weights.safetensors")
    assert set(weights) == set(checkpoint.weights)
    old = {stored_tensor(name): tensor for name, tensor in weights.items()}
    save_file(old, folder / "weights.safetensors", {"network": json.dumps(sizes)})
    return checkpoint, folder


def test_version_1_checkpoint_loads_with_equal_tensors(written: tuple[Checkpoint, Path]) -> None:
    checkpoint, folder = written
    old = load_file(folder / "weights.safetensors")
    assert {"teacher": "time.skeleton.0.attention.qkv.weight", "student": "head.place"}[checkpoint.kind] in old
    loaded = load_checkpoint(folder, (checkpoint.kind,))
    assert set(loaded.weights) == set(checkpoint.weights)
    assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in checkpoint.weights.items())
    assert loaded.facts["options"] == checkpoint.facts["options"]
    rebuilt = network_of(loaded).state_dict()
    assert all(torch.equal(rebuilt[name], tensor) for name, tensor in checkpoint.weights.items())


@pytest.mark.parametrize("version", [0, 3, None, "2"])
def test_unknown_version_is_refused(version: object, written: tuple[Checkpoint, Path]) -> None:
    checkpoint, folder = written
    entry = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(entry | {"format_version": version}))
    with pytest.raises(CheckpointError, match=f"version {version}; expected 1 or 2"):
        load_checkpoint(folder, (checkpoint.kind,))


def test_every_row_renames_to_a_name_in_use_and_no_old_name_is_in_use() -> None:
    names = option_names()
    assert set(OPTIONS.values()) <= names
    assert not set(OPTIONS) & names
    tensors = [*network("teacher").state_dict(), *network("student").state_dict()]
    for current in TENSORS.values():
        assert any(name == current or name.startswith(f"{current}.") for name in tensors)
    assert [current_tensor(name) for name in tensors] == tensors
    assert [current_tensor(stored_tensor(name)) for name in tensors] == tensors


def test_modality_that_has_an_old_name_keeps_it() -> None:
    assert current_tensor("time.place.0.attention_norm.bias") == "time_blocks.place.0.attention_norm.bias"
    assert current_tensor("tokens.time.embed.weight") == "tokens.time.embed.weight"
    assert current_tensor("encoder.widen.narrow.weight") == "encoder.modality_projection.narrow.weight"


def test_committed_results_use_stored_names_only() -> None:
    stored = {stored_option(name) for name in option_names()}
    found: set[str] = set()
    for path in RESULTS.glob("*.json"):
        trainings = (json.loads(path.read_text()).get("config") or {}).get("trainings") or {}
        for settings in trainings.values():
            found |= names_in(settings)
            assert {stored_option(name) for name in names_in(current_options(settings))} == names_in(settings)
    assert set(OPTIONS) <= found <= stored
