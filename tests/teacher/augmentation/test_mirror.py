"""A mirrored window is that of the mirrored performance, with its sensors on the other side."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from bodies import INERTIAL, SKELETON, SPECS, windows
from torch import Tensor

from edgehar.data.recordings.suspicions.triaxial import turning
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.simulation.body import (
    REST_OFFSETS_M,
    Doubles,
    Motion,
    forward_kinematics,
    joint_rotations,
    mirrored,
    rotation_matrix,
)
from edgehar.simulation.wearables import WRIST, draw_rig, worn_readings
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment
from edgehar.teacher.augmentation.mirror import can_mirror, mirror, mirrored_body, partners, reflected_sensor

RATE_HZ, FRAMES = 50.0, 64
SIDES = ("left", "right")
BODY = replace(SKELETON, rate_hz=RATE_HZ)
WRISTS = tuple(ModalitySpec(f"{side}_wrist", 6, "g and deg/s", RATE_HZ, 4, mirror="z") for side in SIDES)
WORN = (BODY, *WRISTS)
Windows = tuple[dict[str, Tensor], dict[str, Tensor]]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def movement() -> tuple[Doubles, Doubles]:
    """Smooth joint angles (T, 20, 3) of the limbs in degrees, and positions (T, 3) of the hips."""
    rng = np.random.default_rng(4)
    time_s = np.arange(FRAMES)[:, None, None] / RATE_HZ
    angles_deg = 25 * np.sin(6 * time_s * rng.uniform(0.3, 1, (20, 3)) + rng.uniform(0, 6, (20, 3)))
    central = [joint.startswith(("hip", "spine", "shoulder")) for joint in SKELETON.joints]
    angles_deg[:, central] = 0
    return angles_deg, np.cumsum(rng.normal(0, 0.01, (FRAMES, 3)), 0)


def performance(angles_deg: Doubles, root_m: Doubles, heading_deg: float) -> Motion:
    turn = rotation_matrix(np.radians(np.array([0.0, heading_deg, 0.0])))
    motion = forward_kinematics(joint_rotations(angles_deg), REST_OFFSETS_M, root_m)
    return Motion(motion.positions @ turn.T, turn @ motion.orientations)


def window_of(motion: Motion) -> Windows:
    """A window (1, S, P, G, F) of the skeleton and a unit on each wrist."""
    signals = {BODY.name: motion.positions.reshape(FRAMES, -1)}
    for side, spec in zip(SIDES, WRISTS, strict=True):
        signals[spec.name] = worn_readings(motion, WRIST, draw_rig(0, 1, side, 0.0, 0.0), RATE_HZ)
    scale, usable = Normalisation.identity(WORN), np.ones(FRAMES, bool)
    features = {
        spec.name: prepare(signals[spec.name].astype(np.float32), usable, spec, 1 / RATE_HZ, scale)[0] for spec in WORN
    }
    return (
        {name: torch.as_tensor(array)[None] for name, array in features.items()},
        {spec.name: torch.ones(1, FRAMES // spec.patch, dtype=torch.bool) for spec in WORN},
    )


@pytest.mark.parametrize("heading_deg", [0.0, 35.0, 120.0])
def test_a_mirrored_window_is_that_of_the_mirrored_performance(heading_deg: float) -> None:
    angles_deg, root_m = movement()
    own = window_of(performance(angles_deg, root_m, heading_deg))
    other = window_of(performance(mirrored(angles_deg), root_m * [-1, 1, 1], heading_deg))
    found, _ = mirror(*own, WORN, 1.0, generator())
    for spec in WORN:
        torch.testing.assert_close(found[spec.name], other[0][spec.name], atol=0.02, rtol=1e-3)
        assert not torch.allclose(own[0][spec.name], other[0][spec.name], atol=0.1)


def test_a_sensor_that_is_missing_on_one_side_is_missing_on_the_other() -> None:
    features, valid = window_of(performance(*movement(), 0.0))
    valid["left_wrist"][:, :3] = False
    _, found = mirror(features, valid, WORN, 1.0, generator())
    assert torch.equal(found["right_wrist"], valid["left_wrist"])
    assert found["left_wrist"].all()


def test_mirrored_twice_is_the_identity() -> None:
    own = windows(8)
    twice = mirror(*mirror(*own, SPECS, 1.0, generator()), SPECS, 1.0, generator())
    for spec in SPECS:
        torch.testing.assert_close(twice[0][spec.name], own[0][spec.name], atol=1e-4, rtol=1e-4)


def test_bones_keep_their_lengths_and_the_body_its_heading() -> None:
    angles_deg, root_m = movement()
    positions = [performance(angles_deg, root_m, heading).positions for heading in (20.0, 200.0)]
    spec = ModalitySpec(
        "two", 120, "m", RATE_HZ, 4,
        joints=(*SKELETON.joints, *(f"{joint}_2" for joint in SKELETON.joints)),
        parents=(*SKELETON.parents, *(20 + parent if parent != joint else SKELETON.root
                                      for joint, parent in enumerate(SKELETON.parents))),
    )  # fmt: skip
    frames = np.concatenate([positions[0], positions[1] + [0, 0, 1]], 1).reshape(FRAMES, -1).astype(np.float32)
    scale = Normalisation.identity([spec])
    tokens = torch.as_tensor(prepare(frames, np.ones(FRAMES, bool), spec, 1 / RATE_HZ, scale)[0])[None]
    before, after = (each.flatten(0, 2)[..., :3] for each in (tokens, mirrored_body(tokens, spec)))  # (L, G, 3)
    partner, parents = list(partners(spec.joints)), list(spec.parents)
    lengths = (before - before[:, parents]).norm(dim=-1)
    torch.testing.assert_close((after - after[:, parents]).norm(dim=-1), lengths[:, partner])
    torch.testing.assert_close(after[..., 1], before[:, partner, 1])
    for person in ("", "_2"):
        left, right = (spec.joints.index(f"{side}_hip{person}") for side in SIDES)
        torch.testing.assert_close(after[:, right] - after[:, left], before[:, right] - before[:, left])


@pytest.mark.parametrize("axis", range(3))
def test_gravity_turns_against_the_angular_rate_in_a_reflected_sensor(axis: int) -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(200)[:, None] / RATE_HZ
    turns = rotation_matrix(np.sin(time_s * [1.0, 1.7, 2.3]) + 0.2)  # to the world
    motion = Motion(np.zeros((200, 20, 3)), np.repeat(turns[:, None], 20, 1))
    readings = worn_readings(motion, WRIST, draw_rig(0, 1, "right", 0.0, 0.0), RATE_HZ)
    field = turns.swapaxes(1, 2) @ rng.normal(0, 1, 3)
    values = np.concatenate([readings, field], 1).astype(np.float32).reshape(1, 200, 1, 3, 3)
    tokens = torch.as_tensor(np.concatenate([values, values], -1))
    unit = ModalitySpec("unit", 9, "g, deg/s, uT", RATE_HZ, 1)
    reflected = reflected_sensor(tokens, unit, torch.tensor([axis]))[0, :, 0, :, :3].double().numpy()
    factor, correlation = turning(reflected[:, 0], reflected[:, 1], RATE_HZ) or (0, 0)
    assert factor == pytest.approx(np.radians(1), rel=0.05)
    assert correlation > 0.98
    np.testing.assert_allclose((reflected[:, 0] * reflected[:, 2]).sum(1), (readings[:, :3] * field).sum(1), atol=1e-5)


def test_the_declared_axis_is_reversed_and_none_is_never() -> None:
    features, valid = windows(16)
    before = features["inertial"].unflatten(-1, (2, 3))
    found, _ = mirror(features, valid, (replace(INERTIAL, mirror="y"),), 1.0, generator())
    after = found["inertial"].unflatten(-1, (2, 3))
    assert torch.equal(after[..., 0, :, :], before[..., 0, :, :] * torch.tensor([1, -1, 1]))
    assert torch.equal(after[..., 1, :, :], before[..., 1, :, :] * torch.tensor([-1, 1, -1]))
    specs = tuple(replace(spec, mirror="none") for spec in SPECS)
    found, _ = mirror(features, valid, specs, 1.0, generator())
    assert all(torch.equal(found[name], features[name]) for name in features)


def test_an_accelerometer_and_a_gyroscope_of_one_unit_are_reflected_along_one_random_axis() -> None:
    specs = tuple(
        ModalitySpec(name, 3, unit, RATE_HZ, 2)
        for name, unit in (("wrist_accelerometer", "g"), ("gyroscope_wrist", "rad/s"), ("thigh_acc", "g"))
    )
    features = {spec.name: torch.ones(64, 2, 2, 1, 6) for spec in specs}
    valid = {spec.name: torch.ones(64, 2, dtype=torch.bool) for spec in specs}
    found, _ = mirror(features, valid, specs, 1.0, generator())
    acceleration, rate, other = (found[spec.name][:, 0, 0, 0, :3] for spec in specs)
    assert torch.equal(acceleration, -rate)
    assert not torch.equal(acceleration, other)
    assert len(acceleration.unique(dim=0)) == 3


def test_a_window_is_mirrored_with_all_its_modalities_or_not_at_all() -> None:
    own, valid = windows(40)
    found, _ = mirror(own, valid, SPECS, 0.5, generator())
    changed = torch.stack([(found[name] != own[name]).flatten(1).any(1) for name in own], 1)  # (B, modalities)
    assert torch.equal(changed.any(1), changed.all(1))
    assert 10 < changed.all(1).sum() < 30


def test_without_mirroring_no_random_number_is_drawn() -> None:
    source = generator(3)
    own = windows()
    assert mirror(*own, SPECS, 0.0, source) == own
    assert torch.equal(source.get_state(), generator(3).get_state())


def test_augmentation_mirrors() -> None:
    own = windows(4)
    nothing = AugmentConfig(**{field.name: 0 for field in fields(AugmentConfig)})
    specs = tuple(replace(spec, mirror="x" * (not spec.is_skeleton)) for spec in SPECS)
    expected, _ = mirror(*own, specs, 1.0, generator())
    found, _ = augment(*own, specs, replace(nothing, mirror=1.0), generator())
    for spec in specs:
        torch.testing.assert_close(found[spec.name], expected[spec.name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("group", [2, 3])
def test_lost_joints_change_sides_and_the_mark_of_the_root_stays(group: int) -> None:
    spec = replace(SKELETON, channels=20 * group, group=group, lost_joints=True)
    tokens = torch.randn(4, 8, spec.patch, 20, spec.features, generator=generator())
    tokens[..., spec.joints.index("left_wrist"), :] = 0
    tokens[..., spec.root, :group] = 1
    found = mirrored_body(tokens, spec)
    lost = [spec.joints[joint] for joint in range(20) if not found[..., joint, :].any()]
    assert lost == ["right_wrist"]
    assert (found[..., spec.root, :group] == 1).all()
    head, across = spec.joints.index("head"), 1 - spec.vertical
    assert torch.equal(found[..., head, spec.vertical], tokens[..., head, spec.vertical])
    if spec.is_picture:
        assert torch.equal(found[..., head, across], -tokens[..., head, across])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("left_hip", "pelvis", "right_hip"), (2, 1, 0)),
        (("mouth_left", "mouth_right", "left_ear", "right_ear"), (1, 0, 3, 2)),
        (("LeftUpLeg", "Spine", "RightUpLeg"), (2, 1, 0)),
        (("LHip", "RHip", "Lumbar", "Neck"), (1, 0, 2, 3)),
        (("hip_l", "hip_r", "shoulder"), (1, 0, 2)),
        (("rig.L.arm", "rig.R.arm"), (1, 0)),
        (("lhipjoint", "rhipjoint", "lowerback"), (1, 0, 2)),
        (("left_hip_2", "right_hip", "left_hip", "right_hip_2"), (3, 2, 1, 0)),
        (("left_hip", "head"), (0, 1)),
    ],
)
def test_joints_of_the_two_sides(names: tuple[str, ...], expected: tuple[int, ...]) -> None:
    assert partners(names) == expected


def test_what_the_declaration_does_not_say_is_not_mirrored() -> None:
    unnamed = replace(SKELETON, joints=tuple(f"joint{joint}" for joint in range(20)))
    unknown = replace(INERTIAL, unit="raw")
    assert [can_mirror(spec) for spec in (*SPECS, unnamed, unknown)] == [True, True, False, False]
    features, valid = windows(4)
    found, _ = mirror(features, valid, (unnamed, unknown), 1.0, generator())
    assert all(torch.equal(found[name], features[name]) for name in features)
