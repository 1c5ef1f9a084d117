"""MQTT topics as sources and sinks, with paho-mqtt; messages are delivered at least once (QoS 1) in both directions."""

import io
import itertools
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, StreamMessage
from edgehar.deploy.live.mqtt.url import PASSWORD_VARIABLE, MqttUrl
from edgehar.deploy.live.network import POLL_S
from edgehar.deploy.live.outbox import Outbox
from edgehar.deploy.live.remarks import MAX_STATUS_LINES, Remarks
from edgehar.errors import ConfigError

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

    from edgehar.deploy.live.mqtt.client import BoundedClient

MAX_QUEUED_PAYLOADS = 2
"""Messages that wait to be split into lines; each may have a mebibyte."""
MAX_UNACKNOWLEDGED = 20
"""Most lines published but not yet acknowledged; further ones stay in the outbox."""
CLOSE_S = 2.0
TEMPORARY_REFUSALS = ("Server unavailable", "Server busy")
"""Reasons to retry; after any other refusal a retry would be refused again."""
REFUSED_VERSION = "Unsupported protocol version"


class BrokerConnection:
    """A client of one broker that reports connection and disconnection.

    Args:
        url: broker and user.
        is_version_5: try MQTT 5 first, which bounds what the broker sends, and use 3.1.1 if the broker refuses it.

    Raises:
        ConfigError: paho-mqtt 2 is not installed.

    Attributes:
        client: paho's client; its callbacks are free, except those of the connection.
        error: why the broker refuses this client for good, or None.
        on_connected: called in paho's thread on every accepted connection.
        on_disconnected: called in paho's thread with the reason when an attempt failed or the connection ended.
    """

    def __init__(self, url: MqttUrl, is_version_5: bool = False) -> None:
        """Create the client; nothing is sent before `start`."""
        self.url, self.error = url, None
        self._is_connected = self._is_closed = False
        self.on_connected: Callable[[], None] = lambda: None
        self.on_disconnected: Callable[[str], None] = lambda reason: None
        self.client = self._new_client(is_version_5)
        self._thread = threading.Thread(target=self._run, name=str(url), daemon=True)

    def _new_client(self, is_version_5: bool) -> "BoundedClient":
        try:
            from edgehar.deploy.live.mqtt.client import BoundedClient
        except ModuleNotFoundError:
            raise ConfigError(
                f"{self.url}: needs paho-mqtt 2 or later, which is not installed: pip install -U 'edgehar[mqtt]'"
            ) from None
        client = BoundedClient(is_version_5)
        if self.url.user is not None:
            client.username_pw_set(self.url.user, os.environ.get(PASSWORD_VARIABLE))
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_connect_fail = self._failed
        client.open(self.url.address, self.url.tls)
        return client

    def start(self) -> None:
        """Connect, and reconnect until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Disconnect."""
        self._is_closed = True
        self.client.disconnect()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        newest = self.client
        newest.loop_forever(POLL_S, retry_first_connection=True)
        if self.error is None and not self._is_closed:  # the broker has an older version
            self.client = self._new_client(is_version_5=False)
            self.client.on_message, self.client.on_subscribe = newest.on_message, newest.on_subscribe
            if not self._is_closed:
                self.client.loop_forever(POLL_S, retry_first_connection=True)

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not reason.is_failure:
            self._is_connected = True
            return self.on_connected()
        if self.client.is_version_5 and str(reason) == REFUSED_VERSION:
            self.client.disconnect()  # ends its loop
            return None
        if str(reason) not in TEMPORARY_REFUSALS:
            self.error = ConfigError(
                f"{self.url}: the broker refused the connection: {reason}; expected a valid user; correct the user "
                f"name or the password in {PASSWORD_VARIABLE}"
            )
        return self.on_disconnected(f"the broker refused the connection: {reason}")

    def _failed(self, client: Any, userdata: Any) -> None:
        # paho calls this within its exception handler and does not pass the exception.
        error = sys.exc_info()[1]
        self.on_disconnected(str(getattr(error, "strerror", None) or error))

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._is_connected and reason.is_failure:
            self.on_disconnected("the connection ended")
        self._is_connected = False


def subscribe(url: MqttUrl, stop: threading.Event) -> Iterator[StreamMessage]:
    """Source: the lines of a topic's messages, one or several in each; retained messages are outdated and skipped.

    Raises:
        ConfigError: the broker refuses the client or the subscription for good.
    """
    broker, arrived = BrokerConnection(url, is_version_5=True), queue.Queue["MQTTMessage"](MAX_QUEUED_PAYLOADS)
    last_reason, refused, status = "", threading.Event(), Remarks(at_once=MAX_STATUS_LINES)

    def on_connected() -> None:
        broker.client.subscribe_to(url.subscription)

    def on_disconnected(reason: str) -> None:
        nonlocal last_reason
        if last_reason != (last_reason := reason) and broker.error is None:
            status.add(str(url), f"{reason}; retrying")

    def on_subscribe(client: Any, userdata: Any, mid: Any, reasons: Any, properties: Any) -> None:
        nonlocal last_reason
        if any(reason.is_failure for reason in reasons):
            refused.set()
        else:
            last_reason = ""
            status.add(str(url), "connected")

    def on_message(client: Any, userdata: Any, message: "MQTTMessage") -> None:
        # While this waits, paho reads nothing: the broker queues messages, up to its own limit.
        while not message.retain and not stop.is_set():
            try:
                return arrived.put(message, timeout=POLL_S)
            except queue.Full:
                continue

    broker.on_connected, broker.on_disconnected = on_connected, on_disconnected
    broker.client.on_subscribe, broker.client.on_message = on_subscribe, on_message
    broker.start()
    try:
        for number in itertools.count(1):
            message = _next_message(broker, arrived, refused, stop)
            if message is None:
                return
            origin = f"{message.topic} message {number}"
            payload, person = bytes(message.payload), url.person(message.topic)
            if len(payload) > MAX_LINE_BYTES:
                # Rejected as too long, whatever the content.
                yield StreamMessage(origin, payload[: MAX_LINE_BYTES + 1], person=person)
                continue
            for line_number, line in enumerate(io.BytesIO(payload), 1):
                yield StreamMessage(f"{origin} line {line_number}", line.removesuffix(b"\n"), person=person)
    finally:
        stop.set()  # releases a callback that waits for the queue
        broker.close()
        status.close()


def _next_message(
    broker: BrokerConnection, arrived: "queue.Queue[MQTTMessage]", refused: threading.Event, stop: threading.Event
) -> "MQTTMessage | None":
    while not stop.is_set():
        if broker.error is not None:
            raise broker.error
        if refused.is_set():
            raise ConfigError(
                f"{broker.url}: the broker refused the subscription; expected a topic that this user may read; choose "
                "another one or change the broker's access list"
            )
        try:
            return arrived.get(timeout=POLL_S)
        except queue.Empty:
            continue
    return None


def publish(broker: BrokerConnection, outbox: Outbox) -> None:
    """Publish lines, one message each; lines that are not acknowledged are sent again on the next connection."""
    changed, unacknowledged = threading.Condition(), 0

    def on_publish(client: Any, userdata: Any, mid: Any, reason: Any, properties: Any) -> None:
        nonlocal unacknowledged
        with changed:
            unacknowledged -= 1
            changed.notify_all()
        outbox.mark_delivered()

    def wait_until_at_most(count: int) -> bool:
        """Wait until the broker is connected and at most this many lines are unacknowledged; False if time is up."""
        with changed:
            while not outbox.expired():
                # A line published while paho connects may overtake the connection's first packet.
                if unacknowledged <= count and (not count or broker.client.is_connected()):
                    return True
                changed.wait(POLL_S)
        return False

    def on_connected() -> None:
        outbox.set_connected()
        with changed:
            changed.notify_all()

    broker.on_connected, broker.on_disconnected = on_connected, outbox.set_disconnected
    broker.client.on_publish = on_publish
    broker.start()
    for line in outbox.lines():
        if not wait_until_at_most(MAX_UNACKNOWLEDGED - 1):
            break
        with changed:
            unacknowledged += 1
        broker.client.publish(broker.url.topic, line, qos=1)
    wait_until_at_most(0)
    broker.close()
