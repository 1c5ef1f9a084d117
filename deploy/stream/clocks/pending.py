"""Samples of one sensor that are buffered until a jump of its clock is resolved."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgehar.deploy.samples import Rows
from edgehar.signals.clip import Times


class SampleBlock(NamedTuple):
    """Consecutive samples of one sensor.

    Attributes:
        rows: (n, C).
        times_s: (n,) seconds.
    """

    rows: Rows
    times_s: Times

    def last(self) -> "SampleBlock":
        """The last sample."""
        return SampleBlock(self.rows[-1:], self.times_s[-1:])

    def between(self, first: int, end: int) -> "SampleBlock":
        """Samples `first` to `end`, exclusive."""
        return SampleBlock(self.rows[first:end], self.times_s[first:end])

    def shifted(self, seconds: float) -> "SampleBlock":
        """The same samples with timestamps shifted by `seconds`."""
        return self._replace(times_s=self.times_s + seconds)


@dataclass
class PendingSamples:
    """Samples buffered since a jump, until the jump is resolved.

    Attributes:
        blocks: the samples, on the sensor's own clock.
        others_s: newest timestamp of the other sensors at the jump, on the stream's clock.
        newest_s: newest timestamp buffered.
        count: number of samples.
    """

    blocks: list[SampleBlock]
    others_s: float
    newest_s: float = -np.inf
    count: int = 0

    @staticmethod
    def of(block: SampleBlock, others_s: float) -> "PendingSamples":
        """A buffer that starts with this block."""
        pending = PendingSamples([], others_s)
        pending.add(block)
        return pending

    def add(self, block: SampleBlock) -> None:
        """Append samples."""
        self.blocks.append(block)
        self.newest_s = max(self.newest_s, float(block.times_s.max()))
        self.count += len(block.times_s)

    @property
    def first_s(self) -> float:
        """Timestamp of the first sample."""
        return float(self.blocks[0].times_s[0])

    def span_s(self) -> float:
        """Seconds that the sensor has advanced since the jump."""
        return self.newest_s - self.first_s

    def advance_s(self, others_s: float) -> float:
        """Seconds that the other sensors have advanced since the jump."""
        return others_s - self.others_s if np.isfinite(self.others_s) else 0.0
