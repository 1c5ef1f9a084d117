"""Table of the simulated activities: fourteen everyday ones and improvised motion.

An activity is written for a right-handed person who starts and, except for sitting down, ends upright. A movement
function takes the `Course` of its time and returns degrees per channel, named by part and axis ("right_knee_flexion");
other channels are 0. `manner`, four numbers of about -1..1, is a subject's style: one kicks with a straight leg,
another from the knee.
"""

from collections.abc import Callable
from typing import NamedTuple

from edgehar.simulation import gestures, whole_body
from edgehar.simulation.body import Doubles
from edgehar.simulation.curves import Channels, Course


class ActivityModel(NamedTuple):
    """An activity of the simulator.

    Attributes:
        movement: joint angles over time, of a course and a manner.
        pace: relative duration, 1 for the average activity.
        cadence_hz: cycles per second of a periodic movement.
        fills_clip: whether it has no rest before and after.
        level_soles: whether the ankles keep the soles level; gaits roll over the feet instead.
    """

    movement: Callable[[Course, Doubles], Channels]
    pace: float
    cadence_hz: float
    fills_clip: bool
    level_soles: bool


IMPROVISED = "improvise"
"""Random motion, different each time; not an activity to recognise."""

ACTIVITIES: dict[str, ActivityModel] = {
    "stand": ActivityModel(whole_body.stand, 1.0, 1.0, True, True),
    "walk": ActivityModel(whole_body.walk, 1.05, 0.92, True, False),
    "jog": ActivityModel(whole_body.jog, 0.95, 1.35, True, False),
    "sit_down": ActivityModel(whole_body.sit_down, 1.0, 1.0, False, True),
    "stand_up": ActivityModel(whole_body.stand_up, 0.95, 1.0, False, True),
    "squat": ActivityModel(whole_body.squat, 1.1, 1.0, False, True),
    "bend": ActivityModel(whole_body.bend, 1.1, 1.0, False, True),
    "jump": ActivityModel(whole_body.jump, 0.85, 1.0, False, True),
    "kick": ActivityModel(whole_body.kick, 0.9, 1.0, False, True),
    "punch": ActivityModel(gestures.punch, 0.95, 1.0, False, True),
    "throw": ActivityModel(gestures.throw, 0.95, 1.0, False, True),
    "wave": ActivityModel(gestures.wave, 1.1, 1.7, False, True),
    "clap": ActivityModel(gestures.clap, 1.0, 1.9, False, True),
    "draw_circle": ActivityModel(gestures.draw_circle, 1.2, 1.0, False, True),
    IMPROVISED: ActivityModel(gestures.improvise, 1.0, 1.0, False, True),
}
EVERYDAY = tuple(name for name in ACTIVITIES if name != IMPROVISED)
