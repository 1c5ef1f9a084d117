"""Clips of one activity lend each other limbs and style, and nothing else."""

import numpy as np
import pytest
import torch

from edgehar.data.utd_mhad import INERTIAL, SKELETON
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


def test_windows_without_a_label_are_nobodys_partner_but_their_own() -> None:
    label = torch.tensor([-1, 0, 1, -1, 0, 1, -1])
    generator = torch.Generator().manual_seed(0)
    for known in (label, torch.full_like(label, -1)):
        drawn = np.stack([Partners(known).draw(np.arange(7), generator) for _ in range(20)])
        hidden = np.flatnonzero(known.numpy() < 0)
        assert (drawn[:, hidden] == hidden).all()
        assert not np.isin(np.delete(drawn, hidden, 1), hidden).any()


def test_limbs_carry_what_hangs_from_them() -> None:
    carried = limbs(KINECT_PARENTS)
    elbow = carried[KINECT_JOINTS.index("right_elbow")]
    assert {KINECT_JOINTS[joint] for joint in torch.nonzero(elbow).flatten()} == {
        "right_elbow", "right_wrist", "right_hand",
    }  # fmt: skip
    assert carried[KINECT_JOINTS.index("hip_centre")].all()


def test_a_limb_moves_whole_and_only_in_skeletons() -> None:
    config = ExchangeConfig(limb=1.0, style=0.0)
    moved = exchange(windows(0.0), windows(1.0), SPECS, config, torch.Generator().manual_seed(0))
    assert not moved["inertial"].any()
    taken = moved["skeleton"][:, 0, 0, :, 0].bool()
    rows = {tuple(row.tolist()) for row in limbs(KINECT_PARENTS)}
    assert all(tuple(row.tolist()) in rows for row in taken)
    assert len({tuple(row.tolist()) for row in taken}) > 5
    assert torch.equal(moved["skeleton"], taken[:, None, None, :, None].expand_as(moved["skeleton"]).float())


def test_style_goes_towards_the_partner_and_a_little_away() -> None:
    config = ExchangeConfig(limb=0.0, style=0.6)
    moved = exchange(windows(0.0, 512), windows(1.0, 512), SPECS, config, torch.Generator().manual_seed(0))
    for tokens in moved.values():
        share = tokens[:, 0, 0, 0, 0]
        assert torch.equal(tokens, share[:, None, None, None, None].expand_as(tokens))
        assert -0.3 <= float(share.min()) < -0.2
        assert 0.5 < float(share.max()) <= 0.6


def test_lost_steps_of_either_stay_as_they_are() -> None:
    own, other = windows(0.0), windows(1.0)
    other[1]["inertial"][:, 2] = False
    moved = exchange(own, other, SPECS, ExchangeConfig(), torch.Generator().manual_seed(0))
    assert not moved["inertial"][:, 2].any()
    assert moved["inertial"][:, 1].any()


@pytest.mark.parametrize("wrong", [{"limb": 1.5}, {"style": -0.1}])
def test_chances_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        ExchangeConfig(**wrong)
