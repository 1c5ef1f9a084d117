"""Lines over MQTT: a topic is a source or a sink; paho-mqtt keeps the connection, at least once (QoS 1) each way."""

import itertools
import os
import queue
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, Message
from edgehar.deploy.live.network import POLL_S, Address, parse_address, say
from edgehar.deploy.live.outbox import Outbox
from edgehar.errors import ConfigError

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

PASSWORD_VARIABLE = "EDGEHAR_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEP_ALIVE_S = 30
LONGEST_PAUSE_S = 30
WAITING_PAYLOADS = 16
UNACKNOWLEDGED = 20
"""Lines under way to the broker at once; more wait in the outbox."""
CLOSE_S = 2.0
BUSY = ("Server unavailable", "Server busy")
"""Refusals that pass; after any other the same attempt is refused again."""


@dataclass(frozen=True)
class MqttUrl:
    """A topic of a broker, mqtt://[user@]host[:port]/topic; mqtts is the same over TLS."""

    address: Address
    topic: str
    user: str | None
    tls: bool

    def __str__(self) -> str:
        """The URL."""
        user = "" if self.user is None else f"{self.user}@"
        return f"mqtt{'s' if self.tls else ''}://{user}{self.address}/{self.topic}"


def parse_url(text: str, wildcards: bool = False) -> MqttUrl:
    """Read a URL; raises ConfigError for anything else, a password in it, or a topic that cannot be used.

    Args:
        text: the URL; everything after the first single slash is the topic, "#" included.
        wildcards: accept "+" and "#" in the topic, as for a subscription.
    """
    scheme, _, rest = text.partition("://")
    place, _, topic = rest.partition("/")
    user, at, host = place.rpartition("@")
    if scheme not in PORTS or (at and not user):
        raise ConfigError(f"{text!r}: expected mqtt://[user@]host[:port]/topic, or mqtts:// for TLS")
    if ":" in user:
        raise ConfigError(
            f"{scheme}://...@{host}: a password in the URL, where every program of this machine can read it; expected "
            f"the user's name alone; put the password into the environment variable {PASSWORD_VARIABLE}"
        )
    levels = topic.split("/")
    wild = any("+" in level or "#" in level for level in levels)
    well_formed = all(level in ("+", "#") or not set("+#") & set(level) for level in levels) and "#" not in levels[:-1]
    if not topic or "\0" in topic or len(topic.encode()) > 65535 or (wild and not (wildcards and well_formed)):
        raise ConfigError(
            f"{text!r}: topic {topic!r}; expected one such as edgehar/samples"
            + ("; + stands for one level, # at the end for all further ones" if wildcards else " without + and #")
        )
    return MqttUrl(parse_address(host, PORTS[scheme]), topic, user if at else None, scheme == "mqtts")


class Link:
    """A client of one broker that says when the connection goes and comes.

    Args:
        url: where to and as whom.

    Raises ConfigError if paho-mqtt 2 is not installed.

    Attributes:
        client: paho's client; callbacks other than those for the connection are free.
        problem: why the broker will never take this client, or None.
        on_here: called in paho's thread when the broker has taken the client, on every connection.
        on_away: called in paho's thread with the reason when it has not, or the connection ended.
    """

    def __init__(self, url: MqttUrl) -> None:
        """Prepare the client; nothing is sent before `start`."""
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion  # not in version 1
        except ModuleNotFoundError:
            raise ConfigError(
                f"{url}: needs paho-mqtt 2 or later, which is not installed: pip install -U 'edgehar[mqtt]'"
            ) from None
        self.url, self.problem = url, None
        self._here = False
        self.on_here: Callable[[], None] = lambda: None
        self.on_away: Callable[[str], None] = lambda reason: None
        self.client = Client(CallbackAPIVersion.VERSION2)
        if url.user is not None:
            self.client.username_pw_set(url.user, os.environ.get(PASSWORD_VARIABLE))
        if url.tls:
            self.client.tls_set_context(ssl.create_default_context())  # pyright: ignore[reportUnknownMemberType]
        self.client.reconnect_delay_set(1, LONGEST_PAUSE_S)
        self.client.on_connect = self._connected
        self.client.on_connect_fail = self._failed
        self.client.on_disconnect = self._disconnected
        self._thread = threading.Thread(target=self._run, name=str(url), daemon=True)

    def start(self) -> None:
        """Connect, and again whenever the connection ends, until `close`."""
        self.client.connect_async(self.url.address.host, self.url.address.port, KEEP_ALIVE_S)
        self._thread.start()

    def close(self) -> None:
        """Leave the broker."""
        self.client.disconnect()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        self.client.loop_forever(POLL_S, retry_first_connection=True)

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not reason.is_failure:
            self._here = True
            return self.on_here()
        if str(reason) not in BUSY:
            self.problem = ConfigError(
                f"{self.url}: the broker refused: {reason}; expected a user that it knows; correct the user's name or "
                f"the password in {PASSWORD_VARIABLE}"
            )
        return self.on_away(f"the broker refused: {reason}")

    def _failed(self, client: Any, userdata: Any) -> None:
        # paho calls this while it handles the error, which it does not hand over.
        problem = sys.exc_info()[1]
        self.on_away(str(getattr(problem, "strerror", None) or problem))

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._here and reason.is_failure:
            self.on_away("the connection ended")
        self._here = False


def subscribe(url: MqttUrl, stop: threading.Event) -> Iterator[Message]:
    """Lines of the messages of a topic, one or several in each; messages that the broker retained are old: skipped.

    Raises ConfigError if the broker refuses the client or the topic for good.
    """
    link, arrived = Link(url), queue.Queue["MQTTMessage"](WAITING_PAYLOADS)
    remark, refused = "", threading.Event()

    def here() -> None:
        link.client.subscribe(url.topic, qos=1)

    def away(reason: str) -> None:
        nonlocal remark
        if remark != (remark := reason) and link.problem is None:
            say(f"{url}: {reason}; trying again")

    def granted(client: Any, userdata: Any, mid: Any, reasons: Any, properties: Any) -> None:
        nonlocal remark
        if any(reason.is_failure for reason in reasons):
            refused.set()
        else:
            remark = ""
            say(f"{url}: connected")

    def on_message(client: Any, userdata: Any, message: "MQTTMessage") -> None:
        # While this waits, paho reads nothing further: the broker keeps what comes, as much as it is set up to.
        while not message.retain and not stop.is_set():
            try:
                return arrived.put(message, timeout=POLL_S)
            except queue.Full:
                continue

    link.on_here, link.on_away = here, away
    link.client.on_subscribe, link.client.on_message = granted, on_message
    link.start()
    try:
        for number in itertools.count(1):
            message = _next_message(link, arrived, refused, stop)
            if message is None:
                return
            origin = f"{message.topic} message {number}"
            payload = bytes(message.payload)
            if len(payload) > MAX_LINE_BYTES:
                yield Message(origin, payload[: MAX_LINE_BYTES + 1])  # refused as too long, whatever it holds
                continue
            for place, line in enumerate(payload.split(b"\n"), 1):
                yield Message(f"{origin} line {place}", line)
    finally:
        stop.set()  # lets go of a callback that waits for a place in the queue
        link.close()


def _next_message(
    link: Link, arrived: "queue.Queue[MQTTMessage]", refused: threading.Event, stop: threading.Event
) -> "MQTTMessage | None":
    while not stop.is_set():
        if link.problem is not None:
            raise link.problem
        if refused.is_set():
            raise ConfigError(
                f"{link.url}: the broker refused the subscription; expected a topic that this user may read; choose "
                "another or change the broker's access list"
            )
        try:
            return arrived.get(timeout=POLL_S)
        except queue.Empty:
            continue
    return None


def deliver(link: Link, outbox: Outbox) -> None:
    """Publish lines, a message each; what the broker has not acknowledged is sent again on the next connection."""
    changed, under_way = threading.Condition(), 0

    def acknowledged(client: Any, userdata: Any, mid: Any, reason: Any, properties: Any) -> None:
        nonlocal under_way
        with changed:
            under_way -= 1
            changed.notify_all()
        outbox.delivered()

    def at_most(count: int) -> bool:
        """Wait until the broker is there and no more than this are under way; False if there is no time left."""
        with changed:
            while not outbox.expired():
                # What is published while paho connects may overtake the connection's first packet.
                if under_way <= count and (not count or link.client.is_connected()):
                    return True
                changed.wait(POLL_S)
        return False

    def here() -> None:
        outbox.here()
        with changed:
            changed.notify_all()

    link.on_here, link.on_away = here, outbox.away
    link.client.on_publish = acknowledged
    link.start()
    for line in outbox.lines():
        if not at_most(UNACKNOWLEDGED - 1):
            break
        with changed:
            under_way += 1
        link.client.publish(link.url.topic, line, qos=1)
    at_most(0)
    link.close()
