import pytest
import torch
from bodies import CLASSES, INERTIAL, SKELETON, SPECS, STEPS, activity_windows, flat_features

from edgehar.errors import CheckpointError
from edgehar.student.synthesis.samplers import AugmentedSampler, draw_recorded
from edgehar.student.synthesis.window_means import WindowMeansSampler
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows
from edgehar.teacher.training.batches import WindowTensors, update_generator
from edgehar.teacher.training.moments import measure_moments


def test_recorded_windows_are_clean_or_faulty():
    def constant(value: float) -> WindowTensors:
        features = {s.name: torch.full((6, STEPS, s.patch, s.groups, s.features), value) for s in SPECS}
        return WindowTensors(features, {s.name: torch.ones(6, STEPS, dtype=torch.bool) for s in SPECS}, torch.zeros(6))

    sampler = AugmentedSampler(draw_recorded(FaultyWindows(constant(0.0), [constant(5.0)], 0.5)), SPECS, 0.0)
    features, valid = sampler.draw(400, update_generator(0, 0))
    for spec in SPECS:
        faulty = features[spec.name].square().mean((1, 2, 3, 4)) > 1
        assert 0.4 < faulty.float().mean() < 0.6
        assert (features[spec.name][~valid[spec.name]] == 0).all()


def test_windows_around_means_are_closer_to_recordings_than_noise():
    windows = activity_windows()
    sampler = WindowMeansSampler(measure_moments(windows, SPECS, CLASSES), SPECS, STEPS, 0.0)
    drawn = torch.cat([part.flatten(1) for part in sampler.draw(64, update_generator(0, 0))[0].values()], 1)
    noise = torch.randn(64, drawn.shape[1], generator=update_generator(0, 1))
    recorded = torch.as_tensor(flat_features(windows))
    assert torch.cdist(drawn, recorded).min(1).values.mean() < 0.8 * torch.cdist(noise, recorded).min(1).values.mean()


def test_moments_of_other_windows_are_refused():
    moments = measure_moments(activity_windows(), SPECS, CLASSES)
    with pytest.raises(CheckpointError, match="expected means and directions"):
        WindowMeansSampler(moments, (SKELETON, INERTIAL), STEPS + 1, 0.0)
