"""A real MQTT broker, mosquitto, for tests."""

import contextlib
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.running import LineReader, free_port, until
from tools.speed.people_mqtt import mosquitto_command


class Broker:
    """A mosquitto that can be killed and started again on the same port."""

    def __init__(self, folder: Path, extra: str = "", security: str = "allow_anonymous true") -> None:
        self.port = free_port()
        command = mosquitto_command(folder, self.port, security, extra)
        if command is None:
            pytest.skip("the program mosquitto is not installed; on Debian: apt-get install mosquitto")
        pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed: pip install 'edgehar[mqtt]'")
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr
        self.log = LineReader(self._process.stderr)
        self.log.line_with(" running")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.log.all()
            assert self._process.stderr
            self._process.stderr.close()
            self._process = None

    def url(self, topic: str) -> str:
        return f"mqtt://127.0.0.1:{self.port}/{topic}"


@contextlib.contextmanager
def broker(folder: Path, extra: str = "", security: str = "allow_anonymous true") -> Generator[Broker, None, None]:
    one = Broker(folder, extra, security)
    try:
        yield one
    finally:
        one.kill()


def publish(port: int, topic: str, payloads: list[bytes], retain: bool = False, **login: Any) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    publisher = Client(CallbackAPIVersion.VERSION2)
    if login:
        publisher.username_pw_set(**login)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    until(publisher.is_connected, "the broker")
    for payload in payloads:
        sent = publisher.publish(topic, payload, qos=1, retain=retain)
        until(sent.is_published, "the message at the broker")
    publisher.disconnect()
    publisher.loop_stop()
