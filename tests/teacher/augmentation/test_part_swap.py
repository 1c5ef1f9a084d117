"""Same-class augmentation: partners, limb swap and interpolation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgehar.data.public.utd_mhad import INERTIAL, SKELETON
from edgehar.errors import ConfigError
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners, exchange, limbs

SPECS = (SKELETON, INERTIAL)


def windows(value: float, count: int = 64) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    features = {spec.name: torch.full((count, 4, spec.patch, spec.groups, spec.features), value) for spec in SPECS}
    return features, {spec.name: torch.ones(count, 4, dtype=torch.bool) for spec in SPECS}


def test_partners_have_the_same_label_and_vary() -> None:
    label = torch.tensor([2, 0, 1, 0, 2, 2, 1, 0])
    partners = Partners(label)
    generator = torch.Generator().manual_seed(0)
    drawn = np.stack([partners.draw(np.arange(8), generator) for _ in range(40)])
    assert (label[torch.as_tensor(drawn)] == label).all()
    assert {int(row) for row in drawn[:, 0]} == {0, 4, 5}


def test_unlabelled_window_is_its_own_and_only_partner() -> None:
    label = torch.tensor([-1, 0, 1, -1, 0, 1, -1])
    generator = torch.Generator().manual_seed(0)
    for labels in (label, torch.full_like(label, -1)):
        drawn = np.stack([Partners(labels).draw(np.arange(7), generator) for _ in range(20)])
        unlabelled = np.flatnonzero(labels.numpy() < 0)
        assert (drawn[:, unlabelled] == unlabelled).all()
        assert not np.isin(np.delete(drawn, unlabelled, 1), unlabelled).any()


def test_limb_includes_all_descendant_joints() -> None:
    descendants = limbs(KINECT_PARENTS)
    elbow = descendants[KINECT_JOINTS.index("right_elbow")]
    assert {KINECT_JOINTS[joint] for joint in torch.nonzero(elbow).flatten()} == {
        "right_elbow", "right_wrist", "right_hand",
    }  # fmt: skip
    assert descendants[KINECT_JOINTS.index("hip_centre")].all()


def test_whole_limbs_are_swapped_in_skeletons_only() -> None:
    config = ExchangeConfig(limb=1.0, style=0.0)
    exchanged = exchange(windows(0.0), windows(1.0), SPECS, config, torch.Generator().manual_seed(0))
    assert not exchanged["inertial"].any()
    swapped = exchanged["skeleton"][:, 0, 0, :, 0].bool()
    rows = {tuple(row.tolist()) for row in limbs(KINECT_PARENTS)}
    assert all(tuple(row.tolist()) in rows for row in swapped)
    assert len({tuple(row.tolist()) for row in swapped}) > 5
    assert torch.equal(exchanged["skeleton"], swapped[:, None, None, :, None].expand_as(exchanged["skeleton"]).float())


def test_interpolation_covers_towards_and_slightly_away_from_the_partner() -> None:
    config = ExchangeConfig(limb=0.0, style=0.6)
    exchanged = exchange(windows(0.0, 512), windows(1.0, 512), SPECS, config, torch.Generator().manual_seed(0))
    for tokens in exchanged.values():
        share = tokens[:, 0, 0, 0, 0]
        assert torch.equal(tokens, share[:, None, None, None, None].expand_as(tokens))
        assert -0.3 <= float(share.min()) < -0.2
        assert 0.5 < float(share.max()) <= 0.6


def test_steps_invalid_in_either_window_are_unchanged() -> None:
    own, other = windows(0.0), windows(1.0)
    other[1]["inertial"][:, 2] = False
    exchanged = exchange(own, other, SPECS, ExchangeConfig(), torch.Generator().manual_seed(0))
    assert not exchanged["inertial"][:, 2].any()
    assert exchanged["inertial"][:, 1].any()


@pytest.mark.parametrize(("option", "value"), [("limb", 1.5), ("style", -0.1), ("style", float("nan"))])
def test_values_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"--{option} {value}"):
        ExchangeConfig(**{option: value})


def test_only_a_limb_brings_or_takes_a_joint():
    picture = replace(SPECS[0], channels=40, group=2, unit="px", lost_joints=True)
    tokens = torch.randn(2, 4, 8, picture.patch, 20, picture.features, generator=torch.Generator().manual_seed(1))
    tokens[0, :, :, :, 3], tokens[1, :, :, :, 7] = 0, 0
    valid = {"skeleton": torch.ones(4, 8, dtype=torch.bool)}
    own, other = (({"skeleton": part}, valid) for part in tokens)
    for limb, kept in ((0.0, True), (1.0, False)):
        config = ExchangeConfig(limb=limb, style=0.5)
        exchanged = exchange(own, other, (picture,), config, torch.Generator().manual_seed(0))["skeleton"]
        assert torch.equal(exchanged.any(-1), tokens[0].any(-1)) == kept
        assert torch.equal(exchanged[:, :, :, 7], tokens[0][:, :, :, 7]) == kept
