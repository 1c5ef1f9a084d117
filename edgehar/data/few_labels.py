"""A few labelled recordings of a few people, as users have at first; other training recordings lose their labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgehar.errors import ConfigError
from edgehar.signals.clip import Clip

ALL = "all"
FORM = "PEOPLE:RECORDINGS[:DRAW]"

_Spot = tuple[int, int]
"""Index of a recording, and of its labelled span; -1 for a recording of one label."""


@dataclass(frozen=True)
class FewLabels:
    """Which labels are known.

    Attributes:
        people: number of training people whose recordings keep labels; None for all.
        recordings: labelled recordings of each activity, of all these people together; None for all.
        draw: seed of the choice.
    """

    people: int | None
    recordings: int | None
    draw: int = 0

    @staticmethod
    def parse(text: str) -> "FewLabels":
        """From `FORM`, numbers or "all"; raises ConfigError for another text."""
        found = re.fullmatch(rf"([1-9]\d*|{ALL}):([1-9]\d*|{ALL})(?::(\d+))?", text)
        if found is None:
            raise ConfigError(
                f"--few-labels {text}: expected {FORM}, such as 2:5 for 5 recordings of each activity of 2 people, "
                f"or 2:5:1 for another choice; {ALL!r} stands for all"
            )
        people, recordings = (None if part == ALL else int(part) for part in found.groups()[:2])
        return FewLabels(people, recordings, int(found[3] or 0))

    def keep(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """The same clips, of which only the chosen ones, or the chosen labelled spans, have labels.

        Recordings of an activity are taken from the chosen people in turn.
        """
        rng = np.random.default_rng(self.draw)
        subjects = sorted({clip.subject for clip in clips if clip.label is not None or clip.segments})
        chosen: list[str] = rng.permutation(subjects).tolist()[: self.people]
        # Where each label was recorded, by activity and person.
        places: dict[int, dict[str, list[_Spot]]] = {}
        for index, clip in enumerate(clips):
            labels = [(clip.label, -1)] if clip.label is not None else []
            labels += [(span.label, number) for number, span in enumerate(clip.segments)]
            for label, number in labels if clip.subject in chosen else ():
                places.setdefault(label, {}).setdefault(clip.subject, []).append((index, number))
        kept: set[_Spot] = set()
        for _, by_person in sorted(places.items()):
            turns: list[list[_Spot]] = []
            for person in chosen:
                order: list[int] = rng.permutation(len(by_person.get(person, ()))).tolist()
                turns.append([by_person[person][at] for at in order])
            longest = max(map(len, turns))
            in_turn = [turn[number] for number in range(longest) for turn in turns if number < len(turn)]
            kept.update(in_turn[: self.recordings])
        return tuple(
            replace(
                clip,
                label=clip.label if (index, -1) in kept else None,
                segments=tuple(span for number, span in enumerate(clip.segments) if (index, number) in kept),
            )
            for index, clip in enumerate(clips)
        )
