"""MQTT sources and sinks with a real broker, which is killed and restarted meanwhile."""

import contextlib
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from edgehar.deploy.live import run
from edgehar.deploy.live.inbox import Inbox
from edgehar.deploy.live.json_lines import MAX_LINE_BYTES
from edgehar.deploy.live.mqtt.broker import subscribe
from edgehar.deploy.live.mqtt.url import parse_url
from edgehar.deploy.live.sinks import open_sinks
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from edgehar.signals.clip import Prediction
from tests.deploy.broker import broker, publish
from tests.deploy.running import LONG_S, Log, assert_same_predictions, free_port, predictions_from, running, until
from tests.deploy.streams import assert_same


def test_topic_equals_recording(
    recognizer: Recognizer, lines: list[bytes], expected: list[Prediction], tmp_path: Path
) -> None:
    with broker(tmp_path) as one:
        publish(one.port, "edgehar/in/old", [lines[-1]], retain=True)

        def feed(inbox: Inbox, log: Log) -> None:
            log.wait("connected")
            payloads = [*lines[:50], b"oops", b"".join(lines[50:70]), b"[" * (MAX_LINE_BYTES + 1), *lines[70:90], b"[]"]
            publish(one.port, "edgehar/in/belt", payloads)
            log.wait("edgehar/in/belt message 51 line 1: not JSON")
            log.wait(f"message 53: longer than {MAX_LINE_BYTES} bytes")
            log.wait("message 74 line 1: expected")  # messages in a broker that is killed are lost
            one.kill()
            log.wait("the connection ended")
            one.start()
            log.wait(": connected", times=2)
            publish(one.port, "edgehar/in/belt", [*lines[90:], b'{"modality": 7, "time_s": 0, "samples": []}'])
            log.wait("modality is 7")
            inbox.stop()

        source = partial(subscribe, parse_url(one.url("edgehar/in/#"), wildcards=True))
        assert_same(predictions_from(recognizer, source, feed)[0], expected)


def test_user_and_password(
    recognizer: Recognizer,
    lines: list[bytes],
    expected: list[Prediction],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("the program mosquitto_passwd is not installed; on Debian: apt-get install mosquitto")
    passwords, access = tmp_path / "passwords", tmp_path / "access"
    subprocess.run([program, "-b", "-c", str(passwords), "belt", "right"], check=True)
    access.write_text("user belt\ntopic readwrite edgehar/in\n")
    security = f"allow_anonymous false\npassword_file {passwords}\nacl_file {access}"
    with broker(tmp_path, security=security) as one:
        url = parse_url(one.url("edgehar/in").replace("mqtt://", "mqtt://belt@"))

        def feed(inbox: Inbox, log: Log) -> None:
            log.wait(": connected")
            publish(one.port, "edgehar/in", [b"".join(lines), b"the end"], username="belt", password="right")
            log.wait("not JSON")
            inbox.stop()

        monkeypatch.setenv("EDGEHAR_MQTT_PASSWORD", "wrong")
        with pytest.raises(ConfigError, match="EDGEHAR_MQTT_PASSWORD"):
            predictions_from(recognizer, partial(subscribe, url), lambda inbox, log: None)
        monkeypatch.setenv("EDGEHAR_MQTT_PASSWORD", "right")
        assert_same(predictions_from(recognizer, partial(subscribe, url), feed)[0], expected)


def test_tls(
    sliding_package: Path,
    recognizer: Recognizer,
    lines: list[bytes],
    expected: list[Prediction],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed; it makes the test's certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls_port = free_port()
    with broker(tmp_path, extra=f"listener {tls_port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}") as one:
        source = partial(subscribe, parse_url(f"mqtts://127.0.0.1:{tls_port}/edgehar/in"))

        def feed(inbox: Inbox, log: Log) -> None:
            log.wait(": connected")
            publish(one.port, "edgehar/in", [b"".join(lines), b"the end"])
            log.wait("not JSON")
            inbox.stop()

        # In another process: after a failed handshake paho leaves its socket to the garbage collector.
        with running(sliding_package, "--mqtt", str(source.args[0])) as program:
            program.log.line_with("CERTIFICATE_VERIFY_FAILED")
            program.end()
            assert program.code() == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert_same(predictions_from(recognizer, source, feed)[0], expected)


class Subscriber:
    """A client that reads a topic."""

    def __init__(self, port: int, topic: str) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.lines: list[bytes] = []
        subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda client, userdata, message: self.lines.append(bytes(message.payload))
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(self._client.is_connected, "the broker")
        self._client.subscribe(topic, qos=1)
        assert subscribed.wait(LONG_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_predictions_are_published(
    sliding_package: Path, lines: list[bytes], expected: list[Prediction], tmp_path: Path
) -> None:
    with broker(tmp_path) as one, contextlib.closing(Subscriber(one.port, "edgehar/out")) as subscriber:
        options = ("--mqtt", one.url("edgehar/in"), "--to", f"stdout,{one.url('edgehar/out')}")
        with running(sliding_package, *options) as program:
            program.log.line_with("edgehar/in: connected")
            publish(one.port, "edgehar/in", [b"".join(lines)])
            program.output.count(len(expected) - 2)
            program.end()
            assert program.code() == 0
            assert_same_predictions(program.output.all(), expected)
            until(lambda: len(subscriber.lines) == len(expected), "every line at the other end")
            assert subscriber.lines == program.output.all()


def test_restarted_broker_gets_the_buffered_lines(tmp_path: Path) -> None:
    with (
        broker(tmp_path, extra="log_type all") as one,
        contextlib.redirect_stderr(Log()) as log,
        open_sinks([one.url("edgehar/out")], block_when_full=False) as write,
    ):

        def published() -> int:
            return sum(b"Received PUBLISH" in line and b"'edgehar/out'" in line for line in one.log.lines)

        log.wait(": connected")
        for number in range(10):
            write(f"line {number}")
        until(lambda: published() == 10, "the first lines at the broker")
        one.kill()
        log.wait("the connection ended")
        for number in range(10, 90):
            write(f"line {number}")
        one.start()
        until(lambda: published() >= 80, "the buffered lines")
        with contextlib.closing(Subscriber(one.port, "edgehar/out")) as subscriber:
            write("line 90")
            until(lambda: subscriber.lines == [b"line 90\n"], "the next line")
    assert "not delivered" not in log.getvalue()


def test_missing_library(sliding_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edgehar.deploy.live.mqtt.client", raising=False)
    for module in ("paho.mqtt.enums", "paho.mqtt.client"):
        monkeypatch.setitem(sys.modules, module, None)
        for options in (["--mqtt", "mqtt://127.0.0.1/x"], ["--stdin", "--to", "mqtt://127.0.0.1/x"]):
            with pytest.raises(ConfigError, match=r"pip install -U 'edgehar\[mqtt\]'"):
                run.main([str(sliding_package), *options])


def test_urls() -> None:
    url = parse_url("mqtt://belt@broker:1900/a/+/b/#", wildcards=True)
    assert (url.address.host, url.address.port, url.topic, url.user, url.tls) == (
        "broker",
        1900,
        "a/+/b/#",
        "belt",
        False,
    )
    assert str(parse_url("mqtts://[::1]/x")) == "mqtts://[::1]:8883/x"
    rejected = {
        "http://broker/x": "mqtt://",
        "mqtt://@broker/x": "mqtt://",
        "mqtt://broker": "topic ''",
        "mqtt://broker/": "topic ''",
        "mqtt://:1883/x": "HOST:PORT",
        "mqtt://broker/a/#/b": "topic",
        "mqtt://broker/a+": "topic",
    }
    for text, message in rejected.items():
        with pytest.raises(ConfigError, match=message):
            parse_url(text, wildcards=True)
    with pytest.raises(ConfigError, match="without"):
        parse_url("mqtt://broker/a/#")
    with pytest.raises(ConfigError, match="EDGEHAR_MQTT_PASSWORD") as raised:
        parse_url("mqtt://belt:secret@broker/x")
    assert "secret" not in str(raised.value)
