"""Splits by person and by trial: nothing is on both sides, and every label is on both where possible."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.registry import DataOptions
from edgehar.data.splits import Split, caveats, cross_validation, groups_of, make_split, people_in, people_of
from edgehar.data.trials import labels_of
from edgehar.errors import SplitError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

PEOPLE = ("p1", "p2", "p3", "p4", "p10")
LABELS = ("walk", "rest", "run", "jump")


def recording(
    name: str, subject: str = "p0", trial: str = "", label: int | None = 0, spans: tuple[int, ...] = ()
) -> Clip:
    segments = tuple(Segment(float(number), number + 1.0, one) for number, one in enumerate(spans))
    return Clip(name, subject, trial, {}, {}, None if spans else label, {}, segments)


def sides(split: Split, clips: list[Clip]) -> tuple[set[str], set[str]]:
    train, test = ({clip.name for clip in side} for side in (split.train_clips(clips), split.test_clips(clips)))
    return train, test


@st.composite
def of_several_people(draw: st.DrawFn) -> list[Clip]:
    """Recordings of one to three people each."""
    subjects = draw(
        st.lists(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True), min_size=2, max_size=12)
    )
    return [recording(f"r{number}", "+".join(people)) for number, people in enumerate(subjects)]


@st.composite
def of_one_person(draw: st.DrawFn) -> list[Clip]:
    """Recordings of one person in any design: labels in trials, spans, recordings without a label."""
    trials, one_label = st.sampled_from(("", "1", "2", "3", "10")), st.sampled_from((0, 1, 2, 3, None))
    spans = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    rows = draw(st.lists(st.tuples(trials, one_label, spans), min_size=1, max_size=25))
    return [recording(f"r{number}", "p0", *row) for number, row in enumerate(rows)]


@given(clips=of_several_people(), folds=st.integers(2, 5), order=st.randoms())
def test_folds_of_people(clips: list[Clip], folds: int, order: object) -> None:
    """Every person is tested in exactly one fold and never on both sides, in whatever order the recordings are."""
    groups = groups_of(clip.subject for clip in clips)
    shuffled = clips.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    tested: Counter[str] = Counter()
    for fold in range(folds):
        name = f"fold:{fold}of{folds}"
        if folds > len(groups):
            with pytest.raises(SplitError, match=f"recordings of {len(groups)} subject.*expected as many"):
                make_split(name, clips)
            return
        split = make_split(name, clips)
        assert split == make_split(name, shuffled)
        assert not people_in(split.train) & people_in(split.test)
        train, test = sides(split, clips)
        assert train | test == {clip.name for clip in clips}
        assert train
        assert test
        tested.update(people_in(split.test))
    assert set(tested.values()) == {1}
    assert set(tested) == people_in(clip.subject for clip in clips)


@given(clips=of_several_people())
def test_cross_validation_leaves_each_group_out_once(clips: list[Clip]) -> None:
    folds = cross_validation(clips)
    groups = groups_of(clip.subject for clip in clips)
    if len(groups) == 1:
        assert all(split.startswith("trial:") for split in folds.values())
        return
    assert list(folds) == ["+".join(group) for group in groups]
    for group, name in zip(groups, folds.values(), strict=True):
        split = make_split(name, clips)
        assert people_in(split.test) == set(group)
        assert people_in(split.train) == people_in(clip.subject for clip in clips) - set(group)


@given(clips=of_one_person(), folds=st.integers(2, 6), chosen=st.integers(0, 5), order=st.randoms())
def test_trials_of_one_person(clips: list[Clip], folds: int, chosen: int, order: object) -> None:
    name = f"trial:{chosen % folds}of{folds}"
    shuffled = clips.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    count = Counter(label for clip in clips for label in labels_of(clip))
    try:
        split = make_split(name, clips)
    except SplitError:
        with pytest.raises(SplitError, match="no label has two"):
            make_split(name, shuffled)
        if not any(clip.segments for clip in clips):  # with one label each, two recordings can always be separated
            assert not any(number > 1 for number in count.values())
        return
    assert split == make_split(name, shuffled)
    train, test = sides(split, clips)
    assert train | test == {clip.name for clip in clips}
    assert not train & test
    trained, tested = (
        Counter(label for clip in clips if clip.name in side for label in labels_of(clip)) for side in (train, test)
    )
    assert set(trained) == set(count)  # nothing is tested that was never shown
    if not any(clip.segments for clip in clips):
        assert set(tested) == {label for label, number in count.items() if number > 1}
        assert all(clip.label is not None or clip.name in train for clip in clips) or not count


@given(number=st.integers(2, 30), folds=st.integers(2, 5))
def test_every_trial_with_all_labels_is_tested_in_one_fold(number: int, folds: int) -> None:
    """Where each trial shows every label, the test is every K-th trial."""
    clips = [
        recording(f"{label}_{trial}", trial=str(trial), label=label) for trial in range(number) for label in range(3)
    ]
    for fold in range(min(folds, number)):
        _, test = sides(make_split(f"trial:{fold}of{folds}", clips), clips)
        assert test == {f"{label}_{trial}" for trial in range(fold, number, min(folds, number)) for label in range(3)}


def test_recordings_are_separated_where_trials_cannot_be() -> None:
    clips = [
        recording(f"{label}_{number}", trial=str(label), label=label) for label in range(2) for number in range(10)
    ]
    _, test = sides(make_split("trial:0of5", clips), clips)
    assert test == {"0_0", "0_5", "1_0", "1_5"}


def test_splits_of_trials_are_nested() -> None:
    clips = [recording(f"{subject}_{trial}", subject, str(trial)) for subject in ("ann", "bob") for trial in range(10)]
    outer = make_split("trial:0of5", clips)
    assert sides(outer, clips)[1] == {"ann_0", "ann_5", "bob_0", "bob_5"}
    for inner in ("trial:0of2", "loso:bob"):
        split = make_split(f"trial:0of5/{inner}", clips)
        train, test = sides(split, clips)
        assert not (train | test) & sides(outer, clips)[1]
        assert not train & test
    assert sides(make_split("trial:0of5/loso:bob", clips), clips)[1] == {f"bob_{n}" for n in range(10) if n % 5}
    assert set(cross_validation(clips, "trial:0of5").values()) == {f"trial:0of5/trial:{n}of5" for n in range(5)}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fold:0of5", r"recordings of 1 subject; .*use --split trial:0of5"),
        ("fold:0of1", r"K of 2 or more"),
        ("loso:p0", r"recordings of one subject \(p0\).*use --split trial:0of5"),
        ("odd-even", r"recordings of one subject \(p0\).*use --split trial:0of5"),
        ("list:p0:p0", r"p0 is in both"),
        ("trial:5of5", r"I < K"),
        ("trial:0of1", r"K of 2 or more"),
        (
            "trial:0of2",
            r"one person \(p0\), and no label has two that a split by trial \(trial:0of2\).*or another person",
        ),
        ("trial", r"expected odd-even.*trial:IofK"),
    ],
)
def test_one_person_cannot_be_split_by_person(name: str, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_split(name, [recording("a", label=0), recording("b", label=1)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odd-even", r"s1, s2 are in one recording \(subject s1\+s2\).*use fold"),
        ("loso:s1", r"s1, s2 are in one recording"),
        ("list:s1:s3", r"s1, s2 are in one recording"),
        ("list:s1,s3:s2", r"s1, s2 are in one recording"),
        ("fold:0of3", r"recordings of 2 subjects \(people in one recording count as one\)"),
    ],
)
def test_people_of_one_recording_stay_together(name: str, message: str) -> None:
    clips = [recording("a", "s1+s2"), recording("b", "s1"), recording("c", "s3")]
    with pytest.raises(SplitError, match=message):
        make_split(name, clips)
    assert make_split("loso:s1+s2", clips) == make_split("loso:s2,s1", clips).__class__(
        "loso:s1+s2", ("s3",), ("s1", "s1+s2")
    )


def test_names_of_people() -> None:
    assert people_of("ann+bob") == people_of("ann + bob") == ("ann", "bob")
    assert [people_of(name) for name in ("ann", "C++", "+")] == [("ann",), ("C++",), ("+",)]


def made(clips: list[Clip]) -> Dataset:
    return Dataset(
        DatasetInfo("made", (ModalitySpec("watch", 3, "g", 20, 1),), LABELS, WindowSpec("clip", 4, 0.1)), tuple(clips)
    )


@pytest.mark.parametrize(("people", "folds"), [(2, 2), (3, 3), (4, 4), (5, 5), (9, 5)])
def test_default_has_as_many_folds_as_people(people: int, folds: int) -> None:
    dataset = made([recording(f"r{number}", f"p{number}") for number in range(people)])
    assert DataOptions("mine").make_split(dataset).name == f"fold:0of{folds}"


@pytest.mark.parametrize("subject", ["p0", "ann+bob"])
def test_default_of_one_person_is_by_trial(subject: str) -> None:
    clips = [recording(f"r{number}", subject, label=number % 2) for number in range(10)]
    dataset = made([*clips, recording("single", subject, label=2)])
    split = DataOptions("mine").make_split(dataset)
    assert split.name == "trial:0of5"
    assert split.test_recordings == ("r0", "r1")
    first, second = caveats(split, dataset.clips, LABELS)
    assert re.search(f"same people .{subject.replace('+', ', ')}.*others are recognised was not measured", first)
    assert second == "Not tested, for lack of a second recording: run."
