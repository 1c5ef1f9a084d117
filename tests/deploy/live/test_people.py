"""Lines and topics that name a person, through processes and a broker."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgehar.deploy.live.mqtt.url import parse_url
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from tests.deploy.broker import broker
from tests.deploy.live.test_mqtt import publish
from tests.deploy.running import assert_same_predictions, client, lines_of, run_stream, running
from tests.deploy.streams import steady

PEOPLE = {"ann": steady(2.0, 1), "Bo 走る": steady(2.4, 2, start_s=1e6)}


def named(person: Any, lines: list[bytes]) -> list[bytes]:
    return [json.dumps({"person": person, **json.loads(line)}).encode() + b"\n" for line in lines]


def mixed() -> list[bytes]:
    """The lines of all people in turn."""
    lines = [named(person, lines_of(recording)) for person, recording in PEOPLE.items()]
    return [of_one[index] for index in range(max(map(len, lines))) for of_one in lines if index < len(of_one)]


def assert_all_people(recognizer: Recognizer, output: list[bytes]) -> None:
    for person, recording in PEOPLE.items():
        found = [line for line in output if json.loads(line)["person"] == person]
        assert_same_predictions(found, recognizer.predict_windows(recording.signals, recording.times_s))
    assert all(next(iter(json.loads(line))) == "person" for line in output)


def test_standard_input(sliding_package: Path, recognizer: Recognizer) -> None:
    with running(sliding_package, "--stdin") as program:
        program.send(*mixed())
        program.stdin.close()
        assert program.code() == 0
        assert_all_people(recognizer, program.output.all())
        log = program.log.all()
        assert log[0] == b"edgehar: 2 people\n"
        assert log[1] == b"edgehar: skeleton: 134 samples, all used\n"


def test_tcp_clients(sliding_package: Path, recognizer: Recognizer) -> None:
    with running(sliding_package, "--listen", "127.0.0.1:0", "--once") as program:
        port = program.port()
        with client(port) as one, client(port) as other:
            for connection, (person, recording) in zip((one, other), PEOPLE.items(), strict=True):
                connection.sendall(b"".join(named(person, lines_of(recording))))
        assert program.code() == 0
        assert_all_people(recognizer, program.output.all())


def test_topic_names_the_person(sliding_package: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with broker(tmp_path) as one, running(sliding_package, "--mqtt", one.url("rooms/{person}/samples")) as program:
        program.log.line_with(": connected")
        for person, recording in PEOPLE.items():
            publish(one.port, f"rooms/{person}/samples", [b"".join(lines_of(recording))])
        publish(one.port, "rooms/ann/samples", [named("eve", lines_of(PEOPLE["ann"]))[0]])
        program.log.line_with("person is 'eve', the topic says 'ann'")
        program.end()
        assert program.code() == 0
        assert_all_people(recognizer, program.output.all())


def test_activities_carry_the_person(sliding_package: Path) -> None:
    result = run_stream(sliding_package, mixed(), "--activities", "0.2")
    assert {json.loads(line)["person"] for line in result.output} == set(PEOPLE)
    assert all("activity" in json.loads(line) for line in result.output)


def test_too_many_people_are_one_remark_with_a_count(sliding_package: Path, recognizer: Recognizer) -> None:
    extra = [line for number in range(300) for line in named(f"p{number}", lines_of(steady(1.0))[:1])]
    result = run_stream(sliding_package, [*mixed(), *extra], "--max-people", "2", "--skip-bad")
    assert result.code == 0
    assert_all_people(recognizer, [line.encode() for line in result.output])
    remarks = [line for line in result.log if "at most 2 people" in line]
    assert "person 'p0'" in remarks[0]
    assert len(remarks) == 2
    assert "299 more of this kind" in remarks[1]


def test_silent_person_is_flushed_while_the_stream_waits(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--person-timeout-s", "0.3") as program:
        program.send(*named("ann", lines_of(steady(2.0, 1))))
        last = program.output.count(10)[-1]  # the last window is complete at the end of the recording only
        assert json.loads(last)["person"] == "ann"
        program.end()
        assert program.code() == 0


@pytest.mark.parametrize("person", ["", "x" * 65, 7, None, True])
def test_name_of_another_form_ends_the_run_with_its_line(sliding_package: Path, person: Any) -> None:
    code, output, log = run_stream(sliding_package, named(person, lines_of(steady(1.0))))
    assert (code, output) == (2, [])
    assert "line 1: " in log[0]
    assert len(log) == 1


def test_topics_with_a_person() -> None:
    url = parse_url("mqtt://host/rooms/{person}/samples/#", wildcards=True)
    assert (url.subscription, url.person("rooms/ann/samples/wrist")) == ("rooms/+/samples/#", "ann")
    assert parse_url("mqtt://host/rooms/+", wildcards=True).person("rooms/ann") is None
    for text in ("mqtt://host/{person}/{person}", "mqtt://host/x{person}", "mqtt://host/{name}"):
        with pytest.raises(ConfigError, match="names the person"):
            parse_url(text, wildcards=True)
    with pytest.raises(ConfigError, match="without"):
        parse_url("mqtt://host/{person}")


def test_one_person_is_counted_in_the_singular(sliding_package: Path) -> None:
    assert run_stream(sliding_package, named("ann", lines_of(steady(1.0)))).log[0] == "edgehar: 1 person"


@pytest.mark.parametrize(("person", "shown"), [(None, "null"), (" ", "' '"), ("ann ", "'ann '")])
def test_name_of_another_form_is_rejected_by_line(sliding_package: Path, person: str | None, shown: str) -> None:
    result = run_stream(sliding_package, named(person, lines_of(steady(1.0))))
    assert result.code == 2
    assert f"line 1: person is {shown}; expected a name of 1 to 64 printable characters" in result.log[-1]
