"""Imported skeletons, one person or two together, are trained on without further work."""

from pathlib import Path

import numpy as np
import pytest

from edgehar import cli

JOINTS = 25


def skeleton_file(subject: int, action: int, trial: int) -> str:
    """Two people, of whom the second is not seen in one frame and stands still; joint 3 is never tracked."""
    random = np.random.default_rng([subject, action, trial])
    frames = 30 + 5 * trial
    body = np.random.default_rng(subject).normal(0, 0.4, (JOINTS, 3)) + np.array([0, 1, 3])
    phase = np.linspace(0, 2 * np.pi, frames)
    moving = np.repeat(body[None], frames, 0)
    moving[:, 8:12, 1] += 0.5 * np.sin(phase / action)[:, None]
    moving += random.normal(0, 0.01, moving.shape)
    moving[:, 3] = 0
    lines = [str(frames)]
    for number, joints in enumerate(moving):
        bodies = {"72057594037931101": joints} | ({} if number == 7 else {"1": body + np.array([1.5, 0, 0])})
        lines.append(str(len(bodies)))
        for name, positions in bodies.items():
            lines += [f"{name} 0 1 1 0 0 0 0.1 -0.2 2", str(JOINTS)]
            lines += [
                " ".join(f"{value:.6f}" for value in joint) + f" 0 0 0 0 0 0 0 0 {2 * bool(joint.any())}"
                for joint in positions
            ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("options", [[], ["--together"]], ids=["main-body", "together"])
def test_a_teacher_trains_on_imported_skeletons(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for subject in (1, 2, 3):
        for action in (1, 2):
            for trial in (1, 2):
                path = tmp_path / "raw" / f"S001C001P{subject:03}R{trial:03}A{action:03}.skeleton"
                path.write_text(skeleton_file(subject, action, trial), encoding="ascii")
    mine = str(tmp_path / "mine")
    assert cli.main(["data", "import", str(tmp_path / "raw"), "--out", mine, *options]) == 0
    assert cli.main(["data", "check", mine]) == 0
    arguments = ["--preset", "tiny", "--updates", "3", "--batch", "4", "--data", mine, "--split", "loso:P003"]
    assert cli.main(["finetune", "--out", str(tmp_path / "teacher"), *arguments]) == 0
