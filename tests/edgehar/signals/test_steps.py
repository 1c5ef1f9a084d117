"""A recording cut in blocks has the windows of the whole, bit for bit."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.signals.clip import Clip, DatasetInfo, Segment
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import cut, cut_clip, join

SPECS = (
    ModalitySpec("skeleton", 60, "m", 30.0, 3, joints=KINECT_JOINTS, parents=KINECT_PARENTS, lost_joints=True),
    ModalitySpec("watch", 6, "m/s2", 50.0, 5),
    ModalitySpec("heart", 1, "bpm", 1.0, 1, group=1),
)


def recording(seed: int, seconds: float) -> Clip:
    """Samples with jitter, repeated times, pauses, lost samples and joints, of a random subset of the sensors."""
    generator = np.random.default_rng(seed)
    clip = Clip("r", "p1", "1", {}, {}, segments=(Segment(0.2, 1.5, 0), Segment(2, seconds, 1)))
    for spec in SPECS:
        count = int(seconds * spec.rate_hz) + 1
        times_s = np.sort(np.arange(count) / spec.rate_hz + generator.uniform(0, 1.2, count) / spec.rate_hz)
        repeated = generator.random(count) < 0.1
        times_s[1:][repeated[1:]] = times_s[:-1][repeated[1:]]
        kept = (times_s < 1) | (times_s > 1 + generator.uniform(0, 1.5)) | (generator.random() < 0.5)
        if kept.any() and generator.random() < 0.9:
            values = generator.standard_normal((count, spec.channels)).astype(np.float32)
            if spec.is_skeleton and generator.random() < 0.5:
                lost = np.repeat(generator.random((count, spec.groups)) < 0.05, spec.group, axis=1)
                values[lost] = np.nan
            clip.signals[spec.name], clip.times_s[spec.name] = values[kept], times_s[kept]
            clip.valid[spec.name] = generator.random(int(kept.sum())) < 0.9
    return clip


@settings(max_examples=60)
@given(st.integers(0, 2**20), st.floats(1.7, 8), st.integers(1, 7), st.integers(1, 9))
def test_blocks_equal_the_whole(seed: int, seconds: float, most: int, hop: int) -> None:
    clip, info = recording(seed, seconds), DatasetInfo("made", SPECS, ("a", "b"), WindowSpec("sliding", 6, 0.1, hop))
    identity = Normalisation.identity(SPECS)
    blocks = list(cut_clip(clip, info, identity, most))
    if not clip.signals:
        assert not blocks
        return
    assert all(len(block) <= most for block in blocks)
    found, expected = join(blocks), cut([clip], info, identity)
    for name in expected.features:
        assert found.features[name].tobytes() == expected.features[name].tobytes()
        assert found.valid[name].tobytes() == expected.valid[name].tobytes()
    for one, other in (
        (found.label, expected.label),
        (found.start_s, expected.start_s),
        (found.end_s, expected.end_s),
        (found.clip, expected.clip),
    ):
        np.testing.assert_array_equal(one, other)


def test_a_recording_shorter_than_a_window_has_no_blocks() -> None:
    info = DatasetInfo("made", SPECS, ("a", "b"), WindowSpec("sliding", 100, 0.1))
    clip = replace(recording(0, 3.0), segments=())
    assert not list(cut_clip(clip, info, Normalisation.identity(SPECS), 4))
