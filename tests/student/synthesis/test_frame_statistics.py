from typing import Any

import torch
from bodies import SPECS, STEPS, frame_windows

from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig, FrameStatisticsSampler
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.moments import measure_statistics


def sampler(lost_modality: float, **changes: Any) -> FrameStatisticsSampler:
    config = FrameStatisticsConfig(**changes)
    return FrameStatisticsSampler(measure_statistics(frame_windows(), SPECS), SPECS, STEPS, lost_modality, config)


def test_samples_have_the_stored_mean_and_variance():
    features, _ = sampler(0.0, spread=1.0).draw(400, update_generator(0, 0))
    for spec in SPECS:
        value = features[spec.name][..., : spec.group].flatten(0, 2).flatten(1)
        stored = measure_statistics(frame_windows(), SPECS)[spec.name]
        torch.testing.assert_close(value.mean(0), torch.tensor(stored["mean"]), atol=0.3, rtol=0)
        spread = torch.tensor(stored["covariance"]).diagonal().sqrt()
        moving = spread > 0
        ratio = value.std(0)[moving] / spread[moving]
        assert 0.8 < float(ratio.min()) < float(ratio.max()) < 1.3


def test_samples_are_smooth_and_the_root_has_motion_but_no_offset():
    features, _ = sampler(0.0).draw(64, update_generator(0, 0))
    skeleton = features["skeleton"]
    value = skeleton[..., :3].flatten(1, 2)  # (B, L, G, 3)
    assert (value.diff(dim=1).square().mean() / value.var()) < 0.3
    assert value[:, :, SPECS[0].root].abs().max() < 1e-5
    assert skeleton[..., SPECS[0].root, 3:].std() > 0


def test_same_seed_gives_same_samples_and_missing_modalities_are_zero():
    one, valid = sampler(0.5).draw(32, update_generator(0, 3))
    other, _ = sampler(0.5).draw(32, update_generator(0, 3))
    for name in one:
        assert torch.equal(one[name], other[name])
        assert (one[name][~valid[name]] == 0).all()
    assert not valid["skeleton"].all()
    assert torch.stack([flags.any(1) for flags in valid.values()], 1).any(1).all()
