"""Windows of recordings that declare none, by rules."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgehar.signals.modality import WindowSpec

KINDS = {"clips": "clip", "continuous": "sliding"}
"""Kind of recordings -> kind of their windows."""
LEAST_STEPS, MOST_STEPS = 16, 48
"""Steps of a window: the least for all recordings, the most for long clips."""
CLIP_STEP_S = 0.3
"""A step of a clip lasts no longer than this unless the clip would need more than `MOST_STEPS`. Three times as many
steps recognised 5 points more of 15 s clips of a watch (docs/lab-notebook.md)."""
SHORTEST_S, LONGEST_S = 1.6, 2.56
"""Sliding windows. Those of 2.56 s recognised up to 6 points more of the recordings than those of 1.6 s
(docs/lab-notebook.md), but a short activity does not fill them."""
HOP = {"clips": 1, "continuous": 4}
LEAST_FRAMES = 3
"""A step has so many frames or more: of a slower sensor, frames between its samples are interpolated. A skeleton of
7.5 Hz was recognised better with 3 or 4 frames per step than with 1 (docs/lab-notebook.md)."""


def window_of(
    kind: str, durations_s: Sequence[float], spans_s: Sequence[float], given: Mapping[str, Any]
) -> WindowSpec:
    """The window of a data set.

    A sliding window is no longer than the shortest recording and the median labelled span, within its limits.

    Args:
        kind: "clips" or "continuous".
        durations_s: duration of each recording.
        spans_s: duration of each labelled span of continuous recordings; a whole recording of one label is none.
        given: what is declared of `steps`, `step_s` and `hop`.
    """
    if kind == "continuous":
        limits_s = [LONGEST_S, *durations_s, *([float(np.median(spans_s))] if spans_s else [])]
        length_s, usual = max(SHORTEST_S, min(limits_s)), LEAST_STEPS
    else:
        length_s = float(np.median(durations_s)) if any(durations_s) else SHORTEST_S
        usual = min(max(LEAST_STEPS, 8 * math.ceil(length_s / CLIP_STEP_S / 8)), MOST_STEPS)
    steps = int(given.get("steps", usual))
    # The step of a sliding window does not depend on how many steps are declared.
    parts = steps if kind == "clips" else usual
    step_s = float(given.get("step_s", round(length_s / parts, 4) or SHORTEST_S / LEAST_STEPS))
    return WindowSpec(KINDS[kind], steps, step_s, int(given.get("hop", HOP[kind])))


def frames_per_step(rate_hz: float, step_s: float) -> int:
    """Frames of a sensor in a step, where none are declared."""
    return max(LEAST_FRAMES, round(rate_hz * step_s))
