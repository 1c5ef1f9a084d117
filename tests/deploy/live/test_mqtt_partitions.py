"""Several boards share people through a broker: each person stays with one process, with the same answers."""

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehar.deploy.live.mqtt.url import parse_url
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from tests.deploy.broker import broker, publish
from tests.deploy.live.test_mqtt import Subscriber
from tests.deploy.running import LONG_S, ROOT, LineReader, assert_same_predictions, lines_of, running, until
from tests.deploy.streams import steady

BRIDGE = ROOT / "docs" / "examples" / "partition_bridge.py"
PEOPLE = {name: steady(1.6 + number / 5, number) for number, name in enumerate(("ann", "Bo 走る", "cy", "dee", "eve"))}


@contextlib.contextmanager
def bridge(port: int) -> Iterator[None]:
    command = [sys.executable, str(BRIDGE), f"127.0.0.1:{port}", "rooms/+/samples", "1", "samples", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr
        log = LineReader(process.stderr)
        try:
            log.line_with("connected")
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONG_S) == 0
        finally:
            process.kill()
            log.all()


def partition_of(person: str) -> int:
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed: pip install 'edgehar[mqtt]'")
    specification = importlib.util.spec_from_file_location("partition_bridge", BRIDGE)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.partition(person, 2)


def test_two_processes_share_the_people(sliding_package: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with broker(tmp_path) as one, contextlib.ExitStack() as stack:
        boards = [
            stack.enter_context(
                running(sliding_package, "--mqtt", one.url(f"$share/board{number}/samples/{number}/{{person}}"))
            )
            for number in range(2)
        ]
        for board in boards:
            board.log.line_with(": connected")
        with bridge(one.port):
            expected = {
                person: recognizer.predict_windows(recording.signals, recording.times_s)
                for person, recording in PEOPLE.items()
            }
            rest = {person: lines_of(recording) for person, recording in PEOPLE.items()}
            for first in range(0, max(map(len, rest.values())), 40):  # everybody in turn
                for person, lines in rest.items():
                    publish(one.port, f"rooms/{person}/samples", [b"".join(lines[first : first + 40])])
            for number, board in enumerate(boards):
                people = [person for person in PEOPLE if partition_of(person) == number]
                assert people
                board.output.count(sum(len(expected[person]) - 2 for person in people))
        for number, board in enumerate(boards):
            board.end()
            assert board.code() == 0
            people = {person for person in PEOPLE if partition_of(person) == number}
            answers = board.output.all()
            assert {json.loads(line)["person"] for line in answers} == people
            for person in people:
                assert_same_predictions(
                    [line for line in answers if json.loads(line)["person"] == person], expected[person]
                )


def test_a_shared_subscription_alone_splits_a_person(tmp_path: Path) -> None:
    """Why there are partitions: mosquitto gives the messages of one topic to the members of a group in turn."""
    topic = "$share/boards/rooms/+/samples"
    with (
        broker(tmp_path) as one,
        contextlib.closing(Subscriber(one.port, topic)) as first,
        contextlib.closing(Subscriber(one.port, topic)) as second,
    ):
        publish(one.port, "rooms/ann/samples", [f"{number}".encode() for number in range(10)])
        until(lambda: len(first.lines) + len(second.lines) == 10, "all messages")
        assert first.lines
        assert second.lines


def test_urls_of_shared_subscriptions() -> None:
    url = parse_url("mqtt://host/$share/boards/rooms/{person}/samples", wildcards=True)
    assert (url.subscription, url.person("rooms/ann/samples")) == ("$share/boards/rooms/+/samples", "ann")
    for topic in (
        "$share",
        "$share/boards",
        "$share/boards/",
        "$share//rooms",
        "$share/+/rooms",
        "$share/{person}/rooms",
    ):
        with pytest.raises(ConfigError, match="GROUP"):
            parse_url(f"mqtt://host/{topic}", wildcards=True)
    with pytest.raises(ConfigError, match="without"):
        parse_url("mqtt://host/$share/boards/rooms")
