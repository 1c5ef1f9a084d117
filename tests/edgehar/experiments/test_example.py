"""The example recording of a run: frames of a skeleton with any number of axes, and nothing where none was seen."""

from pathlib import Path

import numpy as np
import pytest

from edgehar.experiments.examples import write_example
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec

PREDICTION = {"clip": "c", "start_s": 0.0, "end_s": 0.4, "label": "a", "predicted": "b", "score": 0.5}


def _dataset(axes: int, valid: list[bool], timed: bool) -> Dataset:
    spec = ModalitySpec(
        "body", 3 * axes, "m", 10, 1, group=axes, joints=("hip", "neck", "head"), parents=(0, 0, 1), vertical=1
    )
    values = np.arange(len(valid) * 3 * axes, dtype=np.float32).reshape(len(valid), -1)
    times_s = {"body": np.arange(len(valid)) / 10} if timed else {}
    clip = Clip("c", "ann", "1", {"body": values}, {"body": np.array(valid)}, 0, times_s)
    return Dataset(DatasetInfo("d", (spec,), ("a", "b"), WindowSpec("clip", 4, 0.1)), (clip,))


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("timed", [False, True])
def test_valid_frames_are_stored_with_their_axes(tmp_path: Path, axes: int, timed: bool) -> None:
    dataset = _dataset(axes, [True, False, True, True, True, True, True], timed)
    assert write_example(tmp_path, dataset, [PREDICTION])["file"] == "example.npz"
    with np.load(tmp_path / "example.npz") as arrays:
        stored = arrays["frames"]
    kept = [0, 2, 3, 4] if timed else [0, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(stored, dataset.clips[0].signals["body"].reshape(-1, 3, axes)[kept])


def test_recording_without_a_valid_frame_is_no_example(tmp_path: Path) -> None:
    assert write_example(tmp_path, _dataset(2, [False] * 5, timed=True), [PREDICTION]) == {}
