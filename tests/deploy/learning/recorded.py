"""Recordings in files, and the commands on them."""

from pathlib import Path

import numpy as np

from tests.deploy.streams import Recording, steady


def recording(seed: int, seconds: float = 2.0) -> Recording:
    """Both sensors, moving in a way of their own for each ten seeds."""
    base, other = steady(seconds, seed // 10 + 100), steady(seconds, seed)
    signals = {name: 3 * values + other.signals[name] / 4 for name, values in base.signals.items()}
    return Recording(signals, base.times_s)


def words_of(folder: Path, recorded: Recording, name: str = "one") -> str:
    """Write a recording to .npy files; returns the word of --input."""
    words: list[str] = []
    for sensor, values in recorded.signals.items():
        path = folder / f"{name}-{sensor}.npy"
        np.save(path, np.asarray(values, np.float32))
        words.append(f"{sensor}={path}")
    return ",".join(words)
