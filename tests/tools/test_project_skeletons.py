"""The projected skeleton is the picture of the recorded one, in a folder that training loses joints of."""

from pathlib import Path

import numpy as np

from edgehar.data import recordings
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tools import project_skeletons


def test_projected_data_set_has_the_same_recordings_without_depth(tmp_path: Path) -> None:
    original = simulate(SimulatorConfig(subjects=1, trials=1, activities=("throw", "walk")))
    recordings.write(project_skeletons.project(original), tmp_path / "picture")
    projected = recordings.load(tmp_path / "picture")
    (spec,) = projected.info.modalities
    assert (spec.is_picture, spec.lost_joints, spec.channels, spec.parents) == (
        True, True, 40, original.info.modality("skeleton").parents,
    )  # fmt: skip
    assert [(clip.name, clip.subject, clip.label) for clip in projected.clips] == [
        (clip.name, clip.subject, clip.label) for clip in original.clips
    ]
    picture = projected.clips[0].signals["skeleton"].reshape(-1, 20, 2)
    metres = original.clips[0].signals["skeleton"].reshape(-1, 20, 3)
    np.testing.assert_allclose(picture[..., 0], 320 + 100 * metres[..., 0], atol=1e-3)
    np.testing.assert_allclose(picture[..., 1], 240 - 100 * metres[..., 1], atol=1e-3)
