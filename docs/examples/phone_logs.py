"""Write recordings of simulated people as the phone app Sensor Logger exports them: a folder of CSV files each.

    python docs/examples/phone_logs.py phone

Six people with the phone in a trouser pocket stand, walk and jog, twice each: 36 recordings of 12 seconds. Use it to
try edgehar without a phone; with one, export your own recordings to the folder instead.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.simulation.dataset import SimulatorConfig, simulate

GRAVITY_MPS2 = 9.80665
START_NS = 1_714_550_400_000_000_000  # 1 May 2024, 08:00 UTC
METADATA = {"version": 3, "device name": "phone", "platform": "android", "sensors": "TotalAcceleration|Gyroscope"}


def write_sensor(path: Path, values: NDArray[np.float64], random: np.random.Generator) -> None:
    """A file of Sensor Logger, columns z, y, x at about 50 Hz; the app starts its sensors one after the other."""
    start_s = random.uniform(0.01, 0.1)
    elapsed_s = start_s + np.arange(len(values)) / 50 + random.normal(0, 0.0005, len(values))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "seconds_elapsed", "z", "y", "x"))
        for time_s, (x, y, z) in zip(elapsed_s.tolist(), values.tolist(), strict=True):
            nanoseconds = START_NS + round(time_s * 1e9)
            writer.writerow((nanoseconds, f"{time_s:.9f}", f"{z:.7f}", f"{y:.7f}", f"{x:.7f}"))


def main() -> None:
    """Write all recordings."""
    parser = argparse.ArgumentParser(description="Write a phone logger's export of simulated people.")
    parser.add_argument("out", type=Path, help="new folder")
    out: Path = parser.parse_args().out
    config = SimulatorConfig(subjects=6, trials=2, seconds=12, activities=("stand", "walk", "jog"))
    random = np.random.default_rng(0)
    for clip in simulate(config).clips:
        folder = out / f"{clip.subject}_{config.labels[clip.label or 0]}_{clip.trial[1:]}-2024-05-01_08-00-00"
        folder.mkdir(parents=True)
        thigh = clip.signals["thigh"][::2].astype(np.float64)  # (T, 6) in g and deg/s, 100 Hz -> 50 Hz
        write_sensor(folder / "TotalAcceleration.csv", thigh[:, :3] * GRAVITY_MPS2, random)
        write_sensor(folder / "Gyroscope.csv", np.deg2rad(thigh[:, 3:]), random)
        with (folder / "Metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, METADATA)
            writer.writeheader()
            writer.writerow(METADATA)


if __name__ == "__main__":
    main()
