"""UTD-MHAD: 27 actions of 8 subjects, a Kinect skeleton and one inertial sensor, pre-cut clips without timestamps.

The inertial sensor is on the right wrist for actions 1-21 and on the right thigh for 22-27, so that its placement
reveals part of the class; state this with every inertial-only result.
"""

import re
from pathlib import Path

import numpy as np

from edgehar.data.public.mat_file import read_mat
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Floats
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec, WindowSpec

LABELS = (
    "swipe_left", "swipe_right", "wave", "clap", "throw", "arm_cross", "basketball_shoot", "draw_x",
    "draw_circle_clockwise", "draw_circle_counter_clockwise", "draw_triangle", "bowling", "boxing",
    "baseball_swing", "tennis_swing", "arm_curl", "tennis_serve", "push", "knock", "catch", "pickup_throw",
    "jog", "walk", "sit_to_stand", "stand_to_sit", "lunge", "squat",
)  # fmt: skip
SKELETON = ModalitySpec(
    "skeleton", channels=60, unit="m", rate_hz=30, patch=4, joints=KINECT_JOINTS, parents=KINECT_PARENTS
)
INERTIAL = ModalitySpec("inertial", channels=6, unit="g and deg/s", rate_hz=50, patch=12)
INFO = DatasetInfo(
    name="utd-mhad",
    modalities=(SKELETON, INERTIAL),
    labels=LABELS,
    # The median clip has 67 frames at 30 Hz.
    window=WindowSpec("clip", steps=16, step_s=67 / 30 / 16),
    citation="C. Chen, R. Jafari, N. Kehtarnavaz: UTD-MHAD: A Multimodal Dataset for Human Action Recognition "
    "Utilizing a Depth Camera and a Wearable Inertial Sensor. IEEE ICIP 2015.",
    licence="no licence stated; published by the University of Texas at Dallas for research use with citation",
    caveats=(
        "The one inertial sensor is on the right wrist for actions 1-21 and on the right thigh for 22-27, "
        "so its placement alone gives away part of the class.",
    ),
)
SENSOR_FOLDERS = {"skeleton": "Skeleton", "inertial": "Inertial"}
"""Modality -> folder of its files."""
_VARIABLES = {"skeleton": "d_skel", "inertial": "d_iner"}
_FILE_NAME = re.compile(r"(a(\d+)_s(\d+)_t(\d+))_(skeleton|inertial)\.mat")


def find_root(root: Path) -> Path:
    """The folder with Skeleton/ and Inertial/: `root`, or utd-mhad/ in it.

    Raises:
        DataError: neither contains one of the two folders.
    """
    for folder in (root, root / "utd-mhad"):
        if any((folder / name).is_dir() for name in SENSOR_FOLDERS.values()):
            return folder
    found = "no such folder" if not root.is_dir() else "neither Skeleton/ nor Inertial/ in it"
    raise DataError(
        f"{root}: {found}; expected the unpacked UTD-MHAD; give its folder, or run: "
        "edgehar data fetch utd-mhad --out DIR"
    )


def depth_path(root: Path, clip_name: str) -> Path:
    """Path of the depth recording of a clip such as "a1_s1_t1"; raises DataError if it does not exist."""
    path = find_root(root) / "Depth" / f"{clip_name}_depth.mat"
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; expected the depth recording of a clip; unpack Depth.zip into this folder"
        )
    return path


def _read_signal(path: Path, modality: str) -> Floats:
    """One file as (T, C) float32."""
    array = np.asarray(read_mat(path, _VARIABLES[modality]), np.float64)
    expected = "(20, 3, frames)" if modality == "skeleton" else "(samples, 6)"
    fits = array.ndim == 3 and array.shape[:2] == (20, 3) if modality == "skeleton" else array.shape[1:] == (6,)
    if not fits or not array.size:
        raise DataError(f"{path}: {_VARIABLES[modality]} has shape {array.shape}; expected {expected}; fetch it again")
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(axis) for axis in np.argwhere(~finite)[0])
        raise DataError(
            f"{path}: {_VARIABLES[modality]}{list(index)} is {array[index]}; expected a finite number; "
            "fetch the file again or remove it"
        )
    if modality == "skeleton":
        array = array.reshape(60, -1).T  # (T, C), xyz of each joint
    return np.ascontiguousarray(array, np.float32)


def load(root: Path) -> Dataset:
    """Load all clips, in the order of action, subject and trial.

    Args:
        root: folder with Skeleton/ and Inertial/, or with utd-mhad/.

    Returns:
        The data set; a clip lacks a modality if its file is missing.

    Raises:
        DataError: no recordings, or a file that is damaged, of another shape or not finite.
    """
    root = find_root(root)
    signals: dict[tuple[int, int, int], dict[str, Floats]] = {}
    for modality, folder in SENSOR_FOLDERS.items():
        for path in sorted((root / folder).glob("*.mat")):
            match = _FILE_NAME.fullmatch(path.name)
            if match is None or match[5] != modality:
                raise DataError(f"{path}: expected a name like a1_s1_t1_{modality}.mat; rename or move the file")
            key = (int(match[2]), int(match[3]), int(match[4]))
            if not 1 <= key[0] <= len(LABELS):
                raise DataError(f"{path}: action {key[0]}; expected 1 to {len(LABELS)}; rename or move the file")
            signals.setdefault(key, {})[modality] = _read_signal(path, modality)
    if not signals:
        raise DataError(f"{root}: no .mat file in Skeleton/ or Inertial/; expected 861 in each; unpack the archives")
    clips = [
        Clip(
            name=f"a{action}_s{subject}_t{trial}",
            subject=f"s{subject}",
            trial=f"t{trial}",
            signals=recorded,
            valid={name: np.ones(len(values), bool) for name, values in recorded.items()},
            label=action - 1,
        )
        for (action, subject, trial), recorded in sorted(signals.items())
    ]
    return Dataset(INFO, tuple(clips))
