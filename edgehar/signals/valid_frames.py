"""`edgehar.signals.preprocess.prepare` of valid frames, for all sensors of a step at once.

Everything that `prepare` does to frames that are valid and have no lost joint is linear: each feature is the difference
of two differences of numbers in these frames, over a scale. So one gather prepares any number of sensors.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation

Indices = NDArray[np.intp]


class ValidFrames:
    """Where the frames and the features of some sensors are, in one row of numbers per stream.

    A row holds all frames (the frames of a sensor, one after the other, then the next sensor's), the frame before of
    each sensor, a 0 and a 1. No sensor is a 2-D skeleton, whose size is not linear.

    Args:
        specs: the sensors.
        frames_s: seconds between two frames of each.
        steps: steps N of each row.
        normalisation: scales measured on the training subjects.

    Attributes:
        lengths: frames of each sensor, N * P.
        features_count: number of features.
        last: (C,) where the last frame of each sensor is.
        columns: name -> where its features are in a row of features.
    """

    def __init__(
        self, specs: Sequence[ModalitySpec], frames_s: Sequence[float], steps: int, normalisation: Normalisation
    ) -> None:
        """Compute the indices."""
        self.lengths = [steps * spec.patch for spec in specs]
        before = sum(length * spec.channels for length, spec in zip(self.lengths, specs, strict=True))
        self._zero = before + sum(spec.channels for spec in specs)
        self._one = self._zero + 1
        last, terms, scales = list[Indices](), list[Indices](), list[Floats]()
        self.columns, column, first = dict[str, slice](), 0, 0
        for spec, frame_s, length in zip(specs, frames_s, self.lengths, strict=True):
            end = first + length * spec.channels
            frames = np.arange(first, end).reshape(length, spec.channels)
            with_previous = np.concatenate([[np.arange(before, before + spec.channels)], frames])
            terms.append(self._terms_of(with_previous, spec))
            scales.append(self._scales_of(length, spec, frame_s, normalisation))
            last.append(frames[-1])
            self.columns[spec.name] = slice(column, column + terms[-1].shape[1])
            column, first, before = column + terms[-1].shape[1], end, before + spec.channels
        self.last = np.concatenate(last)
        self._terms = np.concatenate(terms, axis=1)  # (4, F)
        self.features_count = column
        self._interval, self._scale = np.concatenate(scales, axis=1)  # (F,) each

    def _terms_of(self, with_previous: Indices, spec: ModalitySpec) -> Indices:
        """Indices (4, F) of a, b, c, d in (a - c) - (b - d) for each feature, given those of the frames (L + 1, C)."""
        zero = np.full_like(with_previous, self._zero)
        origin = with_previous[:, spec.root_channels] if spec.is_skeleton else zero
        moving = origin.copy()
        if spec.is_skeleton:  # the root moves by itself
            moving[:, spec.root * spec.group : (spec.root + 1) * spec.group] = self._zero
        values = np.stack([with_previous[1:], zero[1:], origin[1:], zero[1:]])  # (4, L, C)
        if spec.lost_joints:
            root = values[:, :, spec.root * spec.group : (spec.root + 1) * spec.group]
            root[0], root[2] = self._one, self._zero
        motions = np.stack([with_previous[1:], with_previous[:-1], moving[1:], moving[:-1]])
        return np.concatenate([values, motions], axis=2).take(spec.feature_order, axis=2).reshape(4, -1)

    @staticmethod
    def _scales_of(length: int, spec: ModalitySpec, frame_s: float, normalisation: Normalisation) -> Floats:
        """Divisors (2, F) of each feature: the interval of a motion, or 1, and the scale."""
        value_scale, motion_scale = normalisation.rows(spec).copy()
        if spec.lost_joints:
            value_scale[spec.root * spec.group : (spec.root + 1) * spec.group] = 1
        one: Floats = np.ones(spec.channels, np.float32)
        interval = np.concatenate([one, np.float32(frame_s) * one])
        scales: Floats = np.stack([interval, np.concatenate([value_scale, motion_scale])])
        return np.tile(scales.take(spec.feature_order, axis=1), (1, length))

    def features(self, rows: Floats, out: Floats | None = None) -> Floats:
        """Features (..., F) of rows (..., X), to the bit those of `prepare`; `columns` of them are of a sensor.

        Args:
            rows: see the class; what follows in a row is not used.
            out: (..., F) to fill.
        """
        terms = rows.take(self._terms, axis=-1)  # (..., 4, F)
        terms = terms[..., :2, :] - terms[..., 2:, :]
        features = np.subtract(terms[..., 0, :], terms[..., 1, :], out=out)
        features /= self._interval
        features /= self._scale
        return features
