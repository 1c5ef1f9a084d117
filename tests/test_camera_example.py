"""The camera example on a drawn film: times, lost joints, and the same skeleton live as in an imported recording."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgehar import cli
from edgehar.data import recordings

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "camera_stream.py"
PYTHON = os.environ.get("EDGEHAR_CAMERA_PYTHON", sys.executable)
"""An interpreter with MediaPipe, whose dependencies do not fit those of the training."""
FRAMES, EMPTY, FRAME_S = 65, 15, 0.04
SKIN, SHIRT, TROUSERS, HAIR = (220, 170, 140), (30, 60, 160), (40, 40, 60), (60, 40, 30)


def picture(number: int) -> Image.Image:
    """A drawn person who waves the left hand and lets the right one hang; nobody in the first frames."""
    image = Image.new("RGB", (480, 640), (180, 185, 190))
    draw = ImageDraw.Draw(image)

    def disc(x: float, y: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse((x - width, y - height, x + width, y + height), colour)

    def limb(colour: tuple[int, int, int], width: int, *points: tuple[float, float]) -> None:
        draw.line(points, colour, width, "curve")
        for x, y in points:
            disc(x, y, width / 2, width / 2, colour)

    draw.rectangle((0, 520, 480, 640), (130, 120, 110))
    if number < EMPTY:
        return image
    for side in (-1, 1):
        limb(TROUSERS, 38, (240 + side * 28, 340), (240 + side * 34, 440), (240 + side * 36, 540))
        disc(240 + side * 46, 560, 26, 12, (30, 30, 30))
    draw.polygon([(178, 170), (302, 170), (290, 350), (190, 350)], SHIRT)
    hand = (355 + 35 * np.sin(number / 6), 140.0)
    limb(SHIRT, 34, (178, 185), (155, 260))
    limb(SKIN, 24, (155, 260), (148, 335), (147, 350))
    limb(SHIRT, 34, (302, 185), (345, 225))
    limb(SKIN, 24, (345, 225), hand)
    disc(*hand, 16, 16, SKIN)
    limb(SKIN, 34, (240, 140), (240, 175))
    disc(240, 78, 41, 30, HAIR)
    disc(240, 108, 38, 48, SKIN)
    for side in (-1, 1):
        disc(240 + side * 14, 100, 6, 4, (255, 255, 255))
        disc(240 + side * 14, 100, 3, 3, HAIR)
        draw.line((240 + side * 8, 90, 240 + side * 22, 89), HAIR, 2)
        disc(240 + side * 39, 105, 6, 11, (205, 150, 120))
    draw.line((240, 104, 237, 118), (190, 140, 110), 2)
    draw.arc((227, 126, 253, 136), 0, 180, (170, 70, 70), 3)
    return image


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """The lines of the example on the film, and the recorded keypoints."""
    probe = [PYTHON, "-c", "import mediapipe, cv2; mediapipe.solutions"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("MediaPipe 0.10 is not installed; set EDGEHAR_CAMERA_PYTHON to an interpreter that has it")
    folder = tmp_path_factory.mktemp("film")
    images = [picture(number) for number in range(FRAMES)]
    images[0].save(folder / "film.gif", save_all=True, append_images=images[1:], duration=1000 * FRAME_S)
    done = subprocess.run(
        [PYTHON, str(EXAMPLE), str(folder / "film.gif"), "--record", str(folder / "ann_wave.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()], folder / "ann_wave.json"


def test_each_frame_is_a_line_with_its_time(filmed: tuple[list[dict[str, Any]], Path]) -> None:
    lines, _ = filmed
    assert {line["modality"] for line in lines} == {"skeleton"}
    # This kind of film joins equal pictures to one that lasts longer.
    pictures = [picture(number).tobytes() for number in range(FRAMES)]
    times_s = [FRAME_S * number for number in range(FRAMES) if number == 0 or pictures[number] != pictures[number - 1]]
    np.testing.assert_allclose([line["time_s"] for line in lines], times_s, atol=1e-3)
    assert times_s[1] == EMPTY * FRAME_S
    assert all(value is None for value in lines[0]["samples"][0])


def test_live_lines_equal_the_imported_recording(filmed: tuple[list[dict[str, Any]], Path], tmp_path: Path) -> None:
    lines, keypoints = filmed
    out = tmp_path / "mine"
    assert cli.main(["data", "import", str(keypoints), "--out", str(out), "--names", "{subject}_{label}"]) == 0
    dataset = recordings.load(out)
    (clip,) = dataset.clips
    spec = dataset.info.modality("skeleton")
    live = np.array([line["samples"][0] for line in lines], np.float64)[-len(clip.signals["skeleton"]) :]
    np.testing.assert_allclose(clip.signals["skeleton"], live, atol=2e-5)
    wrists = live.reshape(-1, len(spec.joints), 3)[
        :, [spec.joints.index(f"{side}_wrist") for side in ("left", "right")]
    ]
    assert (wrists[5:, 0, 1] > 0.2 + wrists[5:, 1, 1]).all()  # the waving hand is above the hanging one
    assert np.ptp(wrists[5:, 0, 0]) > 0.05
