"""Sensor faults on raw recordings, before preprocessing, for the robustness suite and for training.

A lost sample is marked in `Clip.valid`, never replaced by a value. The suite has the 25 scenarios of SafeSense (2026)
on UTD-MHAD, and more for skeletons whose joints may be lost; docs/robustness.md defines them.
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
LOST_JOINTS = (0.1, 0.25, 0.5)
COMPOSITE = (4, 0.3, 0.3)  # shift, lost share and noise

FAULT_CHANCE = 0.5  # probability of each kind of fault, per modality, in training
# Upper limits in training, slightly above those of the suite, so that its worst case is not at the limit.
MAX_SHIFT_FRAMES, MAX_LOST_SHARE, MAX_NOISE = 5, 0.6, 0.6


@dataclass(frozen=True)
class Fault:
    """Faults of one modality, which may be combined.

    Attributes:
        modality: name of the modality.
        shift_frames: delay in samples of this sensor; negative if it is early.
        lost_share: share of its samples that are lost, 0 to 1.
        noise: standard deviation of Gaussian noise, in standard deviations of each channel in training.
        missing: whether all samples are lost.
        lost_joints: share of a skeleton's joints that are lost in all samples, 0 to 1.
        axes: channels of a joint.
    """

    modality: str
    shift_frames: int = 0
    lost_share: float = 0.0
    noise: float = 0.0
    missing: bool = False
    lost_joints: float = 0.0
    axes: int = 3

    def __post_init__(self) -> None:
        """Raise DataError for values out of range."""
        shares = (self.lost_share, self.lost_joints)
        if not all(0 <= share <= 1 for share in shares) or not 0 <= self.noise < math.inf:
            raise DataError(
                f"fault of {self.modality}: lost share {self.lost_share}, noise {self.noise}, lost joints "
                f"{self.lost_joints}; expected shares from 0 to 1 and a finite noise of 0 or more"
            )


@dataclass(frozen=True)
class Scenario:
    """A test condition: its name, its category (one of CATEGORIES) and its faults."""

    name: str
    category: str
    faults: tuple[Fault, ...] = ()


def signal_spread(clips: Iterable[Clip]) -> dict[str, Floats]:
    """Standard deviation (C,) of the valid samples of each modality, over the training clips."""
    samples: dict[str, list[Floats]] = {}
    for clip in clips:
        for name, values in clip.signals.items():
            samples.setdefault(name, []).append(values[clip.valid[name]])
    joined = {name: np.concatenate(parts) for name, parts in samples.items()}  # (samples, C)
    return {name: _spread(values) for name, values in joined.items() if len(values)}


def _spread(values: Floats) -> Floats:
    """Standard deviation of each channel (C,), without the samples in which a joint is lost."""
    lost = np.isnan(values)
    if not lost.any():
        return values.std(0, dtype=np.float64).astype(np.float32)
    count = np.maximum((~lost).sum(0), 1)
    deviation = np.where(lost, 0, values - np.where(lost, 0, values).sum(0, dtype=np.float64) / count)
    return np.sqrt(np.square(deviation).sum(0, dtype=np.float64) / count).astype(np.float32)


def _without_joints(values: Floats, fault: Fault, generator: np.random.Generator) -> Floats:
    joints = values.reshape(len(values), -1, fault.axes).copy()  # (T, G, axes)
    groups = joints.shape[1]
    joints[:, generator.choice(groups, round(fault.lost_joints * groups), replace=False)] = np.nan
    return joints.reshape(values.shape)


def _noisy(values: Floats, fault: Fault, spread: dict[str, Floats], generator: np.random.Generator) -> Floats:
    if fault.modality not in spread:
        raise DataError(
            f"noise of {fault.modality}: no training recording has a valid sample of it; expected at least one: "
            "noise is relative to the training signals; train on recordings with this sensor"
        )
    draws = generator.standard_normal(values.shape, np.float32)  # (T, C)
    return (values + draws * fault.noise * spread[fault.modality]).astype(np.float32)


def _shifted(values: Floats, valid: Bools, frames: int) -> tuple[Floats, Bools]:
    source = np.arange(len(valid)) - frames
    inside = (source >= 0) & (source < len(valid))
    source = np.where(inside, source, 0)
    return values[source], valid[source] & inside


def apply(clip: Clip, faults: Iterable[Fault], spread: dict[str, Floats], generator: np.random.Generator) -> Clip:
    """A copy of a recording with faults, applied in the order noise (sensor), loss (transmission), shift (clock).

    - Lost joints are randomly chosen and NaN in every sample.
    - Noise is added to all samples.
    - Loss marks round(share x valid samples) randomly chosen samples as not valid.
    - A shift by k frames moves sample i - k to index i; samples without a source are not valid.
    - A missing modality keeps its length and times, without a valid sample. Removing it would be equal for the
      network, but a continuous recording without times has no windows and would not be scored.

    Values of samples that are not valid are 0; timestamps, labels and length are unchanged.

    Args:
        clip: the recording; it is not modified.
        faults: of any modalities; faults of modalities that the recording lacks are ignored.
        spread: modality -> (C,) from `signal_spread` of the training recordings.
        generator: source of all random numbers.

    Raises:
        DataError: noise on a modality that no training recording has.
    """
    signals, valid = dict(clip.signals), dict(clip.valid)
    for fault in faults:
        name = fault.modality
        if name not in signals:
            continue
        values, usable = signals[name], valid[name]
        if fault.lost_joints:
            values = _without_joints(values, fault, generator)
        if fault.noise:
            values = _noisy(values, fault, spread, generator)
        if fault.lost_share:
            candidates, usable = np.flatnonzero(usable), usable.copy()
            usable[generator.choice(candidates, round(fault.lost_share * len(candidates)), replace=False)] = False
        values, usable = _shifted(values, usable, fault.shift_frames)
        valid[name] = usable & (not fault.missing)
        signals[name] = np.where(valid[name][:, None], values, 0).astype(np.float32)
    return replace(clip, signals=signals, valid=valid)


def scenarios(modalities: Sequence[ModalitySpec]) -> tuple[Scenario, ...]:
    """The scenarios for these sensors: 25 for one skeleton and one other sensor.

    Clean; shifts, losses and noises of each modality, and lost joints where joints may be lost; each modality missing,
    then all of several; and the composite fault of each modality that is not a skeleton, or of each if all are
    skeletons.
    """
    names = [spec.name for spec in modalities]
    suite = [Scenario("clean", "clean")]
    for spec, name in zip(modalities, names, strict=True):
        suite += [Scenario(f"{name} shift {k:+d}", "shift", (Fault(name, shift_frames=k),)) for k in SHIFTS_FRAMES]
        suite += [Scenario(f"{name} loss {100 * p:.0f} %", "loss", (Fault(name, lost_share=p),)) for p in LOST_SHARES]
        suite += [Scenario(f"{name} noise {x:g}", "noise", (Fault(name, noise=x),)) for x in NOISES]
        if spec.lost_joints:
            lost = [Fault(name, lost_joints=share, axes=spec.group) for share in LOST_JOINTS]
            suite += [Scenario(f"{name} joints {100 * fault.lost_joints:.0f} %", "loss", (fault,)) for fault in lost]
    missing = [Fault(name, missing=True) for name in names]
    suite += [Scenario(f"missing {fault.modality}", "missing", (fault,)) for fault in missing]
    if len(names) > 1:
        suite += [Scenario("missing both" if len(names) == 2 else "missing all", "missing", tuple(missing))]
    wearables = [spec.name for spec in modalities if not spec.is_skeleton] or names
    suite += [Scenario(f"{name} composite", "composite", (Fault(name, *COMPOSITE),)) for name in wearables]
    return tuple(suite)


def random_faults(modalities: Sequence[ModalitySpec], generator: np.random.Generator) -> tuple[Fault, ...]:
    """Random faults of one training recording, drawn independently for each sensor and kind of fault.

    Severities are uniform over ranges that contain those of the suite (shifts: whole frames from -MAX_SHIFT_FRAMES to
    MAX_SHIFT_FRAMES). No modality is missing: the augmentation's `lost_modality` covers that.
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
    """A copy of each training recording with `random_faults`; see `apply` for arguments and errors."""
    return [apply(clip, random_faults(modalities, generator), spread, generator) for clip in clips]
