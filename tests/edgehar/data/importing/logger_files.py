"""Text of the files that phone loggers write, for known samples."""

import numpy as np

from edgehar.data.importing.takes import Numbers

START_NS = 1_714_550_400_000_000_000
"""1 May 2024, 08:00 UTC."""


def samples(count: int = 200, rate_hz: float = 50.0, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Times (T,) in seconds and values (T, 3)."""
    values = np.random.default_rng(seed).normal(0, 3, (count, 3)).round(4) + np.array([0, 0, 9.8])
    return np.arange(count) / rate_hz, values.round(4)


def sensor_logger(times_s: Numbers, values: Numbers) -> str:
    """A file of Sensor Logger: columns z, y, x."""
    rows = [
        f"{START_NS + round(t * 1e9)},{t:.9f},{z},{y},{x}"
        for t, (x, y, z) in zip(times_s, values.tolist(), strict=True)
    ]
    return "\n".join(["time,seconds_elapsed,z,y,x", *rows]) + "\n"


def csv_text(header: str, times: list[object], values: Numbers, separator: str = ",", decimal: str = ".") -> str:
    """A header, then a time and the values in each row."""
    rows = [
        separator.join([str(t), *(f"{value:.4f}".replace(".", decimal) for value in row)])
        for t, row in zip(times, values.tolist(), strict=True)
    ]
    return "\n".join([header, *rows]) + "\n"
