"""Test people who are recognised far worse than the rest."""

from collections.abc import Mapping
from typing import NamedTuple

from edgehar.metrics.classification import wilson

MIN_PEOPLE = 3
MIN_DIFFERENCE = 0.15
"""Smallest difference of the shares that is named, however certain it is."""


class Outlying(NamedTuple):
    """A person's correct predictions, and those of all other people."""

    person: str
    correct: int
    total: int
    others_correct: int
    others_total: int

    @property
    def text(self) -> str:
        """One sentence."""
        share, others = self.correct / self.total, self.others_correct / self.others_total
        return (
            f"Person {self.person!r} is recognised far worse than the rest: {self.correct} of {self.total} correct "
            f"({share:.0%}), the other people {self.others_correct:,} of {self.others_total:,} ({others:.0%})."
        )


def outlying_subject(per_subject: Mapping[str, Mapping[str, int]]) -> Outlying | None:
    """The person with the lowest accuracy, if it is far below that of the rest; None if nobody is.

    Far below: by at least `MIN_DIFFERENCE`, and the Wilson intervals of both do not overlap, so that few windows are no
    reason. None for fewer than `MIN_PEOPLE` people.

    Args:
        per_subject: person -> "correct" and "total", as `edgehar.metrics.classification.score` returns.
    """
    counts = {name: (entry["correct"], entry["total"]) for name, entry in per_subject.items() if entry["total"]}
    if len(counts) < MIN_PEOPLE:
        return None
    person = min(counts, key=lambda name: counts[name][0] / counts[name][1])
    correct, total = counts.pop(person)
    others_correct, others_total = (sum(column) for column in zip(*counts.values(), strict=True))
    apart = others_correct / others_total - correct / total >= MIN_DIFFERENCE
    if not apart or wilson(correct, total)[1] >= wilson(others_correct, others_total)[0]:
        return None
    return Outlying(person, correct, total, others_correct, others_total)
