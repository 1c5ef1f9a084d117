"""Features of the steps of one recording: all of a pre-cut clip, or any range of a continuous recording."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgehar.signals.clip import Bools, Clip, DatasetInfo, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.parts import ForwardSamples
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.resampling import ValidSamples, clip_span_s, gap_rule, stretch


@dataclass(frozen=True)
class Steps:
    """Consecutive steps of a recording.

    Attributes:
        features: modality -> (n, P, G, F) float32.
        valid: modality -> (n,) bool.
    """

    features: dict[str, Floats]
    valid: dict[str, Bools]


def clip_steps(clip: Clip, info: DatasetInfo, normalisation: Normalisation) -> tuple[Steps, float, float]:
    """All S steps of a pre-cut clip, and the start and end of its window in seconds.

    With timestamps these are the first and the last one; without, 0 and the length at the nominal rate.
    """
    steps = Steps({}, {})
    span_s = clip_span_s(clip)
    length_s = info.window.length_s
    for spec in info.modalities:
        frames, valid, frame_s = stretch(clip, spec, info.window.steps, span_s)
        steps.features[spec.name], steps.valid[spec.name] = prepare(frames, valid, spec, frame_s, normalisation)
        if spec.name in clip.signals:
            length_s = info.window.steps * (frame_s * spec.patch)
    return steps, *(span_s or (0.0, length_s))


class ContinuousSteps:
    """The steps of a continuous recording; any range of them gives the same numbers as all of them.

    Args:
        samples: modality -> the samples that count; their values are read range by range. Those of `ForwardSamples`
            need ranges in order.
        last_s: time of the last sample.
        info: the sensors and the window.
        normalisation: scales of the features.

    Attributes:
        count: number of complete steps.
    """

    def __init__(
        self,
        samples: Mapping[str, ValidSamples | ForwardSamples],
        last_s: float,
        info: DatasetInfo,
        normalisation: Normalisation,
    ) -> None:
        """Read nothing yet."""
        self._samples, self._info, self._normalisation = samples, info, normalisation
        self.count = int(last_s / info.window.step_s + 1e-9)

    @staticmethod
    def of(clip: Clip, info: DatasetInfo, normalisation: Normalisation) -> "ContinuousSteps":
        """The steps of a recording in memory, or in memory-mapped files."""
        last_s = max((float(times[-1]) for times in clip.times_s.values() if len(times)), default=0.0)
        samples = {
            name: ValidSamples.of(values, clip.valid[name], clip.times_s[name]) for name, values in clip.signals.items()
        }
        return ContinuousSteps(samples, last_s, info, normalisation)

    def between(self, first: int, end: int) -> Steps:
        """The steps from `first` to `end`, exclusive."""
        steps = Steps({}, {})
        for spec in self._info.modalities:
            steps.features[spec.name], steps.valid[spec.name] = self._of(spec, first, end)
        return steps

    def _of(self, spec: ModalitySpec, first: int, end: int) -> tuple[Floats, Bools]:
        frame_s = self._info.window.step_s / spec.patch
        before = int(first > 0)  # one frame more, for the motion of the first
        grid_s = np.arange(first * spec.patch - before, end * spec.patch, dtype=np.float64) * frame_s
        if spec.name in self._samples:
            frames, valid = self._samples[spec.name].at(grid_s, gap_rule(spec, frame_s))
        else:
            frames, valid = np.zeros((len(grid_s), spec.channels), np.float32), np.zeros(len(grid_s), bool)
        previous = (frames[0], bool(valid[0])) if before else None
        return prepare(frames[before:], valid[before:], spec, frame_s, self._normalisation, previous)
