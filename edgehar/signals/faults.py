"""Sensor faults on raw recordings, before any preprocessing: the robustness suite and training meet the same ones.

What went wrong is always told: a sample that does not arrive is marked in `Clip.valid`, never replaced by a value.
The suite of 25 scenarios is the one of SafeSense (2026) on UTD-MHAD; docs/robustness.md has the definitions.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgehar.errors import DataError
from edgehar.signals.clip import Bools, Clip, Floats
from edgehar.signals.modality import ModalitySpec

CATEGORIES = ("clean", "shift", "loss", "noise", "missing", "composite")
SHIFTS_FRAMES = (-4, -2, 2, 4)
LOST_SHARES = (0.1, 0.3, 0.5)
NOISES = (0.1, 0.3, 0.5)
COMPOSITE = (4, 0.3, 0.3)  # shift, lost share and noise at once

FAULT_CHANCE = 0.5  # of each kind of fault, per modality, in training
# The strongest faults drawn in training: a little beyond the suite, so that its worst is not the edge of what was seen.
MAX_SHIFT_FRAMES, MAX_LOST_SHARE, MAX_NOISE = 5, 0.6, 0.6


@dataclass(frozen=True)
class Fault:
    """What is wrong with one modality; a modality may have several at once.

    Attributes:
        modality: its name.
        shift_frames: samples of this sensor by which it comes late (above 0) or early (below 0).
        lost_share: share of its samples that do not arrive, 0 to 1.
        noise: standard deviation of Gaussian noise, in standard deviations of each channel in training.
        missing: True if nothing of it arrives.
    """

    modality: str
    shift_frames: int = 0
    lost_share: float = 0.0
    noise: float = 0.0
    missing: bool = False

    def __post_init__(self) -> None:
        """Refuse a fault that cannot be."""
        if not 0 <= self.lost_share <= 1 or not 0 <= self.noise < math.inf:
            raise DataError(
                f"fault of {self.modality}: lost share {self.lost_share}, noise {self.noise}; "
                "expected a share from 0 to 1 and a finite noise of 0 or more; correct it"
            )


@dataclass(frozen=True)
class Scenario:
    """One test condition: a name, one of CATEGORIES, and what is wrong."""

    name: str
    category: str
    faults: tuple[Fault, ...] = ()


def signal_spread(clips: Iterable[Clip]) -> dict[str, Floats]:
    """Standard deviation (C,) of the valid samples of each modality that has any, over the training clips."""
    samples: dict[str, list[Floats]] = {}
    for clip in clips:
        for name, values in clip.signals.items():
            samples.setdefault(name, []).append(values[clip.valid[name]])
    joined = {name: np.concatenate(parts) for name, parts in samples.items()}  # (samples, C)
    return {name: values.std(0, dtype=np.float64).astype(np.float32) for name, values in joined.items() if len(values)}


def _noisy(values: Floats, fault: Fault, spread: dict[str, Floats], generator: np.random.Generator) -> Floats:
    if fault.modality not in spread:
        raise DataError(
            f"noise of {fault.modality}: no training recording has a valid sample of it; expected at least one, "
            "as noise is relative to the training signals; train on recordings with this sensor"
        )
    draws = generator.standard_normal(values.shape, np.float32)  # (T, C)
    return (values + draws * fault.noise * spread[fault.modality]).astype(np.float32)


def _shifted(values: Floats, valid: Bools, frames: int) -> tuple[Floats, Bools]:
    source = np.arange(len(valid)) - frames
    inside = (source >= 0) & (source < len(valid))
    source = np.where(inside, source, 0)
    return values[source], valid[source] & inside


def apply(clip: Clip, faults: Iterable[Fault], spread: dict[str, Floats], generator: np.random.Generator) -> Clip:
    """A faulty copy of a recording, in the order of nature: noise in the sensor, loss on the way, a late clock.

    - Noise is added to every sample.
    - Loss marks round(share x valid samples) of them, chosen at random, as not valid.
    - A shift by k frames lets sample i show what was sample i - k; the end that is vacated is not valid.
    - A missing modality keeps its length (and times) with no valid sample. Taking it out would be the same to the
      network, but a continuous recording without times has no windows, and what is not asked is not counted.

    Values that are not valid become 0, so that nothing leaks; timestamps, labels and length stay.

    Args:
        clip: the recording; it is left as it is.
        faults: of any modalities; those of a modality that the recording lacks change nothing.
        spread: modality -> (C,) from `signal_spread` of the training recordings.
        generator: source of every random number.

    Raises:
        DataError: noise on a modality that no training recording has.
    """
    signals, valid = dict(clip.signals), dict(clip.valid)
    for fault in faults:
        name = fault.modality
        if name not in signals:
            continue
        values, arrived = signals[name], valid[name]
        if fault.noise:
            values = _noisy(values, fault, spread, generator)
        if fault.lost_share:
            candidates, arrived = np.flatnonzero(arrived), arrived.copy()
            arrived[generator.choice(candidates, round(fault.lost_share * len(candidates)), replace=False)] = False
        values, arrived = _shifted(values, arrived, fault.shift_frames)
        valid[name] = arrived & (not fault.missing)
        signals[name] = np.where(valid[name][:, None], values, 0).astype(np.float32)
    return replace(clip, signals=signals, valid=valid)


def scenarios(modalities: Sequence[ModalitySpec]) -> tuple[Scenario, ...]:
    """The suite for these sensors: 25 scenarios for one skeleton and one other sensor.

    Clean; for each modality the shifts, losses and noises; each missing, then all (once if there is one only); and the
    composite for each modality that is not a skeleton, or for each if all are skeletons.
    """
    names = [spec.name for spec in modalities]
    suite = [Scenario("clean", "clean")]
    for name in names:
        suite += [Scenario(f"{name} shift {k:+d}", "shift", (Fault(name, shift_frames=k),)) for k in SHIFTS_FRAMES]
        suite += [Scenario(f"{name} loss {100 * p:.0f} %", "loss", (Fault(name, lost_share=p),)) for p in LOST_SHARES]
        suite += [Scenario(f"{name} noise {x:g}", "noise", (Fault(name, noise=x),)) for x in NOISES]
    gone = [Fault(name, missing=True) for name in names]
    suite += [Scenario(f"missing {fault.modality}", "missing", (fault,)) for fault in gone]
    if len(names) > 1:
        suite += [Scenario("missing both" if len(names) == 2 else "missing all", "missing", tuple(gone))]
    worn = [spec.name for spec in modalities if not spec.is_skeleton] or names
    suite += [Scenario(f"{name} composite", "composite", (Fault(name, *COMPOSITE),)) for name in worn]
    return tuple(suite)


def random_faults(modalities: Sequence[ModalitySpec], generator: np.random.Generator) -> tuple[Fault, ...]:
    """Draw what is wrong with one training recording; sensors and kinds of fault are drawn apart.

    Severities are uniform over ranges that contain those of the suite (shifts over the whole frames from
    -MAX_SHIFT_FRAMES to MAX_SHIFT_FRAMES), so training covers the suite's conditions without enumerating them. No
    modality is lost as a whole: `lost_modality` of the training's augmentation does that.
    """
    drawn: list[Fault] = []
    for spec in modalities:
        shifts, loses, is_noisy = generator.random(3) < FAULT_CHANCE
        frames = int(generator.integers(-MAX_SHIFT_FRAMES, MAX_SHIFT_FRAMES, endpoint=True))
        share, noise = generator.random(2) * (MAX_LOST_SHARE, MAX_NOISE)
        if shifts or loses or is_noisy:
            drawn.append(Fault(spec.name, frames * int(shifts), float(share * loses), float(noise * is_noisy)))
    return tuple(drawn)


def faulty_copy(
    clips: Iterable[Clip],
    modalities: Sequence[ModalitySpec],
    spread: dict[str, Floats],
    generator: np.random.Generator,
) -> list[Clip]:
    """One copy of each training recording with `random_faults`; see `apply` for arguments and errors."""
    return [apply(clip, random_faults(modalities, generator), spread, generator) for clip in clips]
