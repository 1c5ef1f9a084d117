"""Browsers that are slow, silent, gone or too many, and the bounds of what waits for them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.deploy.live.serving.live_fleet import Answer
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.settings import Chunk
from edgehar.signals.clip import Prediction
from tests.deploy.live.page.test_page import address, events, fetch
from tests.deploy.running import Running, assert_same_predictions, lines_of, running, until
from tests.deploy.streams import steady
from tests.deploy.tiny_package import INERTIAL, SKELETON

pytest.importorskip("uvicorn", reason="needs pip install 'edgehar[page]'")

from edgehar.deploy.live.page.clients import MAX_CLIENTS, MAX_QUEUED, Client
from edgehar.deploy.live.page.handover import MAX_ANSWERS, MAX_SAMPLES, Handover, Received, Shown
from edgehar.deploy.live.page.people import MAX_PREDICTIONS, MAX_SHOWN, PagePeople
from edgehar.deploy.live.page.sensor_track import SensorTrack

SMALL_BUFFER = 4096


@contextlib.contextmanager
def opened(program: Running, path: str = "/events") -> Generator[socket.socket, None, None]:
    """A connection that has requested something and reads nothing."""
    host, _, rest = address(program).removeprefix("http://").partition("/?")
    name, _, port = host.partition(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.connect((name, int(port)))
        connection.sendall(f"GET {path}?{rest} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        yield connection


def test_clients_that_read_nothing_do_not_slow_the_answers(sliding_package: Path, recognizer: Recognizer) -> None:
    recording = steady(30.0, 1)
    lines = lines_of(recording)
    with (
        running(sliding_package, "--stdin", "--page", "0", "--lateness-s", "inf") as program,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(MAX_CLIENTS):
            stack.enter_context(opened(program))
        silent = stack.enter_context(opened(program, "/"))
        program.send(*lines)
        program.stdin.close()
        assert program.code() == 0  # and does not wait for them
        expected = recognizer.predict_windows(recording.signals, recording.times_s)
        assert_same_predictions(program.output.all(), expected)
        assert all(b"Traceback" not in line for line in program.log.all())
        silent.close()


def test_one_client_too_many(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program, contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        for _ in range(MAX_CLIENTS):
            first.enter_context(events(program)).next()
        status, _, text = fetch(program, "/events")
        assert (status, text) == (503, f"expected at most {MAX_CLIENTS} pages at one time; close another one\n")
        assert fetch(program)[0] == 200
        first.close()  # they leave

        def next_client() -> bool:
            with contextlib.suppress(OSError), events(program) as one:
                return one.next()[0] == "hello"
            return False

        until(next_client, "room for another client")
        program.stdin.close()
        assert program.code() == 0


def test_many_connections_without_a_request(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program, contextlib.ExitStack() as stack:
        name, _, port = address(program).removeprefix("http://").partition("/")[0].partition(":")
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection((name, int(port))))
            with contextlib.suppress(OSError):
                connection.sendall(b"GET / HTTP/1.1\r\n")
        program.send(*lines_of(steady(2.0, 1)))
        program.output.count(1)
        program.stdin.close()
        assert program.code() == 0


def test_request_that_is_no_http(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program:
        name, _, port = address(program).removeprefix("http://").partition("/")[0].partition(":")
        for text in (b"\x00\xff" * 100, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000):
            with socket.create_connection((name, int(port))) as connection, contextlib.suppress(OSError):
                connection.sendall(text)
                while connection.recv(4096):
                    pass
        assert fetch(program)[0] == 200
        program.stdin.close()
        assert program.code() == 0
        assert len(program.log.all()) == 3  # the address, and a line for each sensor


def test_queue_of_a_client_drops_the_oldest() -> None:
    async def check() -> None:
        client = Client()
        for number in range(3 * MAX_QUEUED):
            client.put(b"%d " % number)
        client.close()
        found = await client.next()
        assert found is not None
        assert [int(number) for number in found.split()] == list(range(2 * MAX_QUEUED, 3 * MAX_QUEUED))
        assert await client.next() is None

    asyncio.run(check())


def prediction(end_s: float) -> Prediction:
    return Prediction("wave", 0.6, np.array([0.6, 0.1, 0.1, 0.1, 0.1], np.float32), end_s - 0.5, end_s)


def test_handover_is_bounded_and_empty_without_a_client() -> None:
    handover = Handover()
    one = Chunk("inertial", np.zeros((100, 6)), [float(second) for second in range(100)], is_usable=True)
    handover.add_samples(None, one)
    assert handover.take() == ([], [])
    handover.is_watched = True
    for number in range(2 * MAX_ANSWERS):
        handover.add_samples(None, one)
        handover.add_answer(Answer(None, prediction(number), None))
    samples, answers = handover.take()
    assert len(samples) == MAX_SAMPLES // 100
    assert len(answers) == MAX_ANSWERS
    assert answers[-1].answer.found.end_s == 2 * MAX_ANSWERS - 1
    assert handover.take() == ([], [])


def test_people_and_what_is_kept_of_them_are_bounded(recognizer: Recognizer) -> None:
    people = PagePeople(recognizer.manifest, has_activities=False)
    names = [f"p{number}" for number in range(MAX_SHOWN + 3)]
    for name in names:
        people.update([], [Shown(Answer(name, prediction(end_s), 1.0), 0.01) for end_s in range(2 * MAX_PREDICTIONS)])
    people.count({name: {"inertial": SampleCounts(10, late=2)} for name in names})
    content = people.to_json(is_all=True)
    assert content["names"] == names[:MAX_SHOWN]
    assert content["hidden"] == 3
    assert all(len(entry["predictions"]) == MAX_PREDICTIONS for entry in content["people"])
    assert content["people"][0]["lost"]["inertial"]["late"] == 2
    people.mark_sent()
    assert people.to_json(is_all=False)["people"] == []
    people.count({name: {} for name in names[1:]})  # the first one leaves and makes room
    people.update([], [Shown(Answer(names[-1], prediction(1.0), None), None)])
    found = people.to_json(is_all=False)
    assert found["names"] == [*names[1:MAX_SHOWN], names[-1]]
    json.dumps(found, allow_nan=False)


def test_what_is_too_old_to_be_shown_is_left_out_at_once(recognizer: Recognizer) -> None:
    def chunk(number: int) -> Received:
        return None, Chunk("inertial", np.full((2, 6), float(number)), [number / 5, number / 5 + 0.1], is_usable=True)

    def shown(*parts: list[Received]) -> dict[str, Any]:
        people = PagePeople(recognizer.manifest, has_activities=False)
        for part in parts:
            people.update(part, [])
        return people.to_json(is_all=True)

    chunks = [chunk(number) for number in range(400)]  # 80 s
    assert shown(chunks) == shown(*([one] for one in chunks))


def test_samples_of_a_sensor_are_bounded() -> None:
    track = SensorTrack(INERTIAL, keep_s=10.0)
    for number in range(400):
        times_s = number + np.arange(50) / 50
        track.add(times_s, np.full((50, 6), float(number)))
    times_s, _ = track.between(-np.inf, np.inf)
    assert 10.0 <= times_s[-1] - times_s[0] <= 11.1
    for _ in range(200):  # a flood within one second
        track.add(np.full(50, 400.0), np.zeros((50, 6)))
    assert len(track.between(-np.inf, np.inf)[0]) <= 4 * 10 * 50 + 51
    track.add(np.array([3.0]), np.zeros((1, 6)))  # the clock was set back
    assert track.between(-np.inf, np.inf)[0].tolist() == [3.0]


def test_lost_joints_and_samples_are_drawn_as_gaps() -> None:
    track = SensorTrack(SKELETON, keep_s=10.0)
    rows = np.random.default_rng(0).standard_normal((30, 60))
    rows[10] = np.nan
    rows[-1, :3] = np.nan
    track.add(np.arange(30) / 30, rows)
    drawn = track.drawn(-np.inf)
    assert drawn["pose"][0] == [None, None]
    assert all(value is not None for joint in drawn["pose"][1:] for value in joint)
    speeds = [value for (value,) in drawn["v"]]
    assert speeds[0] is None
    assert 1 <= speeds[1:].count(None) <= 2
    json.dumps(drawn, allow_nan=False)
