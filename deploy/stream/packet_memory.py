"""Recognises a packet of samples with one timestamp that arrives again."""

from collections import deque

import numpy as np

from edgehar.deploy.samples import Rows, is_increasing
from edgehar.signals.clip import Times

REMEMBERED_PACKETS = 32
"""Packets of samples with one timestamp in which a repeated packet is looked for."""


class PacketMemory:
    """The last packets of one sensor that had several different samples with one timestamp."""

    def __init__(self) -> None:
        """Start without packets."""
        self._packets: deque[tuple[Rows, Times]] | None = None  # most sensors never send such a packet

    def is_repeated(self, rows: Rows, times_s: Times) -> bool:
        """Whether a packet (n, C) of different samples with one timestamp equals an earlier one; remembers it."""
        if is_increasing(times_s):
            return False
        same_time = times_s[1:] == times_s[:-1]
        if not (same_time.any() and (rows[1:][same_time] != rows[:-1][same_time]).any()):
            return False  # the samples show by themselves whether they are repeated
        if self._packets is None:
            self._packets = deque(maxlen=REMEMBERED_PACKETS)
        for old_rows, old_times_s in self._packets:
            if np.array_equal(times_s, old_times_s) and np.array_equal(rows, old_rows, equal_nan=True):
                return True
        self._packets.append((rows, times_s))
        return False
