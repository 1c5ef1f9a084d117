"""A small folder of recordings without a fault, which tests perturb: a watch, a strap and a skeleton of four people.

The watch's gyroscope measures the rotation that turns gravity in its accelerometer, as real ones do.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

SECONDS = 6.0
GRAVITY_MPS2 = 9.81
PEOPLE = ("ann", "bob", "cid", "dan")
LABELS = ("walk", "rest")
JOINTS = (
    "hip",
    "spine",
    "neck",
    "head",
    "left_hand",
    "right_hand",
    "left_knee",
    "right_knee",
    "left_foot",
    "right_foot",
)
PARENTS = (0, 0, 1, 2, 2, 2, 0, 0, 6, 7)
PLACES = (
    (0, 1, 2.5), (0, 1.3, 2.5), (0, 1.55, 2.5), (0, 1.7, 2.5), (-0.4, 1, 2.4), (0.4, 1, 2.4), (-0.1, 0.55, 2.5),
    (0.1, 0.55, 2.5), (-0.1, 0.1, 2.5), (0.1, 0.1, 2.5),
)  # fmt: skip
RATES = {"watch": 25.0, "strap": 20.0, "body": 20.0}
COLUMNS = {
    "watch": ("ax", "ay", "az", "gx", "gy", "gz"),
    "body": tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz"),
}
HEADER: dict[str, Any] = {
    "format": "edgehar-recordings",
    "format_version": 1,
    "name": "good",
    "kind": "continuous",
    "window": {"steps": 8, "step_s": 0.2, "hop": 4},
    "modalities": [
        {"name": "watch", "channels": 6, "unit": "m/s2 and rad/s", "rate_hz": RATES["watch"]},
        {"name": "strap", "channels": 3, "unit": "g", "rate_hz": RATES["strap"]},
        {
            "name": "body", "channels": 30, "unit": "m", "rate_hz": RATES["body"],
            "joints": list(JOINTS), "parents": list(PARENTS), "vertical": 1,
        },
    ],
    "labels": list(LABELS),
}  # fmt: skip


@dataclass
class Samples:
    """One sensor's samples of one recording: (T,) seconds and (T, C) values."""

    times_s: Doubles
    values: Doubles


def _rotations(times_s: Doubles, person: int, strength: float) -> Doubles:
    """(T, 3, 3) orientations of a sensor that swings about two axes."""
    phase = 0.7 * person
    tilt = strength * np.sin(2 * np.pi * 0.55 * times_s + phase)
    turn = 0.8 * strength * np.sin(2 * np.pi * 0.4 * times_s + 2 * phase)
    one, zero = np.ones_like(tilt), np.zeros_like(tilt)
    about_x = np.array([[one, zero, zero], [zero, np.cos(tilt), -np.sin(tilt)], [zero, np.sin(tilt), np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), zero], [np.sin(turn), np.cos(turn), zero], [zero, zero, one]])
    return np.einsum("ijt,jkt->tik", about_x, about_z)


def inertial(times_s: Doubles, person: int, strength: float, gravity: float, rng: np.random.Generator) -> Doubles:
    """(T, 6) acceleration and angular rate in rad/s of a sensor whose y axis points up."""
    step_s = 1e-4
    now, later = _rotations(times_s, person, strength), _rotations(times_s + step_s, person, strength)
    body_rate = np.einsum("tji,tjk->tik", now, (later - now) / step_s)  # R' dR/dt
    rate = np.stack([body_rate[:, 2, 1], body_rate[:, 0, 2], body_rate[:, 1, 0]], 1)
    up = np.einsum("tji,j->ti", now, np.array([0.05, 0.98, 0.15]))
    noise = rng.normal(0, 0.01, (len(times_s), 6)) * np.repeat([gravity, 1.0], 3)
    return np.concatenate([gravity * up, rate], 1) + noise


def _skeleton(times_s: Doubles, person: int, strength: float, rng: np.random.Generator) -> Doubles:
    """(T, 30) joints of a person who stands and moves the arms and legs."""
    places = np.array(PLACES) * (1 + 0.03 * person)
    swing = strength * 0.3 * np.sin(2 * np.pi * (0.8 * times_s[:, None] + np.arange(len(JOINTS)) / 10))
    frames = places + swing[:, :, None] * np.array([0.2, 0.1, 1.0]) + rng.normal(0, 0.003, (len(times_s), 10, 3))
    return frames.reshape(len(times_s), -1)


def good_samples() -> dict[str, dict[str, Samples]]:
    """Recording -> sensor -> samples, with jittered timestamps."""
    rng = np.random.default_rng(0)
    recordings: dict[str, dict[str, Samples]] = {}
    for person, name in enumerate(PEOPLE):
        for label, strength in zip(LABELS, (0.6, 0.15), strict=True):
            sensors: dict[str, Samples] = {}
            for sensor, rate_hz in RATES.items():
                times_s = np.arange(int(SECONDS * rate_hz)) / rate_hz
                times_s[1:] += rng.uniform(-0.1, 0.1, len(times_s) - 1) / rate_hz
                times_s = times_s.round(4)
                if sensor == "body":
                    values = _skeleton(times_s, person, strength, rng)
                else:
                    gravity = GRAVITY_MPS2 if sensor == "watch" else 1.0
                    values = inertial(times_s, person, strength, gravity, rng)[:, : 6 if sensor == "watch" else 3]
                sensors[sensor] = Samples(times_s, values.round(4))
            recordings[f"{name}_{label}"] = sensors
    return recordings


def csv_text(samples: Samples, columns: tuple[str, ...]) -> str:
    """A CSV file of the format."""
    rows = [
        ",".join([f"{time:.4f}", *("" if value != value else f"{value:.4f}" for value in row)])
        for time, row in zip(samples.times_s.tolist(), samples.values.tolist(), strict=True)
    ]
    return "\n".join([",".join(["time_s", *columns]), *rows, ""])


def write_samples(root: Path, recording: str, sensor: str, samples: Samples) -> None:
    """Write one file: the strap as .npy, the others as .csv."""
    folder = root / sensor
    folder.mkdir(exist_ok=True)
    if sensor == "strap":
        np.save(folder / f"{recording}.npy", samples.values)
        np.save(folder / f"{recording}.times.npy", samples.times_s)
    else:
        (folder / f"{recording}.csv").write_text(csv_text(samples, COLUMNS[sensor]), encoding="utf-8")


def write_good_folder(root: Path) -> None:
    """Write all of it."""
    (root / "recordings.json").write_text(json.dumps(HEADER, indent=1), encoding="utf-8")
    rows = [f"{name}_{label},{name},1,{label}" for name in PEOPLE for label in LABELS]
    (root / "index.csv").write_text("\n".join(["recording,subject,trial,label", *rows, ""]), encoding="utf-8")
    for recording, sensors in good_samples().items():
        for sensor, samples in sensors.items():
            write_samples(root, recording, sensor, samples)
