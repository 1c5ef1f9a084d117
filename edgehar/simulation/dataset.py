"""Simulated data sets: clips or continuous recordings of simulated subjects with three sensors.

A clip depends on the seed, its subject, activity and trial only, not on the other clips.
"""

from dataclasses import dataclass

import numpy as np

from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats, Segment, Times
from edgehar.signals.modality import WindowSpec
from edgehar.simulation.activities import ACTIVITIES, EVERYDAY
from edgehar.simulation.body import Doubles, Motion
from edgehar.simulation.curves import minimum_jerk
from edgehar.simulation.perform import Pose, perform, pose_to_motion, simulate_motion
from edgehar.simulation.subjects import Subject, draw_subject
from edgehar.simulation.wearables import (
    INERTIAL_UNITS,
    SKELETON,
    Rig,
    add_sensor_errors,
    camera_skeleton,
    draw_rig,
    interpolate_frames,
    worn_readings,
)

STEPS = 16
MODALITIES = (SKELETON, *(unit.spec for unit in INERTIAL_UNITS))
_MARGIN_S = 0.15
_TRANSITION_S = 0.7


@dataclass(frozen=True)
class SimulatorConfig(Options):
    """Options of the simulator; by default 8 subjects, 14 activities and 4 trials: 448 clips."""

    subjects: int = option(8, "number of simulated subjects, s1, s2, ...", at_least=1)
    trials: int = option(4, "repetitions of each activity", at_least=1)
    seed: int = option(0, "random seed", at_least=0)
    seconds: float = option(2.7, "mean length of a clip in seconds", at_least=1, at_most=60)
    activities: tuple[str, ...] = option((), "activities, the fourteen everyday ones if empty", choices=ACTIVITIES)
    style: float = option(1.0, "scale of the differences between subjects", at_least=0, at_most=2)
    noise: float = option(
        1.0, "scale of sensor noise, offsets and joint jitter; 1 is typical of real devices", at_least=0, at_most=20
    )
    rate_hz: float = option(150.0, "rate at which the motion is computed", at_least=100, at_most=2000)

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of bounds or an activity that is listed twice."""
        super().__post_init__()
        if len(set(self.activities)) != len(self.activities):
            raise ConfigError(f"--activities {','.join(self.activities)}: expected each activity once")

    @property
    def labels(self) -> tuple[str, ...]:
        """The chosen activities."""
        return self.activities or EVERYDAY


def equip(config: SimulatorConfig, number: int) -> tuple[Subject, Rig]:
    """Subject `number` of the data set, and the sensors that this person wears."""
    subject = draw_subject(config.seed, number, config.style)
    side = "left" if subject.left_handed else "right"
    return subject, draw_rig(config.seed, number, side, config.style, config.noise)


def _record(
    motion: Motion, seconds: float, rig: Rig, config: SimulatorConfig, rng: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, Times]]:
    """Samples of each sensor and their timestamps by its own clock, of a motion with a margin at both ends.

    Each sensor starts with a small delay, and its clock drifts by up to 0.5 %.
    """
    signals: dict[str, Floats] = {}
    times_s: dict[str, Times] = {}
    for spec in MODALITIES:
        late_s = rng.uniform(0, 0.06)
        drift = rng.uniform(-0.005, 0.005)
        offset_s = rng.uniform(0, 0.04)
        period_s = (1 + drift) / spec.rate_hz
        true_s = late_s + np.arange(int((seconds - late_s) / period_s), dtype=np.float64) * period_s
        within_s = true_s + _MARGIN_S
        if spec.is_skeleton:
            signals[spec.name] = camera_skeleton(
                interpolate_frames(motion.positions, within_s, config.rate_hz), rig, config.noise, rng
            )
        else:
            unit = next(unit for unit in INERTIAL_UNITS if unit.spec is spec)
            perfect = worn_readings(motion, unit, rig, config.rate_hz)
            signals[spec.name] = add_sensor_errors(
                interpolate_frames(perfect, within_s, config.rate_hz), unit, rig, config.noise, rng
            )
        times_s[spec.name] = offset_s + true_s / (1 + drift)
    return signals, times_s


def _all_valid(signals: dict[str, Floats]) -> dict[str, Bools]:
    return {name: np.ones(len(signal), bool) for name, signal in signals.items()}


def clip_seconds(config: SimulatorConfig, activity: str, subject: Subject, rng: np.random.Generator) -> float:
    """Duration of a clip, drawn."""
    factor = ACTIVITIES[activity].pace / subject.tempo * np.exp(rng.normal(0, 0.06))
    return config.seconds * float(np.clip(factor, 0.74, 1.3))


def simulate_clip(config: SimulatorConfig, subject: Subject, rig: Rig, activity: str, trial: int) -> Clip:
    """One pre-cut clip of one activity, without timestamps."""
    number = int(subject.name[1:])
    rng = np.random.default_rng((config.seed, 4, number, list(ACTIVITIES).index(activity), trial))
    seconds = clip_seconds(config, activity, subject, rng)
    motion = simulate_motion(activity, subject, seconds, config.rate_hz, rng, _MARGIN_S)
    signals, _ = _record(motion, seconds, rig, config, rng)
    name = f"{activity}_{subject.name}_t{trial}"
    return Clip(name, subject.name, f"t{trial}", signals, _all_valid(signals), config.labels.index(activity))


def _info(config: SimulatorConfig, window: WindowSpec) -> DatasetInfo:
    # Stored in checkpoints, which are distilled together only if their data sets are equal: do not change these texts.
    citation, licence = "edgehar.simulated", "Apache-2.0 (generated by this program)"
    return DatasetInfo("simulated", MODALITIES, config.labels, window, citation, licence)


def simulate(config: SimulatorConfig) -> Dataset:
    """Pre-cut clips of all subjects, activities and trials; a clip is stretched to one window."""
    clips = tuple(
        simulate_clip(config, subject, rig, activity, trial)
        for subject, rig in (equip(config, number) for number in range(1, config.subjects + 1))
        for activity in config.labels
        for trial in range(1, config.trials + 1)
    )
    durations_s = [len(clip.signals["thigh"]) / INERTIAL_UNITS[-1].spec.rate_hz for clip in clips]
    return Dataset(_info(config, WindowSpec("clip", STEPS, float(np.median(durations_s)) / STEPS)), clips)


def _activity_sequence(config: SimulatorConfig, bouts: int, rng: np.random.Generator) -> list[str]:
    """Activities in random order; standing up follows sitting down."""
    plan: list[str] = []
    sitting = {"sit_down", "stand_up"} <= set(config.labels)
    items = [name for name in config.labels if not (sitting and name == "stand_up")]
    while len(plan) < bouts:
        for index in rng.permutation(len(items)):
            plan += ["sit_down", "stand_up"] if sitting and items[index] == "sit_down" else [items[index]]
    return plan[:bouts]


def simulate_recording(config: SimulatorConfig, subject: Subject, rig: Rig, trial: int, bouts: int) -> Clip:
    """One continuous recording: a sequence of activities with transitions of 0.7 s."""
    number = int(subject.name[1:])
    rng = np.random.default_rng((config.seed, 5, number, trial))
    plan = _activity_sequence(config, bouts, rng)
    lengths_s = [clip_seconds(config, activity, subject, rng) for activity in plan]
    starts_s = _TRANSITION_S + np.cumsum([0.0] + [length + _TRANSITION_S for length in lengths_s[:-1]])
    total_s = float(starts_s[-1] + lengths_s[-1] + _TRANSITION_S)
    time_s = np.arange(round((total_s + 2 * _MARGIN_S) * config.rate_hz)) / config.rate_hz - _MARGIN_S
    angles: Doubles = np.zeros((len(time_s), 20, 3))
    lift: Doubles = np.zeros(len(time_s))
    heading_deg = np.full(len(time_s), subject.heading_deg)
    turned_deg = 0.0
    segments: list[Segment] = []
    for activity, start_s, length_s in zip(plan, starts_s, lengths_s, strict=True):
        since_s = time_s - start_s
        near = (since_s > -_TRANSITION_S) & (since_s < length_s + _TRANSITION_S)
        pose: Pose = perform(activity, subject, since_s[near], length_s, rng)
        weight = minimum_jerk(since_s[near] / _TRANSITION_S + 1) - minimum_jerk(
            (since_s[near] - length_s) / _TRANSITION_S
        )
        angles[near] += weight[:, None, None] * pose.angles_deg
        lift[near] += weight * pose.lift_m
        if not ACTIVITIES[activity].level_soles:
            # Gaits turn to a new heading, random around the usual one.
            goal_deg = float(rng.normal(0, 35))
            heading_deg += (goal_deg - turned_deg) * minimum_jerk(since_s / length_s)
            turned_deg = goal_deg
        segments.append(Segment(float(start_s), float(start_s + length_s), config.labels.index(activity)))
    motion = pose_to_motion(Pose(angles, lift), subject, time_s, config.rate_hz, heading_deg, rng)
    signals, times_s = _record(motion, total_s, rig, config, rng)
    name = f"recording_{subject.name}_t{trial}"
    valid = _all_valid(signals)
    return Clip(name, subject.name, f"t{trial}", signals, valid, times_s=times_s, segments=tuple(segments))


def continuous(config: SimulatorConfig, bouts: int = 14, hop: int = 4) -> Dataset:
    """Continuous recordings with timestamps: `config.trials` per subject, each with `bouts` activities.

    Args:
        config: options; a window has 16 steps as in `simulate`.
        bouts: activities per recording.
        hop: steps between two windows.

    Raises ConfigError if `bouts` is not above 0.
    """
    if bouts < 1:
        raise ConfigError(f"bouts {bouts}: expected 1 or more activities in a recording")
    clips = tuple(
        simulate_recording(config, subject, rig, trial, bouts)
        for subject, rig in (equip(config, number) for number in range(1, config.subjects + 1))
        for trial in range(1, config.trials + 1)
    )
    return Dataset(_info(config, WindowSpec("sliding", STEPS, config.seconds / STEPS, hop)), clips)
