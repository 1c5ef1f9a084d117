"""Splits are by subject, always; a subject on both sides is an error."""

from dataclasses import dataclass

from edgehar.errors import SplitError
from edgehar.signals.clip import natural_key


@dataclass(frozen=True)
class Split:
    """Which subjects train and which test.

    Raises SplitError if they share a subject or one side is empty.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a split that leaks or is empty."""
        shared = sorted(set(self.train) & set(self.test), key=natural_key)
        if shared:
            raise SplitError(
                f"split {self.name}: subject {', '.join(shared)} is in training and test; "
                "expected disjoint subjects; remove it from one side"
            )
        if not self.train or not self.test:
            raise SplitError(
                f"split {self.name}: {len(self.train)} training and {len(self.test)} test subjects; "
                "expected at least one of each; choose another split"
            )


def _number(subject: str, name: str) -> int:
    digits = "".join(char for char in subject if char.isdigit())
    if not digits:
        raise SplitError(f"split {name}: subject {subject!r} has no number; use list: with subject names instead")
    return int(digits)


def _listed(text: str, subjects: tuple[str, ...], name: str) -> tuple[str, ...]:
    chosen = tuple(part for part in text.split(",") if part)
    unknown = [subject for subject in chosen if subject not in subjects]
    if unknown:
        raise SplitError(f"split {name}: no subject {', '.join(unknown)}; the data has {', '.join(subjects)}")
    return chosen


def make_split(name: str, subjects: tuple[str, ...]) -> Split:
    """Build a split from its name.

    Names:
        odd-even            odd-numbered subjects train, even-numbered test
        loso:S              leave subject S out for the test
        fold:IofK           subjects dealt into K folds in order, fold I (from 0) is the test
        list:A,B:C,D        A and B train, C and D test
        OUTER/INNER         INNER within the training subjects of OUTER: model selection without the test subjects

    Raises SplitError for an unknown name or subject, a leak or an empty side.
    """
    subjects = tuple(sorted(subjects, key=natural_key))
    if "/" in name:
        outer, inner = name.split("/", 1)
        nested = make_split(inner, make_split(outer, subjects).train)
        return Split(name, nested.train, nested.test)
    kind, _, rest = name.partition(":")
    if kind == "odd-even" and not rest:
        odd = tuple(subject for subject in subjects if _number(subject, name) % 2)
        return Split(name, odd, tuple(subject for subject in subjects if subject not in odd))
    if kind == "loso" and rest:
        test = _listed(rest, subjects, name)
        return Split(name, tuple(subject for subject in subjects if subject not in test), test)
    if kind == "fold" and "of" in rest:
        fold, _, folds = rest.partition("of")
        if fold.isdigit() and folds.isdigit() and int(fold) < int(folds) <= len(subjects):
            test = subjects[int(fold) :: int(folds)]
            return Split(name, tuple(subject for subject in subjects if subject not in test), test)
        raise SplitError(f"split {name}: expected fold:IofK with I < K <= {len(subjects)} subjects")
    if kind == "list" and rest.count(":") == 1:
        train, test = rest.split(":")
        return Split(name, _listed(train, subjects, name), _listed(test, subjects, name))
    raise SplitError(f"split {name!r} is unknown; expected odd-even, loso:S, fold:IofK, list:A,B:C,D or OUTER/INNER")


def leave_one_out(subjects: tuple[str, ...], outer: str = "") -> tuple[str, ...]:
    """Names of the leave-one-subject-out splits, within the training subjects of `outer` if given."""
    inner = make_split(outer, subjects).train if outer else subjects
    prefix = f"{outer}/" if outer else ""
    return tuple(f"{prefix}loso:{subject}" for subject in sorted(inner, key=natural_key))
