"""What was recorded for training, as values for JSON: people, recordings, labels, sensors, durations."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgehar.data.describe import label_facts
from edgehar.data.recordings.check import duration_s
from edgehar.data.splits import people_in
from edgehar.experiments.rules import labelled_share
from edgehar.signals.clip import Clip, DatasetInfo

SHORT_SHARE = 1 / 3
"""A pre-cut clip below this share of its activity's median duration is short."""


def training_facts(clips: Sequence[Clip], info: DatasetInfo) -> dict[str, Any]:
    """People, recordings, recordings by sensor and by label, unlabelled share and short recordings.

    A continuous recording is short if it is shorter than a window, a pre-cut clip if it is much shorter than others of
    its activity.
    """
    recordings = Counter(name for clip in clips for name in clip.signals)
    return {
        "people": len(people_in(clip.subject for clip in clips)),
        "recordings": len(clips),
        "kind": info.window.kind,
        "window_s": info.window.length_s,
        "short": _short(clips, info),
        "unlabelled_share": 1 - labelled_share(clips, info),
        "sensors": {spec.name: recordings[spec.name] for spec in info.modalities},
        "frames": {spec.name: spec.rate_hz * info.window.step_s for spec in info.modalities},
        "step_s": info.window.step_s,
        "labels": label_facts(clips, info),
    }


def _short(clips: Sequence[Clip], info: DatasetInfo) -> int:
    durations_s = np.asarray([duration_s(clip, info.modalities, info.window.kind) for clip in clips])
    if info.window.kind != "clip":
        return int((durations_s < info.window.length_s).sum())
    label = np.asarray([-1 if clip.label is None else clip.label for clip in clips])
    return sum(
        int((durations_s[label == one] < SHORT_SHARE * np.median(durations_s[label == one])).sum())
        for one in np.unique(label[label >= 0]).tolist()
    )
