"""One sensor's samples in one recording, as the functions of this folder take them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.problem import Problem
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.sampling_rate import sampling_rate_hz

MAX_ROWS = 20_000
"""Statistics of a longer recording are measured on so many samples, in blocks spread over it."""
BLOCK_ROWS = 500
MIN_INTERVALS = 4


@dataclass(frozen=True)
class Recorded:
    """Samples of a sensor in one recording.

    Attributes:
        file: path, as shown in messages.
        recording: its name.
        subject: the person.
        label: index of the label, or None.
        values: (T, C).
        valid: (T,).
        times_s: (T,) seconds as given in the file, or None.
    """

    file: str
    recording: str
    subject: str
    label: int | None
    values: Floats
    valid: Bools
    times_s: Times | None

    @cached_property
    def blocks(self) -> Floats:
        """Valid samples (N, C), at most `MAX_ROWS`, in blocks of consecutive ones."""
        values, valid = self.values, self.valid
        if len(values) > MAX_ROWS:
            starts = np.linspace(0, len(values) - BLOCK_ROWS, MAX_ROWS // BLOCK_ROWS).astype(np.intp)
            rows = (starts[:, None] + np.arange(BLOCK_ROWS)).reshape(-1)
            values, valid = values[rows], valid[rows]
        return values if valid.all() else values[valid]  # no copy of a short recording

    @property
    def is_constant(self) -> bool:
        """Whether no channel ever changes."""
        return len(self.blocks) == 0 or not (self.blocks != self.blocks[0]).any()

    @cached_property
    def true_rate_hz(self) -> float | None:
        """Rate of the timestamps outside of gaps; None without timestamps or for fewer than five samples."""
        if self.times_s is None or (np.diff(self.times_s) > 0).sum() < MIN_INTERVALS:
            return None
        return sampling_rate_hz(self.times_s)

    @property
    def jitter(self) -> float:
        """Standard deviation of the intervals outside of gaps relative to their mean; 0 without timestamps."""
        interval_s = np.empty(0) if self.times_s is None else np.diff(self.times_s)
        if len(interval_s) < MIN_INTERVALS:
            return 0.0
        usual_s = interval_s[interval_s <= 3 * np.sort(interval_s)[int(0.9 * len(interval_s))]]
        return float(usual_s.std() / max(usual_s.mean(), 1e-9))

    def warning(self, message: str) -> Problem:
        """A warning about this file."""
        return Problem(self.file, 0, message, is_warning=True)


def channels_text(spec: ModalitySpec, channels: Iterable[int]) -> str:
    """Channels by number, and by name if known: "channels 7 to 9 (mx, my, mz)"."""
    numbers = sorted(channels)
    span = numbers == list(range(numbers[0], numbers[-1] + 1))
    shown = f"{numbers[0] + 1} to {numbers[-1] + 1}" if span else ", ".join(str(number + 1) for number in numbers)
    names = f" ({', '.join(spec.columns[number] for number in numbers)})" if spec.columns else ""
    return f"channels {shown}{names}" if len(numbers) > 1 else f"channel {numbers[0] + 1}{names}"


def group_text(spec: ModalitySpec, group: int) -> str:
    """The channels of a group."""
    return channels_text(spec, range(group * spec.group, (group + 1) * spec.group))


def of_group(values: Floats, spec: ModalitySpec, group: int) -> NDArray[np.float64]:
    """One group's channels (T, group) of the samples (T, C)."""
    return values[:, group * spec.group : (group + 1) * spec.group].astype(np.float64)


def median(values: Iterable[float]) -> float:
    """The middle one of the numbers in order (the upper one of an even number)."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
