"""Splits into training and test subjects; no subject is in both."""

from dataclasses import dataclass

from edgehar.errors import SplitError
from edgehar.signals.clip import natural_key


@dataclass(frozen=True)
class Split:
    """Training and test subjects.

    Raises SplitError if a subject is in both or one side is empty.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise SplitError for a shared subject or an empty side."""
        shared = sorted(set(self.train) & set(self.test), key=natural_key)
        if shared:
            raise SplitError(
                f"split {self.name}: subject {', '.join(shared)} is in both training and test; "
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
        raise SplitError(
            f"split {name}: subject {subject!r} has no number; expected names like s1; use list:A,B:C,D instead"
        )
    return int(digits)


def _listed(text: str, subjects: tuple[str, ...], name: str) -> tuple[str, ...]:
    chosen = tuple(part for part in text.split(",") if part)
    missing = [subject for subject in chosen if subject not in subjects]
    if missing:
        raise SplitError(f"split {name}: no subject {', '.join(missing)}; expected some of {', '.join(subjects)}")
    return chosen


def make_split(name: str, subjects: tuple[str, ...]) -> Split:
    """The split of this name.

    Names:
        odd-even            training on odd-numbered subjects, test on even-numbered ones
        loso:S              leave one subject out: test on S, training on the others
        fold:IofK           every K-th subject, from the I-th on (I from 0), is the test
        list:A,B:C,D        training on A and B, test on C and D
        OUTER/INNER         INNER within the training subjects of OUTER, for model selection

    Raises SplitError for an unknown name or subject, a shared subject or an empty side.
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
    raise SplitError(f"split {name!r}: expected odd-even, loso:S, fold:IofK, list:A,B:C,D or OUTER/INNER")


def leave_one_out(subjects: tuple[str, ...], outer: str = "") -> tuple[str, ...]:
    """Names of the leave-one-subject-out splits, within the training subjects of `outer` if given."""
    inner = make_split(outer, subjects).train if outer else subjects
    prefix = f"{outer}/" if outer else ""
    return tuple(f"{prefix}loso:{subject}" for subject in sorted(inner, key=natural_key))
