"""paho's client with packets of bounded size; importing it needs paho-mqtt 2 or later."""

import ssl

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode  # not in version 1
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES
from edgehar.deploy.live.network import Address

MAX_PACKET_BYTES = MAX_LINE_BYTES + 2 * 65_536
"""Longest packet: a line and its topic. A payload that is cut off here is still too long for a line."""
READ_BYTES = 16_384
KEEP_ALIVE_S = 30
MAX_RECONNECT_DELAY_S = 30


class BoundedClient(Client):
    """A client that keeps no more than MAX_PACKET_BYTES of a packet, and 2 MB while it reads one.

    With MQTT 5 it asks the broker for no longer packets (Maximum Packet Size, section 3.1.2.11.4) and no retained
    messages (Retain Handling, section 3.8.3.1). The rest of a longer packet that a broker sends nevertheless, as with
    MQTT 3.1.1, is read and dropped: after a disconnection it would be sent again.

    paho has no public hook for this; two private methods of version 2 are overridden. If a later version no longer
    calls them, only MQTT 3.1.1 is unbounded, and a test fails.
    """

    def __init__(self, is_version_5: bool) -> None:
        """Create the client; nothing is sent before it is connected."""
        super().__init__(CallbackAPIVersion.VERSION2, protocol=MQTTv5 if is_version_5 else MQTTv311)
        self.is_version_5 = is_version_5

    def open(self, address: Address, is_encrypted: bool) -> None:
        """Let the loop connect to a broker, over TLS if encrypted, and reconnect."""
        if is_encrypted:
            self.tls_set_context(ssl.create_default_context())  # pyright: ignore[reportUnknownMemberType]
        self.reconnect_delay_set(1, MAX_RECONNECT_DELAY_S)
        properties = Properties(PacketTypes.CONNECT) if self.is_version_5 else None
        if properties is not None:
            properties.MaximumPacketSize = MAX_PACKET_BYTES
        self.connect_async(address.host, address.port, KEEP_ALIVE_S, properties=properties)

    def subscribe_to(self, topic: str) -> None:
        """Subscribe with QoS 1."""
        if self.is_version_5:
            self.subscribe(topic, options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))
        else:
            self.subscribe(topic, qos=1)

    def _sock_recv(self, bufsize: int) -> bytes:
        return super()._sock_recv(min(bufsize, READ_BYTES))

    def _packet_read(self) -> MQTTErrorCode:
        code = super()._packet_read()  # up to 100 times READ_BYTES
        del self._in_packet["packet"][MAX_PACKET_BYTES:]
        return code
