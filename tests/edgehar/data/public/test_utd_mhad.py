"""UTD-MHAD: all clips load; an invalid file is named in the error."""

import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from edgehar.data.public import utd_mhad
from edgehar.data.splits import make_split
from edgehar.errors import DataError
from edgehar.signals.windows import cut, fit_normalisation


def write_clip(root: Path, name: str = "a3_s2_t1", frames: int = 5, samples: int = 9) -> None:
    random = np.random.default_rng(1)
    for folder, variable, array in (
        ("Skeleton", "d_skel", random.standard_normal((20, 3, frames))),
        ("Inertial", "d_iner", random.standard_normal((samples, 6))),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / folder / f"{name}_{folder.lower()}.mat", {variable: array})


def test_loads_all_real_clips(data_root: Path) -> None:
    start_s = time.process_time()
    dataset = utd_mhad.load(data_root)
    assert time.process_time() - start_s < 4
    assert len(dataset.clips) == 861
    assert dataset.subjects == tuple(f"s{number}" for number in range(1, 9))
    assert {clip.label for clip in dataset.clips} == set(range(27))
    frames = [len(clip.signals["skeleton"]) for clip in dataset.clips]
    samples = [len(clip.signals["inertial"]) for clip in dataset.clips]
    assert (min(frames), int(np.median(frames)), max(frames)) == (41, 67, 125)
    assert (min(samples), int(np.median(samples)), max(samples)) == (107, 177, 326)
    split = make_split("odd-even", dataset.clips)
    assert sum(clip.subject in split.train for clip in dataset.clips) == 431
    assert not {"a8_s1_t4", "a23_s6_t4", "a27_s8_t4"} & {clip.name for clip in dataset.clips}


def test_joints_and_axes_are_in_the_declared_order(data_root: Path) -> None:
    clip = utd_mhad.load(data_root).clips[0]
    path = data_root / "utd-mhad" / "Skeleton" / "a1_s1_t1_skeleton.mat"
    original = scipy.io.loadmat(path)["d_skel"]  # (20, 3, T)
    skeleton = clip.signals["skeleton"].reshape(-1, 20, 3)
    np.testing.assert_allclose(skeleton, original.transpose(2, 0, 1), rtol=1e-6)
    head, foot = utd_mhad.SKELETON.joints.index("head"), utd_mhad.SKELETON.joints.index("left_foot")
    height_m = skeleton[:, head, utd_mhad.SKELETON.vertical] - skeleton[:, foot, utd_mhad.SKELETON.vertical]
    assert ((height_m > 1.0) & (height_m < 2.2)).all()
    assert clip.subject == "s1"
    assert dataset_label(clip.label) == "swipe_left"


def dataset_label(label: int | None) -> str:
    assert label is not None
    return utd_mhad.LABELS[label]


def test_a_clip_may_lack_a_sensor(tmp_path: Path) -> None:
    write_clip(tmp_path / "utd-mhad", "a3_s2_t1")
    write_clip(tmp_path / "utd-mhad", "a27_s1_t2")
    (tmp_path / "utd-mhad" / "Inertial" / "a3_s2_t1_inertial.mat").unlink()
    dataset = utd_mhad.load(tmp_path)
    assert [(clip.name, sorted(clip.signals)) for clip in dataset.clips] == [
        ("a3_s2_t1", ["skeleton"]),
        ("a27_s1_t2", ["inertial", "skeleton"]),
    ]
    windows = cut(dataset.clips, dataset.info, fit_normalisation(dataset, dataset.subjects))
    assert windows.valid["inertial"].all(1).tolist() == [False, True]


def test_depth_path(tmp_path: Path) -> None:
    write_clip(tmp_path)
    with pytest.raises(DataError, match=r"a3_s2_t1_depth\.mat"):
        utd_mhad.depth_path(tmp_path, "a3_s2_t1")
    (tmp_path / "Depth").mkdir()
    (tmp_path / "Depth" / "a3_s2_t1_depth.mat").touch()
    assert utd_mhad.depth_path(tmp_path, "a3_s2_t1") == tmp_path / "Depth" / "a3_s2_t1_depth.mat"


@pytest.mark.parametrize(
    ("variable", "array", "found"),
    [
        ("d_iner", np.zeros((9, 5)), r"shape \(9, 5\)"),
        ("d_iner", np.zeros((0, 6)), "shape"),
        ("d_iner", np.where(np.arange(54).reshape(9, 6) == 20, np.nan, 0.0), r"d_iner\[3, 2\] is nan"),
        ("other", np.zeros((9, 6)), "other"),
    ],
)
def test_invalid_inertial_files_are_named(tmp_path: Path, variable: str, array: np.ndarray, found: str) -> None:
    write_clip(tmp_path)
    path = tmp_path / "Inertial" / "a3_s2_t1_inertial.mat"
    scipy.io.savemat(path, {variable: array})
    with pytest.raises(DataError, match=found) as caught:
        utd_mhad.load(tmp_path)
    assert str(caught.value).startswith(str(path))


def test_invalid_skeleton_files_are_named(tmp_path: Path) -> None:
    write_clip(tmp_path)
    path = tmp_path / "Skeleton" / "a3_s2_t1_skeleton.mat"
    scipy.io.savemat(path, {"d_skel": np.zeros((25, 3, 4))})
    with pytest.raises(DataError, match=r"shape \(25, 3, 4\)"):
        utd_mhad.load(tmp_path)
    bad = np.zeros((20, 3, 4))
    bad[7, 2, 3] = np.inf
    scipy.io.savemat(path, {"d_skel": bad})
    with pytest.raises(DataError, match=r"d_skel\[7, 2, 3\] is inf"):
        utd_mhad.load(tmp_path)


def test_wrong_folders_and_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: no such folder"):
        utd_mhad.load(tmp_path / "absent")
    with pytest.raises(DataError, match=r"Skeleton/.*Inertial/"):
        utd_mhad.load(tmp_path)
    (tmp_path / "Skeleton").mkdir()
    with pytest.raises(DataError, match=r"no \.mat file"):
        utd_mhad.load(tmp_path)
    write_clip(tmp_path, "a28_s1_t1")
    with pytest.raises(DataError, match="action 28"):
        utd_mhad.load(tmp_path)
    (tmp_path / "Skeleton" / "a28_s1_t1_skeleton.mat").rename(tmp_path / "Skeleton" / "mine.mat")
    with pytest.raises(DataError, match=r"mine\.mat"):
        utd_mhad.load(tmp_path)
