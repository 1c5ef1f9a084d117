"""Lines of people through a mosquitto of one's own, for `people_lines.py`."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgehar.errors import ConfigError, DataError

TIMEOUT_S, POLL_S, QUIET_S = 60.0, 0.05, 2.0
"""`edgehar run` has taken everything when it has written nothing for QUIET_S."""
IN_FLIGHT = 100

Message = tuple[str, str]
"""Topic and payload."""


def mosquitto_command(folder: Path, port: int, *settings: str) -> list[str] | None:
    """The command of a broker on a port of this machine, configured in the folder; None without the program."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    user = ["user root"] if os.geteuid() == 0 else []  # otherwise it cannot read the file
    configuration = folder / "mosquitto.conf"
    configuration.write_text("".join(f"{line}\n" for line in (*user, f"listener {port} 127.0.0.1", *settings)))
    return [program, "-c", str(configuration)]


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """The port of a broker that keeps whatever waits; raises ConfigError without the program."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = mosquitto_command(folder, port, "allow_anonymous true", "max_queued_messages 0")
    if command is None:
        raise ConfigError("the program mosquitto is not installed; expected it for --mqtt; install it or omit --mqtt")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: _is_open(port), "mosquitto listens")
        yield port
    finally:
        process.kill()
        process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is true; raises DataError after TIMEOUT_S."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end_s:
            raise DataError(f"no sign that {what} within {TIMEOUT_S:g} s; run `edgehar run` by hand")
        time.sleep(POLL_S)


def _publish(port: int, messages: Sequence[Message]) -> None:
    """Publish messages with QoS 1; returns when the broker has all of them."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(IN_FLIGHT)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for sent in [client.publish(*message, qos=1) for message in messages]:
        sent.wait_for_publish(TIMEOUT_S)
    client.disconnect()
    client.loop_stop()


def run_with(
    package: Path, folder: Path, port: int, topic: str, messages: Sequence[Message], people: int
) -> tuple[float, str]:
    """CPU seconds of `edgehar run` on a topic while these messages are published, and what it wrote."""
    sink, log = folder / "answers", folder / "log"
    command = [sys.executable, "-m", "edgehar", "run", str(package), "--max-people", str(people)]
    command += ["--mqtt", f"mqtt://127.0.0.1:{port}/{topic}"]
    with sink.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        try:
            _wait_for(lambda: "connected" in log.read_text(), "it subscribes")
            _publish(port, messages)
            size, since_s = -1, time.monotonic()
            while time.monotonic() - since_s < QUIET_S:
                if size != (size := sink.stat().st_size):
                    since_s = time.monotonic()
                time.sleep(POLL_S)
            process.send_signal(signal.SIGTERM)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            process.kill()
    if process.returncode:
        raise DataError(f"{' '.join(command)}: exit code {process.returncode}; expected 0; run it by hand")
    return usage.ru_utime + usage.ru_stime, sink.read_text()
