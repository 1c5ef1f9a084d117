"""Test recordings of one person: whole trials, or single recordings, with every label on both sides where possible."""

from collections import Counter
from collections.abc import Iterable, Sequence

from edgehar.signals.clip import Clip, natural_key


def labels_of(clip: Clip) -> set[int]:
    """The labels that a recording shows."""
    return {segment.label for segment in clip.segments} if clip.label is None else {clip.label}


def labels_shown(clips: Iterable[Clip]) -> set[int]:
    """The labels that any of the recordings shows."""
    return {label for clip in clips for label in labels_of(clip)}


def _units(clips: Iterable[Clip]) -> list[list[Clip]]:
    """The recordings by trial; each on its own if trials would keep a label on one side."""
    ordered = sorted(clips, key=lambda clip: natural_key(clip.name))
    trials: dict[str, list[Clip]] = {}
    for clip in sorted(ordered, key=lambda clip: natural_key(clip.trial)):
        trials.setdefault(clip.trial, []).append(clip)
    by_trial, by_recording = list(trials.values()), [[clip] for clip in ordered]
    in_trials, in_recordings = (
        Counter(label for unit in units for label in labels_shown(unit)) for units in (by_trial, by_recording)
    )
    separable = all(in_trials[label] > 1 for label, count in in_recordings.items() if count > 1)
    return by_trial if len(trials) > 1 and "" not in trials and separable else by_recording


def tested_recordings(clips: Iterable[Clip], fold: int, folds: int) -> set[str]:
    """Names of the test recordings of one subject.

    Args:
        clips: the recordings of one subject, in any order.
        fold: number of the fold.
        folds: number of folds; a label with fewer units (trials or recordings) has as many folds as units.

    Every `folds`-th unit, from the `fold`-th on, of each label with two or more is tested. Labels of few units choose
    first, and no label loses its last training unit.
    """
    units = _units(clips)
    shown = [labels_shown(unit) for unit in units]
    holders: dict[int, list[int]] = {}
    for index, labels in enumerate(shown):
        for label in labels:
            holders.setdefault(label, []).append(index)
    untested = {label: len(indices) for label, indices in holders.items()}
    tested: set[int] = set()

    def test(candidates: Sequence[int], label: int, wanted: int) -> None:
        for index in candidates:
            if len(holders[label]) - untested[label] >= wanted:
                return
            if index not in tested and all(untested[one] > 1 for one in shown[index]):
                tested.add(index)
                for one in shown[index]:
                    untested[one] -= 1

    for label in sorted(holders, key=lambda label: (len(holders[label]), label)):
        indices = holders[label]
        count = min(folds, len(indices))
        chosen = indices[fold % count :: count]
        if len(indices) > 1:
            test([*chosen, *indices], label, len(chosen))
    if not holders:  # nothing is labelled
        tested |= set(range(len(units))[fold::folds])
    return {clip.name for index in tested for clip in units[index]}
