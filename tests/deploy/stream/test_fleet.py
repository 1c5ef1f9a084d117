"""The people of a fleet get the predictions of streams of their own, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar import Fleet, StreamRecognizer
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction
from tests.deploy.streams import Pushes, Recording, chopped, sample_by_sample, steady
from tests.deploy.tiny_package import SKELETON, write_tiny_package

Found = dict[str | None, list[Prediction]]


def damaged(generator: np.random.Generator, seconds: float) -> Recording:
    """A recording with some of: lost samples and joints, pauses, a missing sensor, jitter, packets, clocks set back."""
    recording = steady(seconds, int(generator.integers(1 << 30)), float(generator.choice([0.0, 1.7e9, -5.0])))
    signals, times_s = dict(recording.signals), dict(recording.times_s)

    def happens(share: float) -> bool:
        return bool(generator.random() < share)

    for name in list(signals):
        values, times = signals[name].copy(), times_s[name].copy()
        start_s = float(times[0])
        if happens(0.2):
            times += generator.random(len(times)) * 0.01
        if happens(0.3):
            values[generator.random(len(values)) < 0.1] = np.nan
        if happens(0.3) and name == "skeleton":
            lost = generator.random((len(values), SKELETON.groups)) < 0.1
            lost[: int(generator.integers(len(values)))] = False
            values.reshape(len(values), SKELETON.groups, 3)[lost[:: generator.choice([-1, 1])]] = np.nan
        if happens(0.2):
            times = start_s + np.floor((times - start_s) * 10) / 10  # a coarse clock
        if happens(0.2):
            times[times > start_s + seconds / 2] += float(generator.choice([0.3, 4.0, 3600.0]))
        if happens(0.1):
            times[times > start_s + seconds / 2] -= 100.0
        keep = generator.random(len(times)) < (0.7 if happens(0.3) else 1.0)
        if happens(0.1):
            keep &= times < start_s + seconds / 2
        keep[0] = True
        signals[name], times_s[name] = values[keep], times[keep]
    if happens(0.1):
        del signals["skeleton"], times_s["skeleton"]
    return Recording(signals, times_s)


def random_pushes(generator: np.random.Generator, seconds: float = 3.0) -> Pushes:
    """The chunks of a damaged recording; some come late, twice or in the wrong order."""
    recording, late_s = damaged(generator, seconds), float(generator.choice([0.0, 0.0, 0.2, 1.0]))
    arriving: list[tuple[float, tuple[str, Any, Any]]] = []
    for name, times in recording.times_s.items():
        first = 0
        while first < len(times):
            rows = slice(first, first + int(generator.integers(1, 12)))
            arrival_s = seconds * first / len(times) + late_s * generator.random()
            push = (name, recording.signals[name][rows], times[rows])
            arriving += [(arrival_s, push)] * (1 + int(generator.random() < 0.02))
            first = rows.stop
    return [push for _, push in sorted(arriving, key=lambda one: one[0])]


def assert_identical(found: list[Prediction], expected: list[Prediction]) -> None:
    """The same windows and the same bits."""
    assert [(one.label, one.score, one.start_s, one.end_s) for one in found] == [
        (one.label, one.score, one.start_s, one.end_s) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.probabilities, other.probabilities)


def collect(found: Found, polled: list[tuple[str | None, Prediction]]) -> None:
    for person, prediction in polled:
        found.setdefault(person, []).append(prediction)


def run_fleet(fleet: Fleet, pushes: dict[Any, Pushes], generator: np.random.Generator, poll_share: float) -> Found:
    """Push in a random order of people, poll now and then, flush at the end."""
    found: Found = {person: [] for person in pushes}
    places = [person for person, of_one in pushes.items() for _ in of_one]
    following = {person: iter(of_one) for person, of_one in pushes.items()}
    for place in generator.permutation(len(places)):
        fleet.push(places[place], *next(following[places[place]]))
        if generator.random() < poll_share:
            collect(found, fleet.poll())
    collect(found, fleet.flush())
    return found


@pytest.mark.parametrize("seed", range(6))
def test_people_equal_separate_streams_whatever_is_pushed(recognizer: Recognizer, seed: int) -> None:
    generator = np.random.default_rng(seed)
    options: dict[str, Any] = [
        {},
        {"smoothing": 0.5, "margin": 0.1},
        {"reorder_s": 0.2},
        {"lateness_s": float("inf")},
        {"modalities": ["inertial"]},
        {"offsets_s": {"inertial": 0.05}},
    ][seed]
    pushes = {name: random_pushes(generator) for name in (None, "ann", "bob", "eve", "max", "zoe")}
    if "modalities" in options:
        pushes = {name: [push for push in of_one if push[0] == "inertial"] for name, of_one in pushes.items()}
    expected: Found = {}
    for person, of_one in pushes.items():
        stream = StreamRecognizer(recognizer, **options)
        expected[person] = [one for push in of_one for one in stream.push(*push)] + stream.flush()
    fleet = Fleet(recognizer, **options, idle_s=float("inf"))
    found = run_fleet(fleet, pushes, generator, poll_share=0.05)
    for person, of_one in expected.items():
        assert_identical(found[person], of_one)
    assert sum(map(len, expected.values())) > 20


def test_regular_people_together_equal_separate_streams(recognizer: Recognizer) -> None:
    recordings = {f"p{index}": steady(3.0, index, start_s=1000.0 * index) for index in range(8)}
    cuts_s = {
        person: [one.times_s["inertial"][0] + t for t in np.arange(0.2, 3, 0.16)] for person, one in recordings.items()
    }
    pushes = {person: chopped(one, cuts_s[person]) for person, one in recordings.items()}
    fleet, found = Fleet(recognizer), Found()
    for index in range(max(map(len, pushes.values()))):
        for person, of_one in pushes.items():
            if index < len(of_one):
                fleet.push(person, *of_one[index])
        collect(found, fleet.poll())
    assert sorted(fleet.people) == sorted(pushes)
    counts = fleet.counts["inertial"]
    assert (counts.received, counts.unused) == (8 * len(recordings["p0"].times_s["inertial"]), 0)
    for person, of_one in pushes.items():
        stream = StreamRecognizer(recognizer)
        assert_identical(found[person], [one for push in of_one for one in stream.push(*push)])
        assert found[person]
        assert_identical(fleet.forget(person), stream.flush())
    assert fleet.people == ()
    assert fleet.poll() == []


def test_one_late_poll_gives_what_many_would(recognizer: Recognizer) -> None:
    pushes = {person: sample_by_sample(steady(4.0, index)) for index, person in enumerate(("ann", "bob"))}
    found: list[Found] = []
    for share in (0.0, 1.0):
        found.append(run_fleet(Fleet(recognizer), pushes, np.random.default_rng(0), share))
    for person in pushes:
        assert_identical(found[0][person], found[1][person])


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
def test_quantised_person_does_not_depend_on_others(tmp_path: Path, precision: str) -> None:
    write_tiny_package(tmp_path / "package", kind="sliding", hop=1)
    quantize(tmp_path / "package", ("int8", "int8-dynamic"))
    recognizer = edgehar.load(tmp_path / "package", precision)
    ann = sample_by_sample(steady(2.0, 1))
    alone = run_fleet(Fleet(recognizer), {"ann": ann}, np.random.default_rng(0), 1.0)
    loud = steady(2.0, 2)  # with per-tensor scales, large values of others would cost ann's their resolution
    others = {f"p{index}": [(n, 1000 * x, t) for n, x, t in sample_by_sample(loud)] for index in range(3)}
    together = run_fleet(Fleet(recognizer), {"ann": ann, **others}, np.random.default_rng(1), 0.02)
    assert_identical(together["ann"], alone["ann"])
    stream = StreamRecognizer(recognizer)
    expected = [one for push in ann for one in stream.push(*push)] + stream.flush()
    np.testing.assert_allclose(
        [one.probabilities for one in alone["ann"]], [one.probabilities for one in expected], atol=0.02
    )


def test_idle_person_is_flushed_and_forgotten(recognizer: Recognizer) -> None:
    fleet, found = Fleet(recognizer, idle_s=5.01), Found()
    ann, bob = sample_by_sample(steady(2.0, 1)), sample_by_sample(steady(9.0, 2, start_s=1e6))
    for push in ann:
        fleet.push("ann", *push)
    for push in bob:
        fleet.push("bob", *push)
        collect(found, fleet.poll())
        assert ("ann" in fleet.people) == (push[2][0] - 1e6 <= 5.01), push[2]
    stream = StreamRecognizer(recognizer)
    assert_identical(found["ann"], [one for push in ann for one in stream.push(*push)] + stream.flush())
    assert fleet.people == ("bob",)
    fleet.push("ann", *ann[0])  # somebody who returns begins a new stream
    assert set(fleet.people) == {"ann", "bob"}


def test_clock_that_jumps_makes_nobody_idle(recognizer: Recognizer) -> None:
    fleet = Fleet(recognizer, idle_s=5.0)
    fleet.push("ann", "inertial", np.zeros((1, 6)), [0.0])
    for time_s in (0.0, 1e6):
        fleet.push("bob", "inertial", np.zeros((1, 6)), [time_s])
        fleet.poll()
    assert set(fleet.people) == {"ann", "bob"}


def test_number_of_people_is_bounded(recognizer: Recognizer) -> None:
    fleet, first = Fleet(recognizer, max_people=1), sample_by_sample(steady(1.0))[0]
    fleet.push("ann", *first)
    with pytest.raises(DataError, match=r"person 'bob': 1 others .* expected at most 1 people .* raise max_people"):
        fleet.push("bob", *first)
    fleet.push(None, *first)  # does not count
    assert fleet.forget("ann") == []
    assert fleet.forget("ann") == []
    fleet.push("bob", *first)
    assert fleet.people == ("bob",)


def test_samples_that_wait_are_bounded(recognizer: Recognizer) -> None:
    fleet, pushes = Fleet(recognizer), chopped(steady(120.0), [float(second) for second in range(1, 120)])

    def push_all() -> None:
        for push in pushes:
            fleet.push("ann", *push)

    with pytest.raises(DataError, match=r"person 'ann': \d+ samples wait .* at most 4096; call poll\(\)"):
        push_all()
    assert len(fleet.poll()) > 100


def test_invalid_push_changes_nothing(recognizer: Recognizer) -> None:
    fleet, pushes = Fleet(recognizer, max_people=2), sample_by_sample(steady(2.0))
    invalid: list[tuple[Any, ...]] = [
        ("eve", "inertial", [[0.0]], [0.0]),
        ("eve", "radar", [[0.0]], [0.0]),
        ("eve", "inertial", [[0.0] * 6], [1e11]),
        ("ann", "inertial", [[0.0] * 6], [float("nan")]),
        ("ann", "inertial", [[0.0] * 6], [1e10 + 10]),
        ("a\nb", *pushes[0]),
        (["ann"], *pushes[0]),
    ]
    for push in pushes:
        fleet.push("ann", *push)
        if push[2][0] > 0.1:
            for wrong in invalid:
                with pytest.raises(DataError, match=r"expected|the package has"):
                    fleet.push(*wrong)
    assert fleet.people == ("ann",)
    found = Found()
    collect(found, fleet.poll() + fleet.flush())
    stream = StreamRecognizer(recognizer)
    assert_identical(found["ann"], [one for push in pushes for one in stream.push(*push)] + stream.flush())


def test_warnings_name_the_person(recognizer: Recognizer) -> None:
    fleet = Fleet(recognizer, lateness_s=0.1)
    for index in range(800):
        time_s = index / 50
        fleet.push("ann", "inertial", np.zeros((1, 6)), [time_s])
        fleet.push("ann", "skeleton", np.zeros((1, 60)), [time_s - 1.0])
        fleet.poll()
    assert any(one.startswith("person ann: skeleton: ") for one in fleet.take_warnings())
    assert fleet.take_warnings() == []


@pytest.mark.parametrize("limits", [{"max_people": 0}, {"idle_s": 0.0}, {"idle_s": "1"}, {"idle_s": float("nan")}])
def test_invalid_limits_are_rejected(recognizer: Recognizer, limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected at least 1 person"):
        Fleet(recognizer, **limits)


def test_fleet_opens_a_package(sliding_package: Path) -> None:
    fleet = Fleet(sliding_package, modalities=["inertial"])
    recording = steady(2.0)
    fleet.push("ann", "inertial", recording.signals["inertial"], recording.times_s["inertial"])
    assert {person for person, _ in fleet.poll()} == {"ann"}
    with pytest.raises(ConfigError, match="opened for inertial"):
        fleet.push("ann", "skeleton", recording.signals["skeleton"], recording.times_s["skeleton"])


def test_seen_is_called_for_each_accepted_push(recognizer: Recognizer) -> None:
    fleet, found = Fleet(recognizer), list[tuple[str | None, str, list[float]]]()
    fleet.seen = lambda person, chunk: found.append((person, chunk.modality, chunk.times_s))
    fleet.push("ann", "inertial", [[0.0] * 6] * 2, [0.0, 0.02])
    with pytest.raises(DataError, match="channels"):
        fleet.push("ann", "inertial", [[0.0] * 5], [0.04])
    with pytest.raises(DataError, match="person"):
        fleet.push(" ", "inertial", [[0.0] * 6], [0.0])
    fleet.push_all([(None, "inertial", np.zeros((1, 6)), np.array([0.0]))])
    assert found == [("ann", "inertial", [0.0, 0.02]), (None, "inertial", [0.0])]
