"""Fourteen everyday activities as joint angles over time, each with a few ways of doing it, and improvisation.

Every activity is written for a right-handed person who starts and, except for sitting down, ends upright. A
movement gets the `Course` of its own time and returns degrees per channel, named part and axis
("right_knee_flexion"); parts that it leaves out rest. How a person does it is `manner`, four numbers of about
-1..1, so that the same activity differs between people by more than size and speed: one kicks with a straight
leg, another from the knee.
"""

from collections.abc import Callable
from typing import NamedTuple

from edgehar.simulation import gestures, whole_body
from edgehar.simulation.body import Doubles
from edgehar.simulation.curves import Channels, Course


class Activity(NamedTuple):
    """One movement, how long it takes compared with the others, and how often its cycle repeats."""

    movement: Callable[[Course, Doubles], Channels]
    pace: float
    cadence_hz: float
    everywhere: bool
    """True if it fills a clip from edge to edge, False if a person rests before and after."""
    flat_feet: bool
    """True if the ankles keep the soles level; a gait rolls over its feet instead."""


IMPROVISED = "improvise"
"""What is no activity: a motion of its own each time, to learn from where many kinds of motion count."""

ACTIVITIES: dict[str, Activity] = {
    "stand": Activity(whole_body.stand, 1.0, 1.0, True, True),
    "walk": Activity(whole_body.walk, 1.05, 0.92, True, False),
    "jog": Activity(whole_body.jog, 0.95, 1.35, True, False),
    "sit_down": Activity(whole_body.sit_down, 1.0, 1.0, False, True),
    "stand_up": Activity(whole_body.stand_up, 0.95, 1.0, False, True),
    "squat": Activity(whole_body.squat, 1.1, 1.0, False, True),
    "bend": Activity(whole_body.bend, 1.1, 1.0, False, True),
    "jump": Activity(whole_body.jump, 0.85, 1.0, False, True),
    "kick": Activity(whole_body.kick, 0.9, 1.0, False, True),
    "punch": Activity(gestures.punch, 0.95, 1.0, False, True),
    "throw": Activity(gestures.throw, 0.95, 1.0, False, True),
    "wave": Activity(gestures.wave, 1.1, 1.7, False, True),
    "clap": Activity(gestures.clap, 1.0, 1.9, False, True),
    "draw_circle": Activity(gestures.draw_circle, 1.2, 1.0, False, True),
    IMPROVISED: Activity(gestures.improvise, 1.0, 1.0, False, True),
}
EVERYDAY = tuple(name for name in ACTIVITIES if name != IMPROVISED)
