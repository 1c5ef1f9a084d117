"""Features of all sensors of a step at once equal those of each sensor, to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.valid_frames import ValidFrames

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
SPECS = (SKELETON, ModalitySpec("wrist", 6, "g and deg/s", 50.0, 3), ModalitySpec("heart", 1, "1/min", 4.0, 2, group=1))


@pytest.mark.parametrize("lost_joints", [False, True])
@pytest.mark.parametrize("streams", [1, 3])
def test_features_are_the_bits_of_each_sensor_alone(lost_joints: bool, streams: int) -> None:
    generator, steps = np.random.default_rng(0), 2
    specs = (replace(SKELETON, lost_joints=lost_joints), *SPECS[1:])
    normalisation = Normalisation({one.name: 0.1 + generator.random((one.groups, 2), np.float32) for one in specs})
    frames_s = [0.17 / one.patch for one in specs]
    layout = ValidFrames(specs, frames_s, steps, normalisation)
    frames = [generator.standard_normal((streams, steps * one.patch, one.channels), np.float32) for one in specs]
    before = [generator.standard_normal((streams, one.channels), np.float32) for one in specs]
    constants = np.tile(np.array([0, 1], np.float32), (streams, 1))
    rows = np.concatenate([*(one.reshape(streams, -1) for one in frames), *before, constants], axis=1)
    features = layout.features(rows)
    filled = np.empty_like(features)
    assert layout.features(rows, filled) is filled
    np.testing.assert_array_equal(filled, features)
    for place, spec in enumerate(specs):
        for stream in range(streams):
            valid, previous = np.ones(steps * spec.patch, bool), (before[place][stream], True)
            expected, _ = prepare(frames[place][stream], valid, spec, frames_s[place], normalisation, previous)
            found = features[stream, layout.columns[spec.name]].reshape(expected.shape)
            np.testing.assert_array_equal(found, expected)
    last = np.split(rows[:, layout.last], np.cumsum([one.channels for one in specs])[:-1], axis=1)
    for found, of_sensor in zip(last, frames, strict=True):
        np.testing.assert_array_equal(found, of_sensor[:, -1])
