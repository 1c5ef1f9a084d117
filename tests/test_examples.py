"""The example converter: files of another skeleton become a folder that can be checked and trained on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgehar import cli
from edgehar.data import registry
from edgehar.signals.clip import Floats

CONVERTER = Path(__file__).parents[1] / "docs" / "examples" / "ntu_skeletons.py"
JOINTS = 25


def motion(subject: int, action: int, frames: int) -> Floats:
    """A body of 25 joints that raises its right arm (action 1) or circles it (action 2)."""
    generator = np.random.default_rng([subject, action, frames])
    body = np.random.default_rng(subject).normal(0, 0.4, (JOINTS, 3)) + np.array([0, 1, 3])
    phase = np.linspace(0, 2 * np.pi, frames)
    joints = np.repeat(body[None], frames, 0)
    joints[:, 8:12, 1] += 0.5 * np.sin(phase / 2)[:, None]
    joints[:, 8:12, 0] += 0.5 * (action - 1) * np.sin(phase)[:, None]
    return (joints + generator.normal(0, 0.01, joints.shape)).astype(np.float32)


def skeleton_file(frames: Floats, empty_frame: int) -> str:
    """Text of a `.skeleton` file with one frame without a body and one frame with a second body."""
    lines = [str(len(frames))]
    for number, joints in enumerate(frames):
        bodies = {} if number == empty_frame else {"72057594037931101": joints}
        if number == 0:
            bodies["1"] = joints + 1
        lines.append(str(len(bodies)))
        for body, positions in bodies.items():
            lines += [f"{body} 0 1 1 0 0 0 0.1 -0.2 2", str(JOINTS)]
            lines += [" ".join(f"{value:.6f}" for value in joint) + " 0 0 0 0 0 0 0 0 2" for joint in positions]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ntu")
    (folder / "raw").mkdir()
    for subject in (1, 2, 3):
        for action in (1, 2):
            for trial in (1, 2):
                text = skeleton_file(motion(subject, action, 30 + 5 * trial), empty_frame=7)
                name = f"S001C001P{subject:03}R{trial:03}A{action:03}.skeleton"
                (folder / "raw" / name).write_text(text, encoding="ascii")
    (folder / "raw" / "S001C001P001R001A003.skeleton").write_text("2\n0\n0\n", encoding="ascii")
    run = subprocess.run(
        [sys.executable, str(CONVERTER), str(folder / "raw"), str(folder / "mine")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "A003.skeleton: " in run.stderr
    return folder / "mine"


def test_converted_folder_passes_the_check_and_equals_the_files(converted: Path) -> None:
    assert cli.main(["data", "check", str(converted)]) == 0
    dataset = registry.load(str(converted))
    assert dataset.subjects == ("p001", "p002", "p003")
    assert dataset.info.labels == ("a001", "a002")
    spec = dataset.info.modality("skeleton")
    assert spec.groups == JOINTS
    assert spec.joints[spec.root] == "spine_base"
    assert spec.joints[spec.parents[spec.joints.index("neck")]] == "spine_shoulder"
    clip = next(clip for clip in dataset.clips if clip.name == "S001C001P002R001A002")
    assert not clip.valid["skeleton"][7]
    assert clip.valid["skeleton"].sum() == 34
    valid = clip.valid["skeleton"]
    signals = clip.signals["skeleton"].reshape(-1, JOINTS, 3)
    np.testing.assert_allclose(signals[valid], motion(2, 2, 35)[valid], atol=1e-5)


def test_a_teacher_trains_on_the_converted_skeleton(converted: Path, tmp_path: Path) -> None:
    arguments = ["--preset", "tiny", "--updates", "3", "--batch", "4", "--data", str(converted), "--split", "loso:p003"]
    assert cli.main(["finetune", "--out", str(tmp_path / "teacher"), *arguments]) == 0
