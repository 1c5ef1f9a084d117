"""Settings that the streams of several people can share, checked once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.checks import as_name_tuple
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.samples import (
    Rows,
    TimeBounds,
    are_finite,
    are_rows,
    are_seconds,
    are_usable,
    are_usable_numbers,
    as_rows,
    as_seconds,
    time_bounds,
)
from edgehar.deploy.stream.options import check_numbers, check_times
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Times
from edgehar.signals.modality import ModalitySpec

MAX_TIME_S = 1e10
"""Seconds (300 years) up to which float64 still resolves every sample; a later timestamp is an error."""


Push = tuple[str | None, str, Any, Any]
"""Person, sensor, samples and times; see `edgehar.deploy.stream.fleet.Fleet.push`."""


def _is_push(push: object) -> bool:
    return isinstance(push, tuple | list) and len(cast("Sequence[object]", push)) == 4


class Chunk(NamedTuple):
    """Checked samples of one sensor.

    Attributes:
        modality: the sensor.
        rows: (n, C); the caller's own array, if it is one of numbers.
        times_s: their n times, with the sensor's offset.
        is_usable: whether all values are.
    """

    modality: str
    rows: Rows
    times_s: list[float]
    is_usable: bool

    def copied(self) -> "Chunk":
        """The chunk with rows of its own, float32 if all values are usable: the caller may change theirs."""
        return self._replace(rows=self.rows.astype(np.float32 if self.is_usable else np.float64))


def since_start(start_s: float | None, times_s: list[float], modality: str) -> tuple[float, list[float], TimeBounds]:
    """A stream's start, the first of these times if it is None; the times since then, and their bounds.

    Raises DataError for a time too far from the start.
    """
    start_s = times_s[0] if start_s is None else start_s
    relative_s = [time_s - start_s for time_s in times_s]
    first_s, last_s, _ = bounds = time_bounds(relative_s)
    if first_s < -MAX_TIME_S or last_s > MAX_TIME_S or abs(start_s) > MAX_TIME_S:
        raise DataError(
            f"{modality}: timestamp {max(-first_s, last_s):g} s from the stream's start at {start_s:g} s; expected "
            f"seconds within {MAX_TIME_S:g} of it and of 0; check the clock's unit, and call reset() before each "
            "recording"
        )
    return start_s, relative_s, bounds


@dataclass(frozen=True)
class StreamSettings:
    """Settings of a stream; see `edgehar.deploy.stream.recognizer.StreamRecognizer`.

    Attributes:
        specs: connected modality -> its declaration, in the package's order.
    """

    recognizer: Recognizer
    modalities: Iterable[str] = ()
    smoothing: float = 0.0
    margin: float = 0.0
    lateness_s: float = 0.5
    reorder_s: float = 0.0
    start_s: float | None = None
    offsets_s: dict[str, float] | None = None
    specs: dict[str, ModalitySpec] = field(init=False)

    def __post_init__(self) -> None:
        """Raise ConfigError or DataError for an invalid argument."""
        check_numbers(
            smoothing=self.smoothing, margin=self.margin, lateness_s=self.lateness_s, reorder_s=self.reorder_s
        )
        check_times(self.start_s, self.offsets_s)
        declared = self.recognizer.manifest.modalities
        connected = as_name_tuple(self.modalities, "modalities") or tuple(spec.name for spec in declared)
        offsets_s = dict(self.offsets_s or {})
        self.recognizer.check_modalities((*connected, *offsets_s))
        object.__setattr__(self, "offsets_s", offsets_s)
        object.__setattr__(self, "specs", {spec.name: spec for spec in declared if spec.name in connected})

    def checked(self, modality: str, samples: Any, times_s: Any) -> Chunk:
        """The arguments of a push; raises DataError or ConfigError as `StreamRecognizer.push`."""
        spec = self.specs.get(modality) if isinstance(modality, str) else None
        if spec is None:
            self.recognizer.check_modalities([modality])
            raise ConfigError(f"modality {modality}: the stream was opened for {', '.join(self.specs)}; add it there")
        given: NDArray[Any] = samples
        if are_rows(samples, spec):
            is_usable = are_usable(given)
        else:  # as of a line
            given = as_rows(samples, spec)
            is_usable = are_usable_numbers(given)
        times = as_seconds(times_s, len(given), modality)
        if self.offsets_s and modality in self.offsets_s:
            offset_s = self.offsets_s[modality]
            times = [time_s + offset_s for time_s in times]
        return Chunk(modality, given, times, is_usable)

    def checked_all(self, pushes: Sequence[Push]) -> Iterator[Chunk]:
        """`checked` of each, in one pass if all are usable arrays; an error is raised in its turn."""
        seconds = None if self.offsets_s or not pushes else self._seconds_of_usable(pushes)
        if seconds is None:
            for push in pushes:
                if not _is_push(push):
                    raise DataError(f"push {push!r:.80}: expected (person, modality, samples, times_s)")
                yield self.checked(*push[1:])
            return
        first = 0
        for _, modality, samples, times_s in pushes:
            end = first + len(times_s)
            yield Chunk(modality, samples, seconds[first:end], True)
            first = end

    def _seconds_of_usable(self, pushes: Sequence[Push]) -> list[float] | None:
        """The times of all pushes if they are arrays that need no conversion, with usable values; else None."""
        for push in pushes:
            if not _is_push(push):
                return None
            _, modality, samples, times_s = push
            spec = self.specs.get(modality) if isinstance(modality, str) else None
            if spec is None or not are_rows(samples, spec) or not are_seconds(times_s, len(samples)):
                return None
        values = np.concatenate([push[2].reshape(-1) for push in pushes])
        times_s: Times = np.concatenate([push[3] for push in pushes])
        return times_s.tolist() if are_usable(values) and are_finite(times_s) else None
