"""Gives each person's samples one of N topics, so that several boards share the people and none is on two boards.

    python docs/examples/partition_bridge.py 127.0.0.1:1883 'rooms/+/samples' 1 samples 2

Reads the messages of rooms/ANN/samples, whose level 1 (counted from 0) is the person, and publishes them unchanged at
samples/0/ANN or samples/1/ANN: the number is crc32(person) modulo 2. Needs paho-mqtt 2 or later. A sensor program that
publishes at such a topic itself needs no bridge.

QoS is 1 in both directions: a message is acknowledged after the broker has its copy, and may arrive twice. One bridge
keeps the order of messages.
"""

import signal
import sys
import threading
import zlib
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion


def partition(person: str, count: int) -> int:
    """Which of `count` partitions a person belongs to, the same on every machine and at every time."""
    return zlib.crc32(person.encode()) % count


def main(address: str, source: str, person_level: int, target: str, count: int) -> None:
    """Copy messages until a signal."""
    host, _, port = address.partition(":")
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, manual_ack=True)
    waiting: dict[int, MQTTMessage] = {}  # published message -> the one that it copies

    def on_connect(*_: Any) -> None:
        waiting.clear()
        client.subscribe(source, qos=1)
        sys.stderr.write("bridge: connected\n")
        sys.stderr.flush()

    def on_message(_client: Any, _data: Any, message: MQTTMessage) -> None:
        person = message.topic.split("/")[person_level]
        copy = client.publish(f"{target}/{partition(person, count)}/{person}", message.payload, qos=1)
        waiting[copy.mid] = message

    def on_publish(_client: Any, _data: Any, identifier: int, *_: Any) -> None:
        message = waiting.pop(identifier, None)
        if message is not None:
            client.ack(message.mid, message.qos)

    client.on_connect, client.on_message, client.on_publish = on_connect, on_message, on_publish
    client.connect_async(host, int(port or 1883))
    client.loop_start()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
