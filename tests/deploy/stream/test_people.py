"""Each person has a stream of their own; their number and their silence are bounded."""

from collections.abc import Iterator

import pytest

import edgehar
from edgehar import PeopleStreams, PersonResult, Segmenter, StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction
from tests.deploy.streams import Pushes, assert_same, sample_by_sample, steady


def together(pushes: dict[str | None, Pushes]) -> Iterator[tuple[str | None, tuple[str, object, object]]]:
    """The pushes of all people in turn."""
    for index in range(max(map(len, pushes.values()))):
        yield from ((person, of_one[index]) for person, of_one in pushes.items() if index < len(of_one))


def of(person: str | None, results: list[PersonResult]) -> list[Prediction]:
    return [prediction for one in results if one.person == person for prediction in one.predictions]


def test_people_do_not_mix(recognizer: Recognizer) -> None:
    recordings = {"ann": steady(3.0, 1), "bob": steady(2.5, 2, start_s=1e6), None: steady(2.0, 3, start_s=-5.0)}
    people = PeopleStreams(lambda: StreamRecognizer(recognizer), lambda: Segmenter(0.0))
    pushes = {person: sample_by_sample(one) for person, one in recordings.items()}
    found = [result for person, push in together(pushes) for result in people.push(person, *push)] + people.flush()
    for person, one in recordings.items():
        expected = recognizer.predict_windows(one.signals, one.times_s)
        assert_same(of(person, found), expected)
        segmenter = Segmenter(0.0)
        activities = segmenter.push(expected) + segmenter.flush()
        ended = [activity for result in found if result.person == person for activity in result.activities]
        assert [one.label for one in ended] == [one.label for one in activities]
    assert people.known == 2
    assert {name: (one.received, one.unused) for name, one in people.counts.items()} == {
        name: (sum(len(one.times_s[name]) for one in recordings.values()), 0) for name in ("skeleton", "inertial")
    }


def test_silent_person_is_flushed_and_forgotten(recognizer: Recognizer) -> None:
    people = PeopleStreams(lambda: StreamRecognizer(recognizer), max_people=1, timeout_s=10.0)
    ann, bob = steady(2.0, 1), steady(2.0, 2)
    found = [result for push in sample_by_sample(ann) for result in people.push("ann", *push, now_s=0.0)]
    first = sample_by_sample(bob)[0]
    with pytest.raises(DataError, match=r"person 'bob': 1 others .* --max-people"):
        people.push("bob", *first, now_s=10.0)
    found += people.push("bob", *first, now_s=10.5)
    assert_same(of("ann", found), recognizer.predict_windows(ann.signals, ann.times_s))
    for push in sample_by_sample(bob)[1:]:
        found += people.push("bob", *push, now_s=11.0)
    assert people.expire(15.0) == []
    found += people.expire(22.0)
    assert_same(of("bob", found), recognizer.predict_windows(bob.signals, bob.times_s))
    assert people.flush() == []
    assert people.counts["inertial"].received == 2 * len(ann.times_s["inertial"])


@pytest.mark.parametrize("person", ["", " ", "ann ", "\u2003ann", "x" * 65, "a\nb", "\x1b[2J", 7, ["ann"]])
def test_name_of_another_form_is_an_error(recognizer: Recognizer, person: object) -> None:
    people = PeopleStreams(lambda: StreamRecognizer(recognizer))
    with pytest.raises(DataError, match="1 to 64 printable characters"):
        people.push(person, *sample_by_sample(steady(1.0))[0])  # type: ignore[arg-type]


def test_invalid_first_sample_takes_no_place(recognizer: Recognizer) -> None:
    people = PeopleStreams(lambda: StreamRecognizer(recognizer), max_people=1)
    with pytest.raises(DataError):
        people.push("ann", "inertial", [[0.0]], [0.0])
    assert people.push("bob", *sample_by_sample(steady(1.0))[0]) == []


@pytest.mark.parametrize("limits", [{"max_people": 0}, {"timeout_s": 0.0}, {"timeout_s": float("nan")}])
def test_invalid_limits_are_rejected(recognizer: Recognizer, limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected at least 1 person"):
        edgehar.PeopleStreams(lambda: StreamRecognizer(recognizer), **limits)  # type: ignore[arg-type]
