"""Weights for any sensors: what they depend on, and what they do not."""

from dataclasses import replace

import pytest
import torch
from bodies import CLASSES, INERTIAL, SKELETON, SPECS, STEPS, windows

from edgehar.data.importing.joint_sets import COCO, NTU
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.convolutions import add_norms
from edgehar.teacher.network.masking import MaskingConfig, visible_grids
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretraining.autoencoder import View
from edgehar.teacher.pretraining.model import Batch, ObjectiveConfig, Pretraining
from edgehar.teacher.pretraining.universal import HEADS, Universal

CONFIG = TeacherConfig(**PRESETS["tiny"])


def skeleton_of(joints: tuple[str, ...], parents: tuple[int, ...], axes: int = 3) -> ModalitySpec:
    return ModalitySpec("film", axes * len(joints), "m", 25, 3, axes, joints, parents, lost_joints=axes == 2)


ANY_SENSORS = {
    "own names": (replace(SKELETON, name="camera"), replace(INERTIAL, name="left_wrist")),
    "NTU-25": (skeleton_of(NTU.all_joints, NTU.parent_indices),),
    "COCO-17 in pictures": (skeleton_of(COCO.all_joints, COCO.parent_indices, 2),),
    "accelerometer": (ModalitySpec("watch", 3, "g", 100, 16),),
    "scalar": (ModalitySpec("pressure", 1, "hPa", 10, 3, 1), ModalitySpec("waist", 6, "g and deg/s", 50, 8)),
    "quaternion": (ModalitySpec("attitude", 4, "", 50, 8, 4),),
    "five places": tuple(ModalitySpec(name, 9, "g", 20, 3) for name in ("ankle", "waist", "chest", "wrist", "pocket")),
}


def universal() -> Universal:
    torch.manual_seed(0)
    return Universal(CONFIG).eval()


def teacher_of(weights: Universal, specs: tuple[ModalitySpec, ...], steps: int = STEPS) -> Teacher:
    teacher = Teacher(CONFIG, specs, steps, CLASSES)
    add_norms(teacher)
    missing, unexpected = teacher.load_state_dict(weights.weights_for(specs, steps, 0.1), strict=False)
    assert not unexpected
    assert all(name.startswith(HEADS) for name in missing), missing
    return teacher.eval()


@pytest.mark.parametrize("specs", ANY_SENSORS.values(), ids=ANY_SENSORS)
def test_weights_fit_any_sensors(specs: tuple[ModalitySpec, ...]):
    teacher = teacher_of(universal(), specs, 12)
    features = {spec.name: torch.randn(2, 12, spec.patch, spec.groups, spec.features) for spec in specs}
    output = teacher(features, {name: torch.ones(2, 12, dtype=torch.bool) for name in features})
    assert torch.isfinite(output.logits).all()


def test_no_weight_has_the_name_of_a_sensor():
    assert not [name for name in universal().state_dict() if "skeleton" in name or "inertial" in name]


def test_order_of_joints_does_not_matter():
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    joints = tuple(SKELETON.joints[index] for index in order)
    parents = tuple(joints.index(SKELETON.joints[SKELETON.parents[index]]) for index in order)
    other = replace(SKELETON, joints=joints, parents=parents)
    features, valid = windows()
    weights = universal()
    pooled: list[torch.Tensor] = []
    for spec, tokens in ((SKELETON, features["skeleton"]), (other, features["skeleton"][:, :, :, order])):
        teacher = teacher_of(weights, (spec,))
        pooled.append(teacher.pool(*teacher.encode({"skeleton": tokens}, {"skeleton": valid["skeleton"]}))["-"])
    torch.testing.assert_close(pooled[0], pooled[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changed", [{"site": ("left ankle",)}, {"kind": ("angular rate", "acceleration")}])
def test_place_and_kind_matter(changed: dict[str, tuple[str, ...]]):
    spec = replace(INERTIAL, site=("right wrist",), kind=("acceleration", "angular rate"))
    weights = universal()
    names = [
        name
        for name, tensor in weights.weights_for((spec,), STEPS, 0.1).items()
        if not torch.equal(tensor, weights.weights_for((replace(spec, **changed),), STEPS, 0.1)[name])
    ]
    both = ["tokens.inertial.group_embedding", "tokens.inertial.merge.weight"]
    # The place of the whole sensor changes; its kinds are only exchanged.
    assert sorted(names) == sorted([*both, *(["modality_embedding.inertial"] if "site" in changed else [])])


def batch(target: bool, seed: int = 1) -> Batch:
    features, valid = windows(8)
    views = [
        View(
            features, valid, visible_grids(features, SPECS, MaskingConfig(), torch.Generator().manual_seed(seed + one))
        )
        for one in range(2)
    ]
    labels = torch.eye(CLASSES)[torch.arange(8) % CLASSES]
    return Batch(0, SPECS, STEPS, 0.1, views, features, valid, labels if target else None)


OBJECTIVES = {
    "masked": ObjectiveConfig(contrast=0, label_weight=0),
    "contrast": ObjectiveConfig(masked=0, contrast=1, label_weight=0),
    "labels": ObjectiveConfig(masked=0),
    "all": ObjectiveConfig(contrast=1),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_trains_the_weights_and_all_do_so_together(name: str):
    torch.manual_seed(0)
    model = Pretraining(Universal(CONFIG), OBJECTIVES[name], [CLASSES]).train()
    loss = model(batch(target=bool(OBJECTIVES[name].label_weight)))
    loss.backward()
    trained = {key for key, tensor in model.named_parameters() if tensor.grad is not None and tensor.grad.any()}
    attention = "shared.time_blocks.worn.0.attention.qkv.weight"
    for part in ("merge.body", "slots.worn.weight", attention, "time.body.weight"):
        assert f"universal.{part}" in trained
    if name == "all":
        # The test's windows miss nothing, so nothing replaces it.
        unused = ("universal.shared.missing", "universal.shared.tokens.body.lost", "universal.shared.tokens.worn.lost")
        idle = {key for key, _ in model.named_parameters()} - trained
        assert all(key.startswith(unused) for key in idle), idle


def test_pretraining_is_the_teacher_of_these_weights():
    model = Pretraining(universal(), OBJECTIVES["labels"], [CLASSES]).eval()
    one = batch(target=True)
    weights = model.universal.weights_for(SPECS, STEPS, 0.1)
    named = {key.replace(".norm.", "."): tensor for key, tensor in weights.items()}
    assert set(named) >= {"fusion_tokens", "tokens.skeleton.merge.weight", "tokens.inertial.merge.bias"}
    encoder = model.encoder(SPECS, STEPS)
    (encoded,) = torch.func.functional_call(
        encoder, {f"teacher.{key}": tensor for key, tensor in weights.items()}, (one._replace(views=[]),)
    )
    teacher = Teacher(CONFIG, SPECS, STEPS, CLASSES).eval()
    plain = universal().weights_for(SPECS, STEPS, 0.1)
    teacher.load_state_dict(plain, strict=False)
    expected = teacher.pool(*teacher.encode(one.features, one.valid))
    # A new batch normalisation divides by the root of 1 + 1e-5.
    torch.testing.assert_close(encoded[1]["-"], expected["-"], atol=1e-3, rtol=1e-3)
