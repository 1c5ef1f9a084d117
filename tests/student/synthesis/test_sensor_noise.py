"""Noise on synthetic windows equals noise on samples after preprocessing."""

import numpy as np
import pytest
import torch
from bodies import INERTIAL, SKELETON, SPECS, STEPS, windows

from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.student.synthesis.sensor_noise import MAX_NOISE, SensorNoiseSampler
from edgehar.student.windows import Inputs
from edgehar.teacher.training.batches import update_generator

WINDOW = WindowSpec("clip", STEPS, 0.1)
NORMALISATION = Normalisation(
    {
        SKELETON.name: np.tile(np.array([0.3, 0.5], np.float32), (SKELETON.groups, 1)),
        INERTIAL.name: np.array([[0.7, 9], [110, 900]], np.float32),
    }
)
ROWS, PROBABILITY = 400, 0.25


class ZeroSampler:
    """Windows of zeros whose last step is invalid for all sensors."""

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        features = {s.name: torch.zeros(batch, STEPS, s.patch, s.groups, s.features) for s in SPECS}
        valid = torch.ones(batch, STEPS, dtype=torch.bool)
        valid[:, -1] = False
        return features, {spec.name: valid for spec in SPECS}


def sampled() -> dict[str, torch.Tensor]:
    sampler = SensorNoiseSampler(ZeroSampler(), SPECS, WINDOW, NORMALISATION, PROBABILITY)
    return sampler.draw(ROWS, update_generator(0, 0))[0]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_noise_of_values_and_motions_is_as_strong_as_in_features_of_noisy_samples(spec: ModalitySpec):
    found = sampled()[spec.name][:, :-1].reshape(-1, spec.groups, spec.features)
    length = 1000 * spec.patch
    samples = np.random.default_rng(0).normal(size=(length, spec.channels)).astype(np.float32)
    samples *= NORMALISATION.rows(spec)[0]
    expected, _ = prepare(samples, np.ones(length, bool), spec, WINDOW.step_s / spec.patch, NORMALISATION)
    real = torch.as_tensor(expected).reshape(-1, spec.groups, spec.features)
    found_rms, real_rms = (part.square().mean(0).sqrt() for part in (found, real))
    torch.testing.assert_close(found_rms / found_rms.mean(), real_rms / real_rms.mean(), atol=1e-3, rtol=0.1)


def test_some_sensors_are_noisy_up_to_the_maximum_and_invalid_steps_stay_zero():
    for spec in SPECS:
        found = sampled()[spec.name]
        assert (found[:, -1] == 0).all()
        size = found[:, :-1, ..., 1 if spec.is_skeleton else 0 :, : spec.group].square().mean((1, 2, 3, 4)).sqrt()
        assert abs(float((size > 0).float().mean()) - PROBABILITY) < 0.1
        # Both a joint and the root it is relative to are noisy.
        assert size.max() < 1.1 * MAX_NOISE * (2**0.5 if spec.is_skeleton else 1)
        assert size.max() > 0.7 * MAX_NOISE


def test_noise_is_added_to_the_windows_of_the_other_sampler():
    features, valid = windows(64)

    class FixedSampler:
        def draw(self, batch: int, generator: torch.Generator) -> Inputs:
            return features, valid

    (noisy, noisy_valid), (noise, _) = (
        SensorNoiseSampler(sampler, SPECS, WINDOW, NORMALISATION, PROBABILITY).draw(64, update_generator(0, 0))
        for sampler in (FixedSampler(), ZeroSampler())
    )
    assert noisy_valid is valid
    for spec in SPECS:
        torch.testing.assert_close((noisy[spec.name] - features[spec.name])[:, :-1], noise[spec.name][:, :-1])
