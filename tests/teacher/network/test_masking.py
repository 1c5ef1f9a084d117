"""Masking: share, kinds and randomness of the visible grids."""

from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.public.utd_mhad import INERTIAL, SKELETON
from edgehar.errors import ConfigError
from edgehar.teacher.network.masking import KINDS, MaskingConfig, Visible, sample_visible, visible_grids

SPECS = (SKELETON, INERTIAL)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(count=st.integers(1, 40), ratio=st.floats(0, 1), seed=st.integers(0, 99))
def test_visible_indices_are_ascending_distinct_and_of_the_given_share(count: int, ratio: float, seed: int):
    visible = sample_visible(3, count, ratio, generator(seed))
    assert visible.shape == (3, max(1, round(count * (1 - ratio))))
    assert (visible >= 0).all()
    assert (visible < count).all()
    assert (visible.diff(dim=1) > 0).all()


def grids(batch: int, config: MaskingConfig, seed: int = 0) -> dict[str, Visible]:
    features = {
        spec.name: torch.randn(batch, 16, spec.patch, spec.groups, spec.features, generator=generator(seed + 1))
        for spec in SPECS
    }
    return visible_grids(features, SPECS, config, generator(seed))


def test_spatial_temporal_masking_combines_joint_and_frame_masking():
    visible = grids(4, MaskingConfig(joint_ratio=0.4, step_ratio=0.5))["skeleton"]
    hidden = visible.hidden(16, 20)
    assert hidden.shape == (4, 16, 20)
    # 8 of 16 steps and 12 of 20 joints are visible: exactly that grid.
    assert (~hidden).sum((1, 2)).tolist() == [8 * 12] * 4
    assert hidden.all(1).sum(1).tolist() == [8] * 4
    assert hidden.all(2).sum(1).tolist() == [8] * 4


@pytest.mark.parametrize(("kind", "steps", "groups"), [("joint", 16, 12), ("frame", 8, 20), ("motion", 8, 12)])
def test_each_kind_hides_its_share(kind: str, steps: int, groups: int):
    visible = grids(4, MaskingConfig(kind))["skeleton"]
    assert visible.steps.shape == (4, steps)
    assert visible.groups.shape == (4, groups)


def test_modality_masking_reduces_one_random_sensor_to_a_token():
    hidden: set[str] = set()
    for seed in range(12):
        visible = grids(3, MaskingConfig("modality"), seed)
        reduced = [name for name, grid in visible.items() if grid.steps.shape[1] == 1]
        assert len(reduced) == 1
        assert visible[reduced[0]].groups.shape[1] == 1
        hidden.update(reduced)
    assert hidden == {"skeleton", "inertial"}


def test_motion_masking_hides_moving_joints_more_often():
    features = {spec.name: torch.zeros(400, 16, spec.patch, spec.groups, spec.features) for spec in SPECS}
    features["skeleton"][:, :, :, 7, 3:] = 5.0  # one joint moves, in its motion features
    groups = visible_grids(features, SPECS, MaskingConfig("motion"), generator())["skeleton"].groups
    share = [float((groups == joint).any(1).float().mean()) for joint in (7, 8)]
    assert share[0] < share[1] - 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_is_masked_independently(kind: str):
    visible = grids(8, MaskingConfig(kind))["skeleton"]
    rows = torch.cat([visible.steps, visible.groups], 1)
    assert len({tuple(row.tolist()) for row in rows}) > 1


def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="--masking random"):
        MaskingConfig("random")


@pytest.mark.parametrize("option", ["joint_ratio", "step_ratio"])
@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_ratio_out_of_range_is_refused(option: str, ratio: float):
    with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')} {ratio}"):
        MaskingConfig(**cast(dict[str, Any], {option: ratio}))
