"""Types shared by all packages, and the glossary of shape letters.

B batch, S steps of a window, P frames in a patch, L = S * P frames of a window, G groups (joints or
triaxial sensors), F features per group and frame, C channels as recorded, T samples as recorded,
D width of a token, H attention heads, K classes, N windows or steps of a set.
Time always comes before channels: (T, C) from disk to model.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.modality import ModalitySpec, WindowSpec

Floats = NDArray[np.float32]
Times = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNKNOWN = "unknown"
"""Label of a prediction whose score is below the package's threshold."""


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
        subject: the person recorded; "ann+bob" for two people in one recording.
        trial: the repetition.
        signals: modality -> (T, C) float32; modalities that were not recorded are absent.
        valid: modality -> (T,) bool, True where the sample is usable.
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


def arrays_of(clip: Clip) -> Iterator[tuple[str, NDArray[Any]]]:
    """Modality and array of all samples, then all validity, then all times, sorted by modality."""
    for part in (clip.signals, clip.valid, clip.times_s):
        yield from sorted(part.items())


@dataclass(frozen=True)
class DatasetInfo:
    """Declaration of a data set: sensors, labels, window, citation, licence and limitations."""

    name: str
    modalities: tuple[ModalitySpec, ...]
    labels: tuple[str, ...]
    window: WindowSpec
    citation: str = ""
    licence: str = ""
    caveats: tuple[str, ...] = ()

    def modality(self, name: str) -> ModalitySpec:
        """The declaration of a modality; raises DataError if the data set has none of that name."""
        for spec in self.modalities:
            if spec.name == name:
                return spec
        names = ", ".join(spec.name for spec in self.modalities)
        raise DataError(f"modality {name!r}: expected one of {self.name}: {names}")

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        return asdict(self) | {"modalities": [spec.to_json() for spec in self.modalities]}

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "DatasetInfo":
        """A declaration from its JSON form; raises DataError, KeyError or TypeError for another structure."""
        return DatasetInfo(
            entry["name"],
            tuple(ModalitySpec.from_json(spec) for spec in entry["modalities"]),
            tuple(entry["labels"]),
            WindowSpec(**entry["window"]),
            entry["citation"],
            entry["licence"],
            tuple(entry["caveats"]),
        )


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    info: DatasetInfo
    clips: tuple[Clip, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects, in natural order (s2 before s10)."""
        return tuple(sorted({clip.subject for clip in self.clips}, key=natural_key))


@dataclass(frozen=True)
class Prediction:
    """The recogniser's output for one window.

    Attributes:
        label: name of the most probable class (a stream with a margin may keep the previous one), or "unknown" if
            the package stores a threshold and the score is below it; `probabilities` then still show that class.
        score: probability of that class.
        probabilities: (K,) float32, in the order of the package's labels.
        start_s: start of the window in seconds.
        end_s: end of the window in seconds.
    """

    label: str
    score: float
    probabilities: Floats
    start_s: float
    end_s: float


def all_true(flags: Bools) -> bool:
    """Whether all flags are True; faster than `ndarray.all` for short arrays."""
    return bool(np.count_nonzero(flags) == flags.size)


def true_mask(count: int) -> Bools:
    """An array (count,) of True; faster than `numpy.ones`."""
    flags: Bools = np.empty(count, bool)
    flags.fill(True)
    return flags


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that compares digits by value: "s2" < "s10"."""
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
    return (*parts, (0, text))  # "s1" and "s01" in one order, too
