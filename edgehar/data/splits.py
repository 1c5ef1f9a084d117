"""Splits into training and test: by person, so that nobody is on both sides, or by trial for data of one person."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgehar.data.trials import labels_of, labels_shown, tested_recordings
from edgehar.errors import SplitError, shortened
from edgehar.signals.clip import Clip, natural_key

JOINED = "+"
"""Joins the names of the people in one recording: subject "ann+bob"."""
NAMES_OF_SPLITS = "odd-even, loso:S, fold:IofK, trial:IofK, list:A,B:C,D or OUTER/INNER"
MAX_TRIAL_FOLDS = 5
ONE_PERSON = "for data of one person use --split trial:0of5"
SAME_PEOPLE = (
    "Training and test have different recordings of the same people ({}): the scores are about these people; how well "
    "others are recognised was not measured."
)


@dataclass(frozen=True)
class Split:
    """Training and test.

    Attributes:
        name: see `make_split`.
        train: training subjects, as in `Clip.subject`.
        test: test subjects.
        train_recordings: names of the training recordings of a split by trial; empty if the split is by person.
        test_recordings: names of its test recordings.

    Raises SplitError if a person, or a recording of a split by trial, is on both sides, or one side is empty.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    train_recordings: tuple[str, ...] = ()
    test_recordings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise SplitError for a shared person or recording, or an empty side."""
        train, test = people_in(self.train), people_in(self.test)
        if self.by_trial:
            train, test = set(self.train_recordings), set(self.test_recordings)
        kind = "recording" if self.by_trial else "subject"
        shared = sorted(train & test, key=natural_key)
        if shared:
            raise SplitError(
                f"split {self.name}: {kind} {', '.join(shared)} is in both training and test; "
                f"expected disjoint {kind}s; remove it from one side"
            )
        if not train or not test:
            raise SplitError(
                f"split {self.name}: {len(train)} training and {len(test)} test {kind}s; expected at least one of "
                "each; choose another split"
            )

    @property
    def by_trial(self) -> bool:
        """Whether the same people may be on both sides, in different recordings."""
        return bool(self.train_recordings or self.test_recordings)

    def train_clips(self, clips: Iterable[Clip]) -> tuple[Clip, ...]:
        """The training recordings among these."""
        return self._chosen(clips, self.train, self.train_recordings)

    def test_clips(self, clips: Iterable[Clip]) -> tuple[Clip, ...]:
        """The test recordings among these."""
        return self._chosen(clips, self.test, self.test_recordings)

    def _chosen(self, clips: Iterable[Clip], subjects: Sequence[str], recordings: Sequence[str]) -> tuple[Clip, ...]:
        chosen = set(recordings if self.by_trial else subjects)
        return tuple(clip for clip in clips if (clip.name if self.by_trial else clip.subject) in chosen)


def people_of(subject: str) -> tuple[str, ...]:
    """The people whom a subject names: ("ann", "bob") for "ann+bob"."""
    people = tuple(part.strip() for part in subject.split(JOINED))
    return people if all(people) else (subject,)


def people_in(subjects: Iterable[str]) -> set[str]:
    """All people whom these subjects name."""
    return {person for subject in set(subjects) for person in people_of(subject)}


def seen_before(split: Split, stored: Mapping[str, Any]) -> str:
    """What a split tests on although a training saw it, such as "subject s1, s2"; empty if nothing.

    Args:
        split: the split; one by trial tests on recordings of people who are trained on.
        stored: `train_subjects` and `train_recordings` of the training.
    """
    kind, tested, seen = "subject", people_in(split.test), people_in(stored.get("train_subjects", ()))
    if split.by_trial and stored.get("train_recordings"):
        kind, tested, seen = "recording", set(split.test_recordings), set(stored["train_recordings"])
    return f"{kind} {shortened(sorted(tested & seen, key=natural_key))}" if tested & seen else ""


def groups_of(subjects: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """People who are connected by common recordings, group by group, in natural order (s2 before s10)."""
    group_of: dict[str, set[str]] = {}
    for subject in set(subjects):
        joined = {person for known in people_of(subject) for person in group_of.get(known, {known})}
        group_of |= dict.fromkeys(joined, joined)
    groups = {tuple(sorted(group, key=natural_key)) for group in group_of.values()}
    return tuple(sorted(groups, key=lambda group: [natural_key(person) for person in group]))


def _number(subject: str, name: str) -> int:
    digits = "".join(char for char in subject if char.isdigit())
    if not digits:
        raise SplitError(
            f"split {name}: subject {subject!r} has no number; expected names like s1; use list:A,B:C,D instead"
        )
    return int(digits)


def _listed(text: str, people: set[str], name: str) -> set[str]:
    chosen = people_in(part for part in text.split(",") if part)
    missing = sorted(chosen - people, key=natural_key)
    if missing:
        known = ", ".join(sorted(people, key=natural_key))
        raise SplitError(f"split {name}: no subject {', '.join(missing)}; expected some of {known}")
    return chosen


def _fold(text: str, name: str) -> tuple[int, int]:
    """I and K of "IofK"; raises SplitError unless 0 <= I < K and K >= 2."""
    fold, _, folds = text.partition("of")
    numbers = all(part.isascii() and part.isdigit() for part in (fold, folds))
    if not numbers or not int(fold) < int(folds) or int(folds) < 2:
        raise SplitError(f"split {name}: expected {name.partition(':')[0]}:IofK with I < K and K of 2 or more")
    return int(fold), int(folds)


def _by_person(name: str, subjects: tuple[str, ...]) -> Split:
    kind, _, rest = name.partition(":")
    groups, people = groups_of(subjects), people_in(subjects)
    if kind == "odd-even" and not rest:
        test = {person for person in people if _number(person, name) % 2 == 0}
        train = people - test
    elif kind == "loso" and rest:
        test = _listed(rest, people, name)
        train = people - test
    elif kind == "fold" and "of" in rest:
        fold, folds = _fold(rest, name)
        if folds > len(groups):
            together = " (people in one recording count as one)" if len(groups) < len(people) else ""
            cure = ONE_PERSON if len(groups) == 1 else "use fewer folds"
            raise SplitError(
                f"split {name}: recordings of {len(groups)} subject{'s' * (len(groups) > 1)}{together}; expected as "
                f"many as folds or more; {cure}"
            )
        test = {person for group in groups[fold::folds] for person in group}
        train = people - test
    elif kind == "list" and rest.count(":") == 1:
        train, test = (_listed(side, people, name) for side in rest.split(":"))
    else:
        raise SplitError(f"split {name!r}: expected {NAMES_OF_SPLITS}")
    for subject in subjects:
        present = set(people_of(subject))
        if present & (train | test) and not present <= train and not present <= test:
            raise SplitError(
                f"split {name}: {', '.join(people_of(subject))} are in one recording (subject {subject}); expected "
                "all of them on one side; use fold:IofK, or name all of them"
            )
    if len(groups) == 1 and not (train and test):
        raise SplitError(f"split {name}: recordings of one subject ({subjects[0]}); expected two or more; {ONE_PERSON}")
    sides = [tuple(one for one in subjects if people_in([one]) <= side) for side in (train, test)]
    return Split(name, *sides)


def _cutting(clips: Iterable[Clip]) -> str:
    """How to cut recordings of these lengths into trials; empty for clips without timestamps."""
    lengths_s = [max(float(times_s[-1]) for times_s in clip.times_s.values()) for clip in clips if clip.times_s]
    part_s = int(min(lengths_s, default=0.0) / MAX_TRIAL_FOLDS)
    command = f"edgehar data convert FOLDER --part-s {part_s} --out NEW"
    return f", or cut long recordings into parts: {command}" if part_s else ""


def _by_trial(name: str, clips: tuple[Clip, ...]) -> Split:
    fold, folds = _fold(name.partition(":")[2], name)
    subjects = sorted({clip.subject for clip in clips}, key=natural_key)
    tested: set[str] = set()
    for subject in subjects:
        tested |= tested_recordings((clip for clip in clips if clip.subject == subject), fold, folds)
    names = sorted((clip.name for clip in clips), key=natural_key)
    train = tuple(one for one in names if one not in tested)
    test = tuple(one for one in names if one in tested)
    if not test or not train:
        people = f"{'one person' if len(subjects) == 1 else 'each person'} ({shortened(subjects)})"
        raise SplitError(
            f"recordings of {people}, and no label has two that a split by trial ({name}) can separate; expected two "
            f"or more of each label; record the activities again, or another person{_cutting(clips)}"
        )
    return Split(name, tuple(subjects), tuple(subjects), train, test)


def make_split(name: str, clips: Iterable[Clip]) -> Split:
    """The split of this name of these recordings.

    Names:
        odd-even            training on odd-numbered subjects, test on even-numbered ones
        loso:S              leave one subject out: test on S, training on the others
        fold:IofK           every K-th subject, from the I-th on (I from 0), is the test
        list:A,B:C,D        training on A and B, test on C and D
        trial:IofK          every K-th trial of each subject is the test; without trials, every K-th recording of each
                            label. A label with two or more recordings is on both sides where possible, one with a
                            single recording is in training
        OUTER/INNER         INNER within the training recordings of OUTER, for model selection

    A recording of several people ("ann+bob") is on one side together with all other recordings of each of them.

    Raises SplitError for an unknown name or subject, people of one recording on both sides, or an empty side.
    """
    clips = tuple(clips)
    if "/" in name:
        outer, inner = name.split("/", 1)
        within = make_split(outer, clips)
        nested = make_split(inner, within.train_clips(clips))
        if within.by_trial and not nested.by_trial:
            train, test = (
                tuple(clip.name for clip in side(within.train_clips(clips)))
                for side in (nested.train_clips, nested.test_clips)
            )
            nested = replace(nested, train_recordings=train, test_recordings=test)
        return replace(nested, name=name)
    if name.startswith("trial:"):
        return _by_trial(name, clips)
    return _by_person(name, tuple(sorted({clip.subject for clip in clips}, key=natural_key)))


def cross_validation(clips: Iterable[Clip], outer: str = "") -> dict[str, str]:
    """What each fold leaves out -> name of its split, within the training recordings of `outer` if given.

    A fold leaves out one person, with all who are recorded together with them; trials, if `outer` is by trial or there
    is only one person.
    """
    clips = tuple(clips)
    within = make_split(outer, clips) if outer else None
    inner = clips if within is None else within.train_clips(clips)
    prefix = f"{outer}/" if outer else ""
    groups = groups_of(clip.subject for clip in inner)
    by_trial = len(groups) == 1 if within is None else within.by_trial
    if not by_trial:
        return {name: f"{prefix}loso:{name}" for name in map(JOINED.join, groups)}
    shown = Counter(label for clip in inner for label in labels_of(clip))
    folds = min([MAX_TRIAL_FOLDS, *(count for count in shown.values() if count > 1)])
    return {f"{fold}of{folds}": f"{prefix}trial:{fold}of{folds}" for fold in range(folds)}


def caveats(split: Split, clips: Iterable[Clip], labels: Sequence[str]) -> tuple[str, ...]:
    """What a split by trial cannot show, as sentences for people; none for a split by person."""
    if not split.by_trial:
        return ()
    clips = tuple(clips)
    sides = [labels_shown(side) for side in (split.train_clips(clips), split.test_clips(clips))]
    untested = [labels[label] for label in sorted(sides[0] - sides[1])]
    people = sorted(people_in(split.train), key=natural_key)
    found = [SAME_PEOPLE.format(shortened(people))]
    if untested:
        found.append(f"Not tested, for lack of a second recording: {shortened(untested)}.")
    return tuple(found)


def announced(options_split: str | None, split: Split) -> str:
    """What to say before training about a split that nobody chose; empty for a split by person."""
    if options_split is not None or not split.by_trial:
        return ""
    return (
        f"recordings of one person ({', '.join(split.train)}): split by trial ({split.name}), "
        f"{len(split.train_recordings)} for training, {len(split.test_recordings)} for the test; this does not show "
        "how well other people are recognised\n"
    )
