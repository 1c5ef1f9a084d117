"""Noise on windows that no one recorded is what noise on samples makes of their features."""

import numpy as np
import pytest
import torch
from bodies import INERTIAL, SKELETON, SPECS, STEPS, windows

from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.student.synthesis.sensor_noise import STRONGEST, SensorNoiseSampler
from edgehar.student.windows import Inputs
from edgehar.teacher.training.batches import update_generator

WINDOW = WindowSpec("clip", STEPS, 0.1)
NORMALISATION = Normalisation(
    {
        SKELETON.name: np.tile(np.array([0.3, 0.5], np.float32), (SKELETON.groups, 1)),
        INERTIAL.name: np.array([[0.7, 9], [110, 900]], np.float32),
    }
)
ROWS, CHANCE = 400, 0.25


class Still:
    """Windows in which nothing happens, the last step of all sensors not valid."""

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        features = {s.name: torch.zeros(batch, STEPS, s.patch, s.groups, s.features) for s in SPECS}
        valid = torch.ones(batch, STEPS, dtype=torch.bool)
        valid[:, -1] = False
        return features, {spec.name: valid for spec in SPECS}


def drawn() -> dict[str, torch.Tensor]:
    return SensorNoiseSampler(Still(), SPECS, WINDOW, NORMALISATION, CHANCE).draw(ROWS, update_generator(0, 0))[0]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_values_and_motions_are_as_strong_as_in_features_of_noisy_samples(spec: ModalitySpec):
    found = drawn()[spec.name][:, :-1].reshape(-1, spec.groups, spec.features)
    length = 1000 * spec.patch
    samples = np.random.default_rng(0).normal(size=(length, spec.channels)).astype(np.float32)
    samples *= NORMALISATION.rows(spec)[0]
    expected, _ = prepare(samples, np.ones(length, bool), spec, WINDOW.step_s / spec.patch, NORMALISATION)
    real = torch.as_tensor(expected).reshape(-1, spec.groups, spec.features)
    ours, theirs = (part.square().mean(0).sqrt() for part in (found, real))
    torch.testing.assert_close(ours / ours.mean(), theirs / theirs.mean(), atol=1e-3, rtol=0.1)


def test_some_sensors_are_noisy_up_to_the_strongest_and_what_is_not_valid_stays_zero():
    for spec in SPECS:
        found = drawn()[spec.name]
        assert (found[:, -1] == 0).all()
        size = found[:, :-1, ..., 1 if spec.is_skeleton else 0 :, : spec.group].square().mean((1, 2, 3, 4)).sqrt()
        assert abs(float((size > 0).float().mean()) - CHANCE) < 0.1
        # A joint and the root it is relative to are noisy both.
        assert size.max() < 1.1 * STRONGEST * (2**0.5 if spec.is_skeleton else 1)
        assert size.max() > 0.7 * STRONGEST


def test_what_the_source_draws_stays_below_the_noise():
    features, valid = windows(64)

    class Fixed:
        def draw(self, batch: int, generator: torch.Generator) -> Inputs:
            return features, valid

    noisy, shown = SensorNoiseSampler(Fixed(), SPECS, WINDOW, NORMALISATION, CHANCE).draw(64, update_generator(0, 0))
    alone, _ = SensorNoiseSampler(Still(), SPECS, WINDOW, NORMALISATION, CHANCE).draw(64, update_generator(0, 0))
    assert shown is valid
    for spec in SPECS:
        torch.testing.assert_close((noisy[spec.name] - features[spec.name])[:, :-1], alone[spec.name][:, :-1])
