"""The last seconds of one sensor of one person: what is drawn, and what an explanation needs."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.explanation.result import channel_name, group_name
from edgehar.signals.modality import ModalitySpec

TRACE_HZ = 25.0
"""At most so many samples a second are drawn."""
TRACE_S = 10.0
MAX_GROUPS = 4
"""Groups of a sensor that are drawn: triaxial sensors, one below the other."""
MAX_RATE_FACTOR = 4
"""Kept samples, relative to the nominal rate: bounds memory."""

Rows = NDArray[np.float64]
Times = NDArray[np.float64]


def _numbers(values: NDArray[Any], digits: int) -> list[Any]:
    """Nested lists for JSON, rounded; None where a value is not finite."""
    return np.where(np.isfinite(values), np.round(values, digits), np.array(None, object)).tolist()


def description(spec: ModalitySpec) -> dict[str, Any]:
    """What the page needs to know of a sensor before its samples."""
    if spec.is_skeleton:
        plots = [{"name": "mean speed of the joints", "unit": f"{spec.unit}/s", "channels": ["speed"]}]
    else:
        plots = [
            {
                "name": group_name(spec, group),
                "unit": spec.unit,
                "channels": [channel_name(spec, group, channel) for channel in range(spec.group)],
            }
            for group in range(min(spec.groups, MAX_GROUPS))
        ]
    return {
        "name": spec.name,
        "unit": spec.unit,
        "rate_hz": spec.rate_hz,
        "plots": plots,
        "hidden_groups": 0 if spec.is_skeleton else max(spec.groups - MAX_GROUPS, 0),
        "joints": list(spec.joints),
        "bones": [[joint, parent] for joint, parent in enumerate(spec.parents) if joint != parent],
    }


@dataclass
class SensorTrack:
    """Samples of the last `keep_s` seconds.

    Attributes:
        spec: the sensor.
        keep_s: how long samples are kept.
    """

    spec: ModalitySpec
    keep_s: float
    _chunks: deque[tuple[Times, Rows]] = field(default_factory=lambda: deque[tuple[Times, Rows]]())
    _count: int = 0
    _newest_s: float = -np.inf
    _across: int | None = None

    @property
    def most(self) -> int:
        """The largest number of samples that are kept, but for the last chunk."""
        return int(MAX_RATE_FACTOR * self.keep_s * self.spec.rate_hz) + 1

    def add(self, times_s: Times, rows: Rows) -> None:
        """Add samples (n,) and (n, C); those of a clock that was set back replace all."""
        if len(self._chunks) and times_s[-1] < self._newest_s - self.keep_s:
            self._chunks.clear()
            self._count, self._newest_s = 0, -np.inf
        self._chunks.append((times_s, rows))
        self._count += len(rows)
        self._newest_s = max(self._newest_s, float(times_s.max()))
        while len(self._chunks) > 1 and (
            self._count - len(self._chunks[0][0]) > self.most or self._chunks[0][0][-1] < self._newest_s - self.keep_s
        ):
            self._count -= len(self._chunks.popleft()[0])

    def between(self, start_s: float, end_s: float) -> tuple[Times, Rows]:
        """The kept samples of a span, in order of time."""
        if not self._chunks:
            return np.empty(0), np.empty((0, self.spec.channels))
        chunks = [chunk for chunk in self._chunks if chunk[0][-1] >= start_s] or [self._chunks[-1]]
        times_s = np.concatenate([times for times, _ in chunks])
        rows = np.concatenate([rows for _, rows in chunks])
        order = np.argsort(times_s, kind="stable")
        order = order[(times_s[order] >= start_s) & (times_s[order] <= end_s)]
        return times_s[order], rows[order]

    def drawn(self, after_s: float) -> dict[str, Any]:
        """The samples to draw that are newer than a time, and the newest pose of a skeleton."""
        times_s, rows = self.between(max(after_s - 2 / TRACE_HZ, self._newest_s - TRACE_S), np.inf)
        traces = self._speeds(times_s, rows) if self.spec.is_skeleton else rows[:, : self.spec.group * MAX_GROUPS]
        ticks = np.floor(times_s * TRACE_HZ)
        chosen = (times_s > after_s) & (np.diff(ticks, prepend=np.nan) != 0)
        found = {"t": _numbers(times_s[chosen], 3), "v": _numbers(traces[chosen], 3)}
        if self.spec.is_skeleton and len(rows):
            found["pose"] = _numbers(self._pose(rows[-1]), 3)
        return found

    @property
    def newest_s(self) -> float:
        """Time of the newest sample; minus infinity before the first one."""
        return self._newest_s

    def _speeds(self, times_s: Times, rows: Rows) -> Rows:
        """Mean speed of the joints (n, 1), NaN for the first sample."""
        joints = rows.reshape(len(rows), self.spec.groups, self.spec.group)
        paths = np.sqrt(np.square(np.diff(joints, axis=0)).sum(axis=2))  # (n - 1, G)
        known = np.isfinite(paths)
        means = np.where(known, paths, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
        return np.concatenate([[np.nan], means / np.maximum(np.diff(times_s), 1e-6)])[: len(rows), None]

    def _pose(self, row: Rows) -> Rows:
        """Joints seen from the side from which they spread most at first: (G, 2), to the right and up."""
        spec = self.spec
        joints = row.reshape(-1, spec.group)
        sideways = [axis for axis in range(spec.group) if axis != spec.vertical]
        if self._across is None and np.isfinite(joints).all():
            spread = [float(np.ptp(joints[:, axis])) for axis in sideways]
            self._across = sideways[int(np.argmax(spread))]
        across = joints[:, sideways[0] if self._across is None else self._across]
        return np.stack([across, joints[:, spec.vertical] * (-1 if spec.is_picture else 1)], axis=1)
