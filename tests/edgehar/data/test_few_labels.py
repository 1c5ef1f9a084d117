"""A few labelled recordings of a few people."""

from collections import Counter
from dataclasses import replace

import pytest

from edgehar.data.few_labels import FewLabels
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.signals.clip import Clip, Segment

CLIPS = tuple(
    Clip(f"{person}-{label}-{trial}", person, str(trial), {}, {}, label=label)
    for person in ("ann", "bob", "cid")
    for label in range(3)
    for trial in range(4)
)


@pytest.mark.parametrize(("people", "recordings"), [(1, 1), (2, 5), (3, 20), (None, 4), (2, None), (None, None)])
def test_each_activity_has_so_many_labelled_recordings_of_so_many_people(people: int | None, recordings: int | None):
    kept = FewLabels(people, recordings, 3).keep(CLIPS)
    assert [replace(clip, label=None) for clip in kept] == [replace(clip, label=None) for clip in CLIPS]
    labelled = [clip for clip in kept if clip.label is not None]
    most = 4 * (people or 3)
    assert Counter(clip.label for clip in labelled) == dict.fromkeys(range(3), min(recordings or most, most))
    per_person = Counter(clip.subject for clip in labelled)
    assert len(per_person) == min(people or 3, recordings or 3)
    assert max(per_person.values()) - min(per_person.values()) <= 3


def test_choice_depends_on_the_draw():
    assert FewLabels(2, 2, 0).keep(CLIPS) == FewLabels(2, 2, 0).keep(CLIPS)
    assert FewLabels(2, 2, 0).keep(CLIPS) != FewLabels(2, 2, 1).keep(CLIPS)


def test_labelled_spans_of_one_recording_are_chosen_one_by_one():
    spans = tuple(Segment(float(number), number + 1.0, number % 2) for number in range(8))
    (kept,) = FewLabels(1, 3, 0).keep((Clip("day", "ann", "1", {}, {}, segments=spans),))
    assert Counter(span.label for span in kept.segments) == {0: 3, 1: 3}
    assert set(kept.segments) <= set(spans)


@pytest.mark.parametrize("text", ["", "2", "0:5", "2:5:x", "2:-1", "two:5"])
def test_other_text_is_refused(text: str):
    with pytest.raises(ConfigError, match="expected PEOPLE:RECORDINGS"):
        DataOptions(few_labels=text)
