import torch
from hypothesis import given
from hypothesis import strategies as st

from teacher.masking import MaskingConfig, keep_some, spatial_temporal


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(count=st.integers(1, 40), ratio=st.floats(0, 1), seed=st.integers(0, 99))
def test_kept_numbers_are_ascending_distinct_and_as_many_as_asked(count: int, ratio: float, seed: int):
    kept = keep_some(3, count, ratio, generator(seed))
    assert kept.shape == (3, max(1, round(count * (1 - ratio))))
    assert (kept >= 0).all()
    assert (kept < count).all()
    assert (kept.diff(dim=1) > 0).all()


def test_joint_level_and_frame_level_masking_act_together():
    visible = spatial_temporal(4, 16, 20, MaskingConfig(joint_ratio=0.4, step_ratio=0.5), generator())
    hidden = visible.hidden(16, 20)
    assert hidden.shape == (4, 16, 20)
    # 8 of 16 steps and 12 of 20 joints stay: the visible tokens are exactly that grid.
    assert (~hidden).sum((1, 2)).tolist() == [8 * 12] * 4
    joint_hidden_always = hidden.all(1).sum(1)
    step_hidden_whole = hidden.all(2).sum(1)
    assert joint_hidden_always.tolist() == [8] * 4
    assert step_hidden_whole.tolist() == [8] * 4


def test_every_sample_is_masked_differently():
    visible = spatial_temporal(8, 16, 20, MaskingConfig(), generator())
    assert len({tuple(row.tolist()) for row in visible.steps}) > 1
    assert len({tuple(row.tolist()) for row in visible.groups}) > 1
