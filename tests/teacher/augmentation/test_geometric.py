"""Geometric augmentation, modality dropout, mixup and smoothed targets."""

from dataclasses import fields, replace

import pytest
import torch
from bodies import SPECS, windows
from hypothesis import given
from hypothesis import strategies as st

from edgehar.errors import ConfigError
from edgehar.teacher.augmentation.geometric import (
    AugmentConfig,
    augment,
    drop_modalities,
    mixup,
    resample_time,
    rotation,
)
from edgehar.teacher.training.stage import one_hot

IDENTITY = AugmentConfig(
    heading_deg=0, tilt_deg=0, mounting_deg=0, size=0, tempo=0, crop=0, warp=0, shift=0, noise=0,
    lost_joint=0, lost_step=0, lost_modality=0,
)  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_augmentation_of_zero_strength_is_the_identity():
    features, valid = windows()
    augmented, augmented_valid = augment(features, valid, SPECS, IDENTITY, generator())
    for spec in SPECS:
        torch.testing.assert_close(augmented[spec.name], features[spec.name], atol=1e-5, rtol=1e-5)
        assert torch.equal(valid[spec.name], augmented_valid[spec.name])


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", [field.name for field in fields(AugmentConfig)])
def test_strength_below_zero_or_not_finite_is_refused(name: str, value: float):
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} {value}: expected a"):
        AugmentConfig(**{name: value})


def test_probability_of_losing_everything_is_refused():
    for name in ("lost_joint", "lost_step"):
        with pytest.raises(ConfigError, match="from 0 to below 1"):
            AugmentConfig(**{name: 1.0})


def test_rotation_matrices_are_orthogonal_with_determinant_one():
    matrices = rotation(torch.randn(20, 3, generator=generator()))
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), torch.eye(3).expand(20, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(20), atol=1e-5, rtol=0)


def test_heading_rotation_preserves_heights_and_lengths():
    features, valid = windows()
    turned, _ = augment(features, valid, SPECS, replace(IDENTITY, heading_deg=40.0), generator())
    before, after = features["skeleton"], turned["skeleton"]
    torch.testing.assert_close(after[..., 1], before[..., 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after[..., :3].norm(dim=-1), before[..., :3].norm(dim=-1), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(after[..., 0], before[..., 0])


@given(seed=st.integers(0, 200))
def test_modality_dropout_spares_the_last_modality(seed: int):
    _, valid = windows(16)
    valid["inertial"][3] = False
    remaining = drop_modalities(valid, ["skeleton", "inertial"], 0.9, generator(seed))
    present = torch.stack([remaining[name].any(1) for name in remaining], 1)
    assert present.any(1).all()


def test_dropped_steps_are_zero_and_invalid():
    features, valid = windows(64)
    augmented, augmented_valid = augment(
        features, valid, SPECS, AugmentConfig(lost_step=0.3, lost_modality=0.5), generator()
    )
    for spec in SPECS:
        assert (augmented[spec.name][~augmented_valid[spec.name]] == 0).all()
        assert 0.05 < augmented_valid[spec.name].float().mean() < 0.95


def test_augmentation_is_reproducible():
    features, valid = windows()
    one, _ = augment(features, valid, SPECS, AugmentConfig(), generator(7))
    other, _ = augment(features, valid, SPECS, AugmentConfig(), generator(7))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_resampling_is_exact_on_a_line():
    frames = torch.arange(10.0)[None, :, None]
    position = torch.tensor([[0.0, 0.5, 3.25, 9.0]])
    torch.testing.assert_close(resample_time(frames, position)[0, :, 0], position[0])


def test_mixup_targets_sum_to_one_and_favour_the_own_label():
    features, valid = windows(16)
    target = torch.eye(5)[torch.arange(16) % 5]
    _, _, mixed = mixup(features, valid, target, 0.5, generator())
    torch.testing.assert_close(mixed.sum(1), torch.ones(16))
    assert ((mixed * target).sum(1) >= 0.5 - 1e-6).all()


def test_mixup_mixes_unlabelled_windows_with_each_other_only():
    features, valid = windows(16)
    labelled = torch.arange(16) % 3 > 0
    features = {
        name: torch.ones_like(tokens) * labelled[:, None, None, None, None] for name, tokens in features.items()
    }
    target = torch.eye(5)[torch.arange(16) % 5] * labelled[:, None]
    for seed in range(4):
        mixed, _, mixed_target = mixup(features, valid, target, 0.5, generator(seed))
        assert all(torch.allclose(mixed[name], features[name]) for name in mixed)
        torch.testing.assert_close(mixed_target.sum(1), labelled.float())
        assert (mixed_target[labelled] > 0).sum() > labelled.sum()


def test_smoothed_target_is_zero_where_unlabelled():
    target = one_hot(torch.tensor([2, -1, 0]), 3, 0.3)
    torch.testing.assert_close(target, torch.tensor([[0.1, 0.1, 0.8], [0.0, 0.0, 0.0], [0.8, 0.1, 0.1]]))


def test_mixup_leaves_a_modality_unmixed_that_the_partner_lacks():
    features, valid = windows(2)
    valid["inertial"][1] = False
    features["inertial"][1] = 0
    target = torch.eye(5)[:2]
    for seed in range(6):
        mixed, both, _ = mixup(features, valid, target, 0.5, generator(seed))
        torch.testing.assert_close(mixed["inertial"][0], features["inertial"][0])
        assert both["inertial"][0].all()
        assert not both["inertial"][1].any()


PICTURE = replace(SPECS[0], channels=40, group=2, unit="px", lost_joints=True)


def picture_windows(lost: float = 0.3) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Windows of a 2-D skeleton, of which some joints are lost in the second half."""
    tokens = torch.randn(16, 8, PICTURE.patch, 20, PICTURE.features, generator=generator(5))
    tokens[:, 4:] *= torch.rand(16, 1, 1, 20, 1, generator=generator(6)) >= lost
    return {"skeleton": tokens}, {"skeleton": torch.ones(16, 8, dtype=torch.bool)}


def test_picture_is_tilted_and_becomes_narrower():
    features, valid = picture_windows(0)
    before = features["skeleton"].unflatten(-1, (2, 2))
    tilted, _ = augment(features, valid, (PICTURE,), replace(IDENTITY, tilt_deg=10), generator())
    after = tilted["skeleton"].unflatten(-1, (2, 2))
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)
    turned, _ = augment(features, valid, (PICTURE,), replace(IDENTITY, heading_deg=25), generator())
    after = turned["skeleton"].unflatten(-1, (2, 2))
    torch.testing.assert_close(after[..., 1], before[..., 1], atol=1e-4, rtol=1e-4)
    width = (after[..., 0] * before[..., 0]).sum((1, 2, 3, 4)) / before[..., 0].square().sum((1, 2, 3, 4))  # (B,)
    assert 0.5 < width.min() < 0.95 < width.max() <= 1.0001
    torch.testing.assert_close(after[..., 0], before[..., 0] * width[:, None, None, None, None], atol=1e-4, rtol=1e-4)


def test_lost_joints_stay_lost_and_more_are_lost_in_some_windows_than_in_others():
    features, valid = picture_windows()
    lost_before = ~features["skeleton"].any(-1).any(2)
    config = replace(AugmentConfig(), crop=0, warp=0, shift=0, lost_step=0)
    augmented, _ = augment(features, valid, (PICTURE,), config, generator())
    lost = ~augmented["skeleton"].any(-1).any(2)  # (B, S, G)
    assert (lost | ~lost_before).all()
    share = lost[:, 0].float().mean(1)  # no joint was lost in the first half
    assert 0.1 < share.mean() < 0.3
    assert share.std() > 0.08
    unchanged, _ = augment(features, valid, (PICTURE,), replace(config, lost_joint=0), generator())
    assert torch.equal(~unchanged["skeleton"].any(-1).any(2), lost_before)


def test_mixup_neither_invents_nor_loses_a_joint():
    features, valid = picture_windows()
    target = one_hot(torch.arange(16) % 4, 4, 0.0)
    mixed, _, _ = mixup(features, valid, target, 0.5, generator(), ["skeleton"])
    assert torch.equal(mixed["skeleton"].any(-1), features["skeleton"].any(-1))
    both_lost = features["skeleton"].any(-1)
    assert not torch.equal(mixed["skeleton"][both_lost], features["skeleton"][both_lost])
