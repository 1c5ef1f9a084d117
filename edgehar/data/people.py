"""People of a data set who seem to wear a sensor otherwise, and how much people differ in it."""

from collections.abc import Sequence

import numpy as np

from edgehar.data.recordings.suspicions.people import outlying_people
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.data.recordings.suspicions.units import accelerometers
from edgehar.data.recordings.suspicions.wearing import wearing
from edgehar.signals.clip import Clip, DatasetInfo
from edgehar.signals.modality import ModalitySpec


def _by_label(clip: Clip, name: str) -> list[Recorded]:
    """A sensor's samples: of each labelled span of a continuous recording, otherwise of the whole recording."""
    values, valid, times_s = clip.signals[name], clip.valid[name], clip.times_s.get(name)
    if times_s is None or not clip.segments:
        return [Recorded(clip.name, clip.name, clip.subject, clip.label, values, valid, times_s)]
    parts: list[Recorded] = []
    for span in clip.segments:
        rows = slice(*times_s.searchsorted([span.start_s, span.end_s]))
        file = f"{clip.name} from {span.start_s:g} s"
        parts.append(Recorded(file, clip.name, clip.subject, span.label, values[rows], valid[rows], times_s[rows]))
    return parts


def accelerations(clips: Sequence[Clip], info: DatasetInfo) -> list[tuple[ModalitySpec, int, list[Recorded]]]:
    """Each accelerometer of a data set: its sensor, its group of channels, and its samples by label."""
    found: list[tuple[ModalitySpec, int, list[Recorded]]] = []
    for spec in info.modalities:
        recorded = [part for clip in clips if spec.name in clip.signals for part in _by_label(clip, spec.name)]
        found += [(spec, each.group, recorded) for each in accelerometers(spec, recorded)]
    return found


def people_warnings(clips: Sequence[Clip], info: DatasetInfo) -> dict[str, list[str]]:
    """Person -> sentences about sensors that they seem to wear otherwise than all others; empty if nobody does."""
    warnings: dict[str, list[str]] = {}
    for spec, group, recorded in accelerations(clips, info):
        for each in outlying_people(spec, group, recorded):
            warnings.setdefault(each.person, []).append(f"{spec.name}, {each.message}.")
    return warnings


def orientation_spread_deg(clips: Sequence[Clip], info: DatasetInfo) -> float | None:
    """How differently people wear a sensor: the angle between a person's gravity and all people's.

    The median over the people; of several accelerometers the largest. 8 to 20 degrees for nine sensors of six data sets
    that everybody wore alike, 51 to 102 for phones in pockets and for watches on either wrist.

    Returns:
        Degrees; None without an accelerometer, or with fewer than three people who did the same activity.
    """
    angles = [
        [each.gravity_deg for each in wearing(spec, group, recorded)]
        for spec, group, recorded in accelerations(clips, info)
    ]
    return max((float(np.median(of_people)) for of_people in angles if of_people), default=None)
