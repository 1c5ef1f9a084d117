"""Faults of a skeleton whose joints may be lost."""

from dataclasses import replace

import numpy as np

from edgehar.data.public.utd_mhad import INERTIAL, SKELETON
from edgehar.signals.clip import Clip
from edgehar.signals.faults import Fault, apply, scenarios, signal_spread

PICTURE = replace(SKELETON, channels=40, group=2, unit="px", lost_joints=True)


def picture(samples: int = 30) -> Clip:
    values = np.random.default_rng(0).normal(size=(samples, 40)).astype(np.float32)
    return Clip("a1_s1_t1", "s1", "t1", {"skeleton": values}, {"skeleton": np.ones(samples, bool)}, 1)


def test_share_of_the_joints_is_lost_in_the_whole_recording() -> None:
    clip = picture()
    fault = Fault("skeleton", lost_joints=0.25, axes=2, noise=0.1)
    masked = apply(clip, [fault], signal_spread([clip]), np.random.default_rng(3))
    joints = masked.signals["skeleton"].reshape(-1, 20, 2)
    lost = np.isnan(joints).all((0, 2))
    assert lost.sum() == 5
    assert np.isfinite(joints[:, ~lost]).all()
    assert masked.valid["skeleton"].all()
    assert np.isfinite(clip.signals["skeleton"]).all()


def test_lost_joints_are_in_the_suite_of_their_skeletons_only() -> None:
    names = [scenario.name for scenario in scenarios((PICTURE, INERTIAL)) if "joints" in scenario.name]
    assert names == ["skeleton joints 10 %", "skeleton joints 25 %", "skeleton joints 50 %"]
    assert len(scenarios((PICTURE, INERTIAL))) == len(scenarios((SKELETON, INERTIAL))) + 3


def test_spread_is_that_of_the_known_joints() -> None:
    clip = picture(4000)
    clip.signals["skeleton"][::2, :4] = np.nan
    clip.signals["skeleton"][:, 38:] = np.nan
    spread = signal_spread([clip])["skeleton"]
    np.testing.assert_allclose(spread[:38], 1, rtol=0.1)
    assert not spread[38:].any()
