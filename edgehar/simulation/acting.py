"""Which parts of the body act in a simulated clip, and when: the truth against which explanations are measured.

A joint acts in a step while the activity itself moves it, relative to the root joint, faster than `ACTING_MPS`; idle
sway, sensor noise and drift do not count. A wearable acts while its place on the body moves as fast.
"""

import itertools
from dataclasses import replace

import numpy as np

from edgehar.errors import DataError
from edgehar.signals.clip import Bools
from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.body import ROOT_JOINT, Doubles
from edgehar.simulation.dataset import MODALITIES, SimulatorConfig, clip_seconds, equip
from edgehar.simulation.perform import perform, pose_to_motion
from edgehar.simulation.wearables import INERTIAL_UNITS

ACTING_MPS = 0.25


def acting_parts(config: SimulatorConfig, name: str, steps: int) -> dict[str, Bools]:
    """Modality -> (S, G), True where a group acts in a step of the clip's window.

    Args:
        config: options of the data set that the clip is in.
        name: of a clip of `edgehar.simulation.dataset.simulate`, such as "wave_s2_t1".
        steps: S, of the window.

    Raises:
        DataError: no clip of the data set has this name.
    """
    activity, person, trial = (*name.rsplit("_", 2), "", "")[:3]
    number, take = person.removeprefix("s"), trial.removeprefix("t")
    if activity not in config.labels or not (number.isdigit() and take.isdigit()):
        raise DataError(f"clip {name!r}: expected ACTIVITY_sN_tN of the simulated data set, such as wave_s2_t1")
    subject, rig = equip(config, int(number))
    rng = np.random.default_rng((config.seed, 4, int(number), list(ACTIVITIES).index(activity), int(take)))
    seconds = clip_seconds(config, activity, subject, rng)
    frames = round(seconds * config.rate_hz)
    time_s = np.arange(-1, frames + 1) / config.rate_hz  # one more at both ends, for the speed
    pose = perform(activity, subject, time_s, seconds, rng)
    still = replace(subject, sway=0.0)
    motion = pose_to_motion(pose, still, time_s, config.rate_hz, np.full(len(time_s), subject.heading_deg), rng)
    places = motion.positions - motion.positions[:, ROOT_JOINT, None]
    places[:, ROOT_JOINT] = motion.positions[:, ROOT_JOINT]
    acting: dict[str, Bools] = {}
    for spec in MODALITIES:
        if spec.is_skeleton:
            acting[spec.name] = _by_step(places, config.rate_hz, steps)
            continue
        at = next(unit for unit in INERTIAL_UNITS if unit.spec is spec).placement
        ends = [KINECT_JOINTS.index(f"{rig.side}_{part}") for part in (at.segment, at.end)]
        point = motion.positions[:, ends[0]] * (1 - at.along) + motion.positions[:, ends[1]] * at.along
        moves = _by_step(point[:, None], config.rate_hz, steps)
        acting[spec.name] = np.repeat(moves, spec.groups, axis=1)
    return acting


def _by_step(places: Doubles, rate_hz: float, steps: int) -> Bools:
    """Whether the mean speed of places (T + 2, N, 3) exceeds the threshold in each of S equal parts: (S, N)."""
    speed = np.linalg.norm(places[2:] - places[:-2], axis=2) * rate_hz / 2  # (T, N)
    bounds = np.linspace(0, len(speed), steps + 1).round().astype(int)
    means = [speed[first:end].mean(axis=0) for first, end in itertools.pairwise(bounds)]
    return np.asarray(means) > ACTING_MPS
