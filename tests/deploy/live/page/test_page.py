"""The live page of a running process, over HTTP with the standard library."""

import contextlib
import http.client
import json
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.live.test_people import PEOPLE, mixed
from tests.deploy.running import LONG_S, Running, lines_of, run_stream, running, until
from tests.deploy.streams import steady
from tests.deploy.tiny_package import INERTIAL, LABELS

pytest.importorskip("uvicorn", reason="needs pip install 'edgehar[page]'")


def address(program: Running) -> str:
    return program.log.line_with("page at ").split()[-1]


def fetch(program: Running, path: str = "/", **more: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of a request with the token."""
    url = address(program).replace("/?", f"{path}?") + "".join(f"&{name}={value}" for name, value in more.items())
    try:
        with urllib.request.urlopen(url, timeout=LONG_S) as reply:
            return reply.status, dict(reply.headers), reply.read().decode()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, dict(problem.headers), problem.read().decode()


class Events:
    """The events of a page, as they arrive."""

    def __init__(self, reply: Any) -> None:
        self._lines: Iterator[bytes] = iter(reply)
        self.numbers: list[int] = []
        self.all: list[tuple[str, Any]] = []

    def next(self) -> tuple[str, Any]:
        """Kind and content of the next event."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if not name:
                if "data" in fields:
                    self.numbers.append(int(fields["id"]))
                    self.all.append((fields["event"], json.loads(fields["data"])))
                    return self.all[-1]
            else:
                fields[name] = value
        raise AssertionError(f"the events ended after {self.numbers[-3:]}")

    def rest(self) -> list[tuple[str, Any]]:
        """All events from the first one up to the end of the run."""
        while self.next()[0] != "end":
            pass
        assert next(self._lines, b"") == b""  # the connection is closed
        return self.all

    def until(self, condition: Any) -> Any:
        """The content of the first update with which a condition is true."""
        while True:
            kind, content = self.next()
            assert kind == "update"
            if found := condition(content):
                return found


@contextlib.contextmanager
def events(program: Running) -> Generator[Events, None, None]:
    with urllib.request.urlopen(address(program).replace("/?", "/events?"), timeout=LONG_S) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        yield Events(reply)


def merged(found: list[tuple[str, Any]], name: str | None) -> list[Any]:
    """The entries of a person in all updates."""
    return [one for kind, content in found if kind == "update" for one in content["people"] if one["name"] == name]


def test_document_is_self_contained(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program:
        assert address(program).startswith("http://127.0.0.1:")
        status, headers, text = fetch(program)
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "http:" not in text.replace("http://127", "")
        assert "https:" not in text
        assert "/*STYLE*/" not in text
        assert "/*SCRIPT*/" not in text
        program.stdin.close()
        assert program.code() == 0


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%C3%A4%FF"])
def test_nothing_without_the_token(sliding_package: Path, token: str) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program:
        base = address(program).partition("?")[0]
        for path in ("", "events", "why", "favicon.ico", "../x"):
            with pytest.raises(urllib.error.HTTPError, match="403") as raised:
                urllib.request.urlopen(f"{base}{path}{token}", timeout=LONG_S)
            raised.value.close()
        assert fetch(program, "/other")[0] == 404
        host = base.split("/")[2]
        with contextlib.closing(http.client.HTTPConnection(host, timeout=LONG_S)) as connection:
            connection.request("POST", f"/?{address(program).partition('?')[2]}")
            assert connection.getresponse().status == 405


def test_all_that_is_received_and_recognised(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0", "--activities", "0") as program, events(program) as one:
        kind, hello = one.next()
        assert kind == "hello"
        assert hello["labels"] == list(LABELS)
        assert hello["activities"]
        sensors = {sensor["name"]: sensor for sensor in hello["sensors"]}
        assert [plot["channels"] for plot in sensors["inertial"]["plots"]] == [["x", "y", "z"], ["x", "y", "z"]]
        assert len(sensors["skeleton"]["joints"]) == len(sensors["skeleton"]["bones"]) + 1 == 20
        program.send(*mixed())
        one.until(lambda content: any(entry["lost"] for entry in content["people"]))  # counted while they are there
        program.stdin.close()
        found = one.rest()
        assert program.code() == 0
        activities = [json.loads(line) for line in program.output.all()]
        for person, recording in PEOPLE.items():
            entries = merged(found, person)
            predictions = [each for entry in entries for each in entry["predictions"]]
            shown = [each for entry in entries for each in entry["activities"]]
            written = [each for each in activities if each["person"] == person]
            assert [each["label"] for each in shown] == [each["activity"] for each in written]
            ends_s = [each["end_s"] for each in predictions]
            assert ends_s == sorted(ends_s)
            assert all(abs(sum(value for _, value in each["p"]) - 1) < 1e-3 for each in predictions)
            times_s = [time for entry in entries for time in entry["sensors"].get("inertial", {"t": []})["t"]]
            assert times_s == sorted(set(times_s))
            expected = recording.times_s["inertial"]
            assert len(times_s) <= 25 * (expected[-1] - expected[0]) + 2


def test_later_client_sees_what_was_before_and_why(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program, events(program) as first:
        first.next()
        assert fetch(program, "/why")[0] == 404
        program.send(*lines_of(steady(2.0, 1)))
        first.until(lambda content: content["people"] and content["people"][0]["predictions"])
        expected = program.output.count(5)
        until(lambda: fetch(program, "/why")[0] == 200, "an explanation")
        with events(program) as second:
            assert second.next()[0] == "hello"
            (entry,) = second.next()[1]["people"]
        assert entry["name"] is None
        shown = [(one["label"], one["score"]) for one in entry["predictions"]][: len(expected)]
        assert shown == [(json.loads(line)["label"], round(json.loads(line)["score"], 4)) for line in expected]
        assert len(entry["sensors"]["skeleton"]["pose"]) == 20
        why = json.loads(fetch(program, "/why")[2])
        assert why["label"] in LABELS
        assert {group["sensor"] for group in why["groups"]} <= {"skeleton", "inertial"}
        assert sum(group["share"] for group in why["groups"]) <= 1.001
        assert len(why["joints"]["skeleton"]) == 20
        assert fetch(program, "/why", person="eve")[0] == 404
        program.stdin.close()
        assert program.code() == 0


def test_lost_samples_and_values_that_are_no_numbers(sliding_package: Path) -> None:
    missing = {"modality": "inertial", "time_s": 2.02, "samples": [[None] * INERTIAL.channels]}
    with running(sliding_package, "--stdin", "--page", "0") as program, events(program) as one:
        one.next()
        program.send(*lines_of(steady(2.0, 1)), json.dumps(missing).encode() + b"\n")
        lost = one.until(lambda content: content["people"] and content["people"][0]["lost"].get("inertial"))
        while not lost["invalid"]:
            lost = one.until(lambda content: content["people"] and content["people"][0]["lost"].get("inertial"))
        assert lost["invalid"] == 1
        program.stdin.close()
        one.rest()
        assert program.code() == 0


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_page(sliding_package: Path, kind: signal.Signals) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program, events(program) as one:
        one.next()
        program.send(*lines_of(steady(2.0, 1)))
        one.until(lambda content: content["people"])
        program.end(kind)
        assert one.rest()[-1] == ("end", {})
        assert program.code() == 0
        assert all(b"Traceback" not in line for line in program.log.all())
        with pytest.raises(OSError, match="refused"):
            fetch(program)


def test_port_in_use(sliding_package: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output, log = run_stream(sliding_package, [], "--page", str(port))
    assert (code, output) == (2, [])
    assert log[0].startswith(f"edgehar: --page {port} at 127.0.0.1: Address already in use; expected a free port")


def test_address(sliding_package: Path) -> None:
    code, _, log = run_stream(sliding_package, [], "--page-address", "0.0.0.0")
    assert (code, "expected together with --page" in log[0]) == (2, True)
    code, _, log = run_stream(sliding_package, [], "--page", "0", "--page-address", "no.such.host.invalid")
    assert (code, "expected a free port and an address of this machine" in log[0]) == (2, True)
    code, _, log = run_stream(sliding_package, lines_of(steady(1.0, 1)), "--page", "0", "--page-address", "0.0.0.0")
    assert code == 0
    assert any("not encrypted" in line for line in log)


def test_the_library_is_needed_for_the_page_only(sliding_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edgehar.deploy.live.page.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    lines = lines_of(steady(2.0, 1))
    assert run_stream(sliding_package, lines).code == 0
    code, _, log = run_stream(sliding_package, lines, "--page", "0")
    assert code == 2
    assert "pip install 'edgehar[page]'" in log[-1]
