"""The types that every part speaks, and the glossary of shape letters.

B batch, S steps of a window, P frames in a patch, L = S * P frames of a window, G groups (joints or
triaxial sensors), F features per group and frame, C channels as recorded, T samples as recorded,
D width of a token, H attention heads, K classes, N windows or steps of a whole set.
Time always comes before channels: (T, C) from disk to model.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.modality import ModalitySpec, WindowSpec

Floats = NDArray[np.float32]
Times = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNKNOWN = "unknown"
"""The label of a prediction whose score is below the package's threshold."""


@dataclass(frozen=True)
class Segment:
    """One labelled span of a continuous recording."""

    start_s: float
    end_s: float
    label: int


@dataclass(frozen=True)
class Clip:
    """One recording of one subject: a pre-cut clip, or a continuous recording with timestamps.

    Attributes:
        name: unique within the data set.
        subject: who was recorded.
        trial: which repetition.
        signals: modality -> (T, C) float32; a modality that was not recorded is left out.
        valid: modality -> (T,) bool, True where the sample can be trusted.
        label: index into the data set's labels, or None (continuous or unlabelled).
        times_s: modality -> (T,) float64 seconds from the recording's start; empty for clips without timestamps.
        segments: labelled spans of a continuous recording.
    """

    name: str
    subject: str
    trial: str
    signals: dict[str, Floats]
    valid: dict[str, Bools]
    label: int | None = None
    times_s: dict[str, Times] = field(default_factory=lambda: dict[str, Times]())
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set promises: sensors, labels, window, and whom to cite."""

    name: str
    modalities: tuple[ModalitySpec, ...]
    labels: tuple[str, ...]
    window: WindowSpec
    citation: str = ""
    licence: str = ""
    caveats: tuple[str, ...] = ()

    def modality(self, name: str) -> ModalitySpec:
        """The declaration of one modality; DataError if the data set has none of that name."""
        for spec in self.modalities:
            if spec.name == name:
                return spec
        known = ", ".join(spec.name for spec in self.modalities)
        raise DataError(f"modality {name!r}: {self.name} has {known}; choose among those")


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    info: DatasetInfo
    clips: tuple[Clip, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject, in natural order (s2 before s10)."""
        return tuple(sorted({clip.subject for clip in self.clips}, key=natural_key))


@dataclass(frozen=True)
class Prediction:
    """What the recogniser says of one window.

    Attributes:
        label: name of the most probable class (a stream with a margin may hold the one before), or "unknown" where
            the package stores a threshold and the score is below it; `probabilities` still tell which class that was.
        score: probability of that class.
        probabilities: (K,) float32, in the order of the package's labels.
        start_s: start of the window in seconds.
        end_s: its end.
    """

    label: str
    score: float
    probabilities: Floats
    start_s: float
    end_s: float


def every(flags: Bools) -> bool:
    """Whether all are True; on few flags several times as fast as numpy's own method."""
    return bool(np.count_nonzero(flags) == flags.size)


def trues(count: int) -> Bools:
    """(count,) True; several times as fast as numpy's own function."""
    flags: Bools = np.empty(count, bool)
    flags.fill(True)
    return flags


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that orders digits by value: "s2" < "s10"."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for char in text + "\0":
        if char.isdigit() and char.isascii():
            digits += char
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, char))
    return tuple(parts)
