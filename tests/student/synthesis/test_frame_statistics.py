from typing import Any

import numpy as np
import torch
from bodies import SPECS, STEPS

from edgehar.signals.windows import Windows
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig, FrameStatisticsSampler
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.moments import measure_statistics


def recorded(count: int = 40, subjects: int = 2) -> Windows:
    random = np.random.default_rng(0)
    features, valid = {}, {}
    for spec in SPECS:
        shape = (count, STEPS, spec.patch, spec.groups, spec.features)
        channel = np.linspace(0.5, 2, spec.groups * spec.features).reshape(spec.groups, spec.features)
        features[spec.name] = (random.normal(size=shape) * channel + 0.3).astype(np.float32)
        valid[spec.name] = np.ones((count, STEPS), bool)
        valid[spec.name][0] = False
        features[spec.name][0] = 1e6  # not valid: must not count
    skeleton = features["skeleton"]
    skeleton[..., SPECS[0].root, :3] = 0
    rest = np.zeros(count)
    people = np.array([f"s{place % subjects}" for place in range(count)])
    return Windows(features, valid, rest.astype(np.int64), people, rest.astype(str), rest, rest)


def dreamer(**changes: Any) -> FrameStatisticsSampler:
    return FrameStatisticsSampler(measure_statistics(recorded(), SPECS), SPECS, STEPS, FrameStatisticsConfig(**changes))


def test_dreams_have_the_stored_moments():
    features, _ = dreamer(spread=1.0, lost_modality=0.0).draw(400, update_generator(0, 0))
    for spec in SPECS:
        value = features[spec.name][..., : spec.group].flatten(0, 2).flatten(1)
        stored = measure_statistics(recorded(), SPECS)[spec.name]
        torch.testing.assert_close(value.mean(0), torch.tensor(stored["mean"]), atol=0.3, rtol=0)
        spread = torch.tensor(stored["covariance"]).diagonal().sqrt()
        moving = spread > 0
        ratio = value.std(0)[moving] / spread[moving]
        assert 0.8 < float(ratio.min()) < float(ratio.max()) < 1.3


def test_dreams_are_smooth_and_their_root_moves_but_stays_the_origin():
    features, _ = dreamer(lost_modality=0.0).draw(64, update_generator(0, 0))
    skeleton = features["skeleton"]
    value = skeleton[..., :3].flatten(1, 2)  # (B, L, G, 3)
    assert (value.diff(dim=1).square().mean() / value.var()) < 0.3
    assert value[:, :, SPECS[0].root].abs().max() < 1e-5
    assert skeleton[..., SPECS[0].root, 3:].std() > 0


def test_same_seed_same_dream_and_lost_modalities_are_zero():
    one, valid = dreamer(lost_modality=0.5).draw(32, update_generator(0, 3))
    other, _ = dreamer(lost_modality=0.5).draw(32, update_generator(0, 3))
    for name in one:
        assert torch.equal(one[name], other[name])
        assert (one[name][~valid[name]] == 0).all()
    assert not valid["skeleton"].all()
    assert torch.stack([flags.any(1) for flags in valid.values()], 1).any(1).all()


def test_statistics_are_small_and_hold_no_sample():
    few, many = measure_statistics(recorded(20), SPECS), measure_statistics(recorded(200), SPECS)
    size = {name: {key: np.shape(value) for key, value in entry.items()} for name, entry in few.items()}
    assert size == {name: {key: np.shape(value) for key, value in entry.items()} for name, entry in many.items()}
    assert size["skeleton"] == {"mean": (60,), "covariance": (60, 60), "motion": (60,)}


def test_of_few_windows_or_one_person_nothing_is_kept():
    assert measure_statistics(recorded(9), SPECS)
    assert measure_statistics(recorded(8), SPECS) == {}, "one of them has no valid step"
    assert measure_statistics(recorded(40, subjects=1), SPECS) == {}
