"""Metrics of a running process, over HTTP."""

import json
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgehar import Fleet
from edgehar.deploy.live.serving.live_fleet import LiveFleet
from edgehar.deploy.recognizer import Recognizer
from tests.deploy.live.test_people import PEOPLE, mixed, named
from tests.deploy.running import LONG_S, Running, lines_of, run_stream, running, until
from tests.deploy.streams import steady

LOST = b'{"modality": "inertial", "time_s": 2.02, "samples": [[null, null, null, null, null, null]]}'


def address(program: Running) -> str:
    return program.log.line_with("metrics at ").split()[-1]


def scrape(program: Running) -> dict[str, float]:
    """Name with labels -> value, as Prometheus reads them."""
    parser = pytest.importorskip("prometheus_client.parser", reason="needs pip install 'edgehar[metrics]'")
    with urllib.request.urlopen(address(program), timeout=LONG_S) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        text = reply.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_many_people(sliding_package: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs pip install 'edgehar[metrics]'")
    with running(sliding_package, "--stdin", "--metrics", "0", "--skip-bad") as program:
        lines = [*mixed(), *named("ann", [LOST, lines_of(PEOPLE["ann"])[-1]])]
        program.send(*lines, b"oops\n")
        program.log.line_with("not JSON")
        found = until(
            lambda: (one := scrape(program))["edgehar_latency_seconds_count"] == one["edgehar_hops_total"] and one,
            "the answers to all lines",
        )
        assert found["edgehar_lines_skipped_total"] == 1
        assert (found["edgehar_people"], found["edgehar_people_seen_total"]) == (2, 2)
        answers = program.output.count(int(found["edgehar_hops_total"]))
        assert {json.loads(line)["person"] for line in answers} == set(PEOPLE)
        received = sum(len(times) for one in PEOPLE.values() for times in one.times_s.values())
        assert found["edgehar_samples_total skeleton"] + found["edgehar_samples_total inertial"] == received + 2
        unused = {key.split(maxsplit=1)[1]: value for key, value in found.items() if "samples_unused" in key and value}
        assert unused == {"invalid inertial": 1, "duplicated inertial": 1}
        assert found["edgehar_latency_seconds_bucket +Inf"] == len(answers)
        assert 0 < found["edgehar_latency_seconds_sum"] < LONG_S * len(answers)
        assert found["process_resident_memory_bytes"] > 0
        program.stdin.close()
        assert program.code() == 0


def test_single_stream_and_a_client_that_sends_nothing(sliding_package: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs pip install 'edgehar[metrics]'")
    with running(sliding_package, "--stdin", "--metrics", "0") as program:
        program.send(*lines_of(steady(2.0, 1)))
        answers = program.output.count(1)
        port = int(address(program).split(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)):
            found = until(lambda: (one := scrape(program))["edgehar_hops_total"] >= len(answers) and one, "a hop")
        assert (found["edgehar_people"], found["edgehar_people_seen_total"]) == (0, 0)
        program.stdin.close()
        assert program.code() == 0
        assert all(b"Traceback" not in line for line in program.log.all())


def test_port_in_use(sliding_package: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs pip install 'edgehar[metrics]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output, log = run_stream(sliding_package, [], "--metrics", str(port))
    assert (code, output) == (2, [])
    assert log == [
        f"edgehar: --metrics {port}: Address already in use; expected a free port of this machine; choose another one"
    ]


def test_the_library_is_needed_for_metrics_only(sliding_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edgehar.deploy.live.serving.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    lines = lines_of(steady(2.0, 1))
    assert run_stream(sliding_package, lines).code == 0
    code, _, log = run_stream(sliding_package, lines, "--metrics", "0")
    assert code == 2
    assert "pip install 'edgehar[metrics]'" in log[-1]


def test_stream_that_stands_still_is_unhealthy(recognizer: Recognizer, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = pytest.importorskip("edgehar.deploy.live.serving.metrics", reason="needs pip install 'edgehar[metrics]'")
    people = LiveFleet(Fleet(recognizer), None, 60.0)
    with metrics.serve_metrics(0, people):
        healthy = capsys.readouterr().err.split()[-1].replace("/metrics", "/healthy")
        with urllib.request.urlopen(healthy, timeout=LONG_S) as reply:
            assert reply.read() == b"ok\n"
        people.alive_s -= 60.0
        with pytest.raises(urllib.error.HTTPError, match="503") as raised:
            urllib.request.urlopen(healthy, timeout=LONG_S)
        raised.value.close()
