"""BVH files: rates of their own, and frame times and counts that cannot be right."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.edgehar.data.importing.conftest import Importer

SKELETON = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Leg
  {
    OFFSET 0 -90 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -80 0
    }
  }
}
"""


def motion(frames: int, frame_time: str, swings_hz: float = 0.0) -> str:
    """A file whose leg swings about x."""
    times_s = np.arange(frames) * float(frame_time)
    angles = 20 * np.sin(2 * np.pi * swings_hz * times_s)
    rows = "".join(f"0 95 0 0 0 0 0 {angle:.5f} 0\n" for angle in angles)
    return f"{SKELETON}MOTION\nFrames: {frames}\nFrame Time: {frame_time}\n{rows}"


@pytest.mark.parametrize("kind", ["continuous", "clips"])
def test_motion_keeps_its_speed_among_files_of_another_rate(kind: str, imported: Importer) -> None:
    slow, fast = motion(150, "0.0333333", 1.0), motion(600, "0.00833333", 1.0)
    files: dict[str, str | bytes] = {"ann.bvh": slow, "bob.bvh": fast, "cat.bvh": slow}
    found = imported(files, "--kind", kind)
    rate_hz = found.dataset.info.modality("skeleton").rate_hz
    assert rate_hz == 30
    for name, frames in (("ann", 150), ("bob", 600), ("cat", 150)):
        clip = found.clip(name)
        own = clip.signals["skeleton"]
        assert len(own) == frames
        times_s = clip.times_s.get("skeleton", np.arange(frames) / rate_hz)
        assert times_s[-1] == pytest.approx(5 * (frames - 1) / frames, abs=0.01)
        end = own.reshape(frames, 3, 3)[:, 2, 2]
        np.testing.assert_allclose(end, -0.8 * np.sin(np.deg2rad(20 * np.sin(2 * np.pi * times_s))), atol=0.01)


@pytest.mark.parametrize("frame_time", ["0", "-0.01", "33.3", "nan", "inf"])
def test_a_frame_time_that_cannot_be_one_is_named(frame_time: str, refused: Callable[..., str]) -> None:
    message = refused({"a.bvh": motion(80, "0.025").replace("Time: 0.025", f"Time: {frame_time}")})
    assert f"a.bvh: Frame Time: {frame_time}; expected seconds from 0.0001 to 1" in message


def test_other_numbers_of_frames_are_named(refused: Callable[..., str]) -> None:
    text = motion(80, "0.025")
    message = refused({"a.bvh": text.replace("Frames: 80", "Frames: 20"), "b.bvh": text[:-30]})
    assert "a.bvh: 720 values for 20 frames of 9 channels; expected 180; correct Frames; left out" in message
    assert "b.bvh: " in message
    assert "expected 720; cut off; left out" in message
