"""Pushes of many people at once are pushes one by one; rows of people who were forgotten are used again."""

from typing import Any

import numpy as np
import pytest

from edgehar import Fleet, StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.settings import Push
from edgehar.errors import DataError
from edgehar.signals.clip import Prediction
from tests.deploy.stream.test_fleet import random_pushes
from tests.deploy.streams import steady

Bits = tuple[str, float, bytes, float, float]


def as_bits(one: Prediction) -> Bits:
    return one.label, one.score, one.probabilities.tobytes(), one.start_s, one.end_s


def everybodys_pushes(seed: int, people: int) -> list[Push]:
    """Damaged recordings of several people, in a random order that keeps each one's own."""
    generator = np.random.default_rng(seed)
    waiting = {f"{number}": random_pushes(generator) for number in range(people)}
    pushes: list[Push] = []
    while waiting:
        person = str(generator.choice(list(waiting)))
        pushes.append((person, *waiting[person].pop(0)))
        if not waiting[person]:
            del waiting[person]
    return pushes


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_pushes_at_once_are_those_one_by_one(recognizer: Recognizer, share: float) -> None:
    pushes = everybodys_pushes(3, people=12)
    if not share:  # all are arrays of usable numbers
        pushes = [(person, name, np.nan_to_num(values), times_s) for person, name, values, times_s in pushes]
    alone, together = Fleet(recognizer), Fleet(recognizer)
    expected, found = dict[str | None, list[Bits]](), dict[str | None, list[Bits]]()
    for first in range(0, len(pushes), 25):
        due = [alone.push(*push) for push in pushes[first : first + 25]]
        assert together.push_all(pushes[first : first + 25]) == any(due)
        for fleet, predictions in ((alone, expected), (together, found)):
            for person, one in fleet.poll():
                predictions.setdefault(person, []).append(as_bits(one))
    assert sum(map(len, expected.values())) > 100
    assert found == expected
    assert together.counts_by_person == alone.counts_by_person
    assert together.take_warnings() == alone.take_warnings()


def test_names_of_other_text_types_are_the_same_people(recognizer: Recognizer) -> None:
    pushes = everybodys_pushes(3, people=2)
    plain, other = Fleet(recognizer), Fleet(recognizer)
    for person, *rest in pushes:
        plain.push(person, *rest)
        other.push(None if person is None else np.str_(person), *rest)
    assert other.counts_by_person == plain.counts_by_person
    assert [person for person, _ in other.flush()] == [person for person, _ in plain.flush()]


def test_pushes_before_a_wrong_one_are_used_and_those_after_it_are_not(recognizer: Recognizer) -> None:
    fleet = Fleet(recognizer)
    values, times_s = np.zeros((5, 6)), np.arange(5) / 50
    wrong: list[Any] = [("b", "inertial", values[:, :5], times_s), ("b", "inertial", values, times_s * np.nan)]
    wrong += [("b", "inertial", values), (), None]
    for push in wrong:
        with pytest.raises(DataError):
            fleet.push_all([("a", "inertial", values, times_s), push, ("c", "inertial", values, times_s)])
        assert fleet.people == ("a",)
    assert fleet.push_all([]) is False


def test_caller_may_change_what_was_pushed(recognizer: Recognizer) -> None:
    recording = steady(4.0, 5, 0.0)
    expected, found = list[Bits](), list[Bits]()
    for predictions, is_changed in ((expected, False), (found, True)):
        fleet, stream = Fleet(recognizer), StreamRecognizer(recognizer)
        for first in range(0, 200, 8):
            for name, values in recording.signals.items():
                times_s = recording.times_s[name]
                samples, own_s = values[first : first + 8].astype(np.float32), times_s[first : first + 8].copy()
                if len(samples):
                    fleet.push("a", name, samples, own_s)
                    predictions += [as_bits(one) for one in stream.push(name, samples, own_s)]
                    if is_changed:
                        samples[:], own_s[:] = 7.0, -1.0
        predictions += [as_bits(one) for _, one in fleet.poll()]
    assert len(expected) > 10
    assert found == expected


def test_rows_of_forgotten_people_are_used_again(recognizer: Recognizer) -> None:
    fleet, recording = Fleet(recognizer, max_people=4), steady(3.0, 1, 0.0)
    found = dict[str, list[Bits]]()
    for turn in range(20):
        name = f"{turn}"
        for sensor in recording.signals:
            fleet.push(name, sensor, recording.signals[sensor] * (turn + 1), recording.times_s[sensor])
        with pytest.raises(DataError):  # not admitted, and keeps no row
            fleet.push("far", "inertial", np.zeros((1, 6)), [1e12])
        found[name] = [as_bits(one) for person, one in fleet.poll() if person == name]
        if turn >= 2:
            fleet.forget(f"{turn - 2}")
    assert len(fleet._rows.tokens) <= 8
    for turn in range(20):
        stream = StreamRecognizer(recognizer)
        expected = [
            as_bits(one)
            for sensor in recording.signals
            for one in stream.push(sensor, recording.signals[sensor] * (turn + 1), recording.times_s[sensor])
        ]
        assert expected
        assert found[f"{turn}"] == expected
