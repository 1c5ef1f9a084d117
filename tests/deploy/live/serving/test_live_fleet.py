"""People of a live stream: the same answers as streams of their own; their number and their silence are bounded."""

import json
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

from edgehar import Fleet, Segmenter, StreamRecognizer
from edgehar.deploy.live.json_lines import Samples, StreamMessage
from edgehar.deploy.live.serving.live_fleet import Answer, LiveFleet, stream_answers
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.segments import Activity
from edgehar.errors import DataError
from edgehar.signals.clip import Prediction
from tests.deploy.running import predictions_of
from tests.deploy.stream.test_fleet import assert_identical, random_pushes
from tests.deploy.streams import Pushes, assert_same, sample_by_sample, steady

RECORDINGS = {"ann": steady(3.0, 1), "bob": steady(2.5, 2, start_s=1e6), None: steady(2.0, 3, start_s=-5.0)}


def serving(recognizer: Recognizer, max_people: int = 16, segments: bool = False, **options: Any) -> LiveFleet:
    fleet = Fleet(recognizer, max_people=max_people, idle_s=float("inf"))
    return LiveFleet(fleet, (lambda: Segmenter(0.0)) if segments else None, **({"timeout_s": 60.0} | options))


def line(person: str | None, push: tuple[str, Any, Any], number: int = 0, arrived_s: float = 0.0) -> StreamMessage:
    name, samples, times_s = push
    entry = {"modality": name, "time_s": list(times_s), "samples": np.asarray(samples).tolist()}
    named = entry if person is None else {"person": person, **entry}
    return StreamMessage(f"line {number}", json.dumps(named).encode(), arrived_s)


def in_turn(pushes: Mapping[Any, Pushes]) -> list[StreamMessage]:
    """The lines of all people in turn."""
    rounds = zip_longest(*([line(person, push) for push in of_one] for person, of_one in pushes.items()))
    return [one for turn in rounds for one in turn if one]


def of(person: str | None, answers: Iterable[Answer]) -> list[Prediction]:
    return predictions_of(one for one in answers if one.person == person)


def test_people_do_not_mix(recognizer: Recognizer) -> None:
    people = serving(recognizer, segments=True)
    messages = in_turn({person: sample_by_sample(one) for person, one in RECORDINGS.items()})
    found = list(stream_answers(people, messages, skip_bad=False))
    for person, one in RECORDINGS.items():
        expected = recognizer.predict_windows(one.signals, one.times_s)
        assert_same(of(person, found), expected)
        segmenter = Segmenter(0.0)
        activities = segmenter.push(expected) + segmenter.flush()
        ended = [answer.found for answer in found if answer.person == person and isinstance(answer.found, Activity)]
        assert [activity.label for activity in ended] == [activity.label for activity in activities]
    assert (people.known, people.people, people.predictions) == (2, 0, len(predictions_of(found)))
    assert {name: (one.received, one.unused) for name, one in people.counts.items()} == {
        name: (sum(len(one.times_s[name]) for one in RECORDINGS.values()), 0) for name in ("skeleton", "inertial")
    }


@pytest.mark.parametrize("seed", range(8))
def test_answers_are_the_bits_of_single_streams_however_lines_arrive(recognizer: Recognizer, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pushes = {f"p{number}": random_pushes(generator) for number in range(int(generator.integers(1, 7)))}
    messages: list[StreamMessage | None] = list(in_turn(pushes))
    for index in sorted(generator.integers(0, len(messages) + 1, len(messages) // 10), reverse=True):
        messages.insert(int(index), None)  # nothing waits
    found = list(stream_answers(serving(recognizer, timeout_s=float("inf")), messages, skip_bad=True))
    for person, of_one in pushes.items():
        stream = StreamRecognizer(recognizer)
        expected = [one for push in of_one for one in stream.push(*push)] + stream.flush()
        assert_identical(of(person, found), expected)


def test_hops_of_lines_that_wait_are_computed_together(recognizer: Recognizer) -> None:
    people = serving(recognizer)
    polls = list[int]()
    recording = sample_by_sample(steady(2.0, 1))
    messages = [line(f"p{number}", push) for push in recording for number in range(8)]

    def counted() -> Iterable[StreamMessage]:
        for message in messages:
            before = people.predictions
            yield message
            polls.append(people.predictions - before)

    found = list(stream_answers(people, counted(), skip_bad=False))
    assert len(found) == people.predictions
    assert max(polls) > 1


def test_single_stream_is_answered_by_the_line_that_completes_a_hop(recognizer: Recognizer) -> None:
    stream, people = StreamRecognizer(recognizer), serving(recognizer)
    for number, push in enumerate(sample_by_sample(steady(3.0, 1))):
        answers = people.push(Samples("ann", *push), float(number))
        assert_identical(predictions_of(answers), stream.push(*push))
        assert all(answer.arrived_s == number for answer in answers)


def test_silent_person_is_flushed_and_forgotten(recognizer: Recognizer) -> None:
    people = serving(recognizer, max_people=1, timeout_s=10.0)
    ann, bob = steady(2.0, 1), steady(2.0, 2)
    messages = [line("ann", push, arrived_s=0.0) for push in sample_by_sample(ann)]
    first, *others = sample_by_sample(bob)
    messages += [line("bob", first, 77, arrived_s=10.0)]  # one too many
    messages += [line("bob", push, arrived_s=10.5) for push in (first, *others)]
    found = list(stream_answers(people, messages, skip_bad=True))
    for person, one in (("ann", ann), ("bob", bob)):
        assert_same(of(person, found), recognizer.predict_windows(one.signals, one.times_s))
    assert (people.rejected, people.known) == (1, 2)
    assert people.counts["inertial"].received == 2 * len(ann.times_s["inertial"])


def test_one_person_too_many_is_an_error_with_the_option(recognizer: Recognizer) -> None:
    messages = [line(person, sample_by_sample(steady(1.0))[0]) for person in ("ann", "bob")]
    with pytest.raises(DataError, match=r"person 'bob': 1 others .*--max-people"):
        list(stream_answers(serving(recognizer, max_people=1), messages, skip_bad=False))


def test_answers_before_an_invalid_line_are_not_lost(recognizer: Recognizer) -> None:
    pushes = {f"p{number}": sample_by_sample(steady(2.0, number)) for number in range(4)}
    messages = [*in_turn(pushes), StreamMessage("line 999", b"oops")]
    found = list[Answer]()
    with pytest.raises(DataError, match="line 999"):
        found.extend(stream_answers(serving(recognizer), messages, skip_bad=False))
    for person, of_one in pushes.items():
        stream = StreamRecognizer(recognizer)
        assert_identical(of(person, found), [one for push in of_one for one in stream.push(*push)])


def test_invalid_first_sample_takes_no_place(recognizer: Recognizer) -> None:
    people = serving(recognizer, max_people=1)
    with pytest.raises(DataError):
        people.push(Samples("ann", "inertial", [[0.0]], [0.0]), 0.0)
    assert people.push(Samples("bob", *sample_by_sample(steady(1.0))[0]), 0.0) == []
    assert (people.people, people.known) == (1, 1)
