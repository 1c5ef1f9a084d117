"""Choices of a run that follow from its training recordings, by rules: each has a value and the reason for it.

A further choice is a function from the training recordings to a `Choice`, and its call in `choices_for`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgehar.data.recordings.check import duration_s
from edgehar.data.recordings.window import CLIP_STEP_S, LEAST_STEPS, LONGEST_S, MOST_STEPS, SHORTEST_S
from edgehar.experiments.stage import Settings
from edgehar.signals.clip import Clip, DatasetInfo

MOST_SPREAD = 2.5
"""Style exchange is off above this spread of durations, see `duration_spread`; UTD-MHAD has 1.4. It cost 4 to 11 of
200 clips on trials of 3 to 40 s."""

LEAST_EPOCHS = 6
"""Trainings of `base` see each window about so often or more, by larger batches. Of 43,000 windows, fewer are too few
(docs/lab-notebook.md)."""
LARGEST_BATCH = 128
USUAL: dict[str, tuple[int, int]] = {"finetune": (3000, 32), "distill": (2000, 64)}
"""Training -> updates and batch of the preset `base`."""
PATIENT = 6000
"""Updates of the distillation on sliding windows. A student comes closer to its teacher the longer it imitates it
(Beyer et al., arXiv 2106.05237): a point on average of three data sets (docs/lab-notebook.md). Students of UTD-MHAD's
pre-cut clips reach their teachers anyway."""

PRETRAINING, EXCHANGE, WINDOW, LENGTH = "pretraining", "style exchange", "window", "length of training"
ON, OFF = "on", "off"


@dataclass(frozen=True)
class Choice:
    """One choice.

    Attributes:
        name: what is chosen.
        value: what was chosen; "on" or "off" of what is done or not.
        reason: one sentence, with the figures measured.
        settings: training verb -> options that it gets; others keep the defaults of their preset.
    """

    name: str
    value: str
    reason: str
    settings: dict[str, Settings] = field(default_factory=dict[str, Settings])

    def to_json(self) -> dict[str, Any]:
        """The entry of results.json."""
        return {"name": self.name, "value": self.value, "reason": self.reason}


def labelled_s(clip: Clip, info: DatasetInfo) -> float:
    """Seconds of a continuous recording that have a label."""
    if clip.label is None:
        return sum(span.end_s - span.start_s for span in clip.segments)
    return duration_s(clip, info.modalities, info.window.kind)


def labelled_share(clips: Sequence[Clip], info: DatasetInfo) -> float:
    """Share of the pre-cut clips that have a label; of continuous recordings, the share of their time."""
    if info.window.kind == "clip":
        return sum(clip.label is not None for clip in clips) / len(clips)
    durations = [duration_s(clip, info.modalities, info.window.kind) for clip in clips]
    return min(sum(labelled_s(clip, info) for clip in clips) / sum(durations), 1.0)


def labelled_windows(clips: Sequence[Clip], info: DatasetInfo) -> int:
    """About how many labelled windows there are."""
    if info.window.kind == "clip":
        return sum(clip.label is not None for clip in clips)
    return round(sum(labelled_s(clip, info) for clip in clips) / (info.window.hop * info.window.step_s))


def duration_spread(clips: Sequence[Clip], info: DatasetInfo) -> float:
    """How much the durations of clips of one activity differ: 90th over 10th percentile of duration / median duration.

    The median is that of the clip's activity, so that long and short activities do not count as a spread. Activities of
    one clip are left out; 1 if there are no others.
    """
    by_label: dict[int, list[float]] = {}
    for clip in clips:
        if clip.label is not None:
            by_label.setdefault(clip.label, []).append(duration_s(clip, info.modalities, info.window.kind))
    relative = [np.asarray(lengths) / np.median(lengths) for lengths in by_label.values() if len(lengths) > 1]
    if not relative:
        return 1.0
    low, high = np.quantile(np.concatenate(relative), (0.1, 0.9))
    return float(high / low)


def pretraining(clips: Sequence[Clip], info: DatasetInfo, given: bool | None) -> Choice:
    """Whether the teacher is pretrained on these recordings; `given` is the option, None for the default, which is off.

    Today's teachers lost 16 to 24 points by it with 10 % of the labels of UTD-MHAD (docs/lab-notebook.md).
    """
    share = labelled_share(clips, info)
    unit = "training clips" if info.window.kind == "clip" else "time of the training recordings"
    found = f"{100 * share:.3g} % of the {unit} {'have' if info.window.kind == 'clip' else 'has'} a label"
    if given is not None:
        return Choice(PRETRAINING, ON if given else OFF, f"Given as an option; {found}.")
    rule = "pretraining on the recordings of a run costs accuracy, also where few have a label"
    return Choice(PRETRAINING, OFF, f"{found[0].upper()}{found[1:]}; {rule}.")


def exchange(clips: Sequence[Clip], info: DatasetInfo) -> Choice:
    """Whether clips of an activity exchange limbs and style."""
    if info.window.kind != "clip":
        return Choice(EXCHANGE, OFF, "The recordings are continuous; only pre-cut clips can exchange limbs and style.")
    spread = duration_spread(clips, info)
    on = spread <= MOST_SPREAD
    consequence = (
        f"up to {MOST_SPREAD:g}, half-way through one is taken to be half-way through another, as the exchange assumes"
        if on
        else f"above {MOST_SPREAD:g}, half-way through one is not half-way through another, and the exchange harms"
    )
    reason = (
        f"Among clips of an activity the 90th percentile of durations is {spread:.1f} times the 10th; {consequence}."
    )
    settings: Settings = {} if on else {"limb": 0.0, "style": 0.0}
    return Choice(EXCHANGE, ON if on else OFF, reason, {verb: settings for verb in ("finetune", "distill")})


def window(clips: Sequence[Clip], info: DatasetInfo) -> Choice:
    """The steps of a window, chosen where the recordings are read, see `window_of`."""
    steps, step_s = info.window.steps, info.window.step_s
    value = f"{steps} steps of {step_s:.3g} s"
    if info.window.kind != "clip":
        every = f"A window every {info.window.hop * step_s:.3g} s"
        rule = f"{SHORTEST_S:g} to {LONGEST_S:g} s, no longer than the shortest recording and the median labelled span"
        return Choice(WINDOW, value, f"{every}; unless declared, {rule}.")
    median_s = float(np.median([duration_s(clip, info.modalities, info.window.kind) for clip in clips]))
    rule = f"{LEAST_STEPS} to {MOST_STEPS} steps, so that a step lasts at most {CLIP_STEP_S:g} s where possible"
    return Choice(WINDOW, value, f"The median training clip lasts {median_s:.3g} s; unless declared, {rule}.")


def length(clips: Sequence[Clip], info: DatasetInfo) -> Choice:
    """Updates and windows per update: more of them for a student of sliding windows, and for many windows."""
    windows, is_clip = labelled_windows(clips, info), info.window.kind == "clip"
    needed: dict[str, tuple[int, int]] = {}
    for verb, (updates, batch) in USUAL.items():
        updates = PATIENT if verb == "distill" and not is_clip else updates
        needed[verb] = updates, min(max(batch, 8 * round(LEAST_EPOCHS * windows / updates / 8)), LARGEST_BATCH)
    value = ", ".join(f"{verb} {updates:,} updates of {batch} windows" for verb, (updates, batch) in needed.items())
    reason = (
        f"About {windows:,} labelled windows; each is seen about {LEAST_EPOCHS} times or more, with at most "
        f"{LARGEST_BATCH} windows in an update. A student of "
        f"{'pre-cut clips reaches its teacher soon' if is_clip else 'sliding windows needs more updates'}."
    )
    settings: dict[str, Settings] = {
        verb: {"updates": updates, "batch": batch}
        for verb, (updates, batch) in needed.items()
        if (updates, batch) != USUAL[verb]
    }
    return Choice(LENGTH, value, reason, settings)


def choices_for(
    clips: Sequence[Clip], info: DatasetInfo, given_pretraining: bool | None, preset: str
) -> tuple[Choice, ...]:
    """All choices for these training recordings.

    Args:
        clips: the training recordings; no test recording may have a say.
        info: their data set.
        given_pretraining: the option of pretraining, None for the default.
        preset: of the run; the trainings of another than `base` have their usual length.
    """
    choices = window(clips, info), pretraining(clips, info, given_pretraining), exchange(clips, info)
    return (*choices, length(clips, info)) if preset == "base" else choices
