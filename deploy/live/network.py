"""Addresses, retry delays, TCP keep-alive and log lines, for sources and sinks."""

import os
import select
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from edgehar.errors import ConfigError

POLL_S = 0.2
"""Interval at which a waiting thread checks whether it should end."""
FIRST_RETRY_S, MAX_RETRY_S = 0.1, 10.0
MAX_LOG_CHARACTERS = 400
"""Longest log line; it may quote untrusted input."""


@dataclass(frozen=True)
class Address:
    """Host and port of a TCP server."""

    host: str
    port: int

    def __str__(self) -> str:
        """HOST:PORT, as `parse_address` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int | None = None, lowest_port: int = 1) -> Address:
    """Parse HOST:PORT, [IPv6]:PORT, or HOST if there is a default port; raises ConfigError for other text."""
    host, port = text, ""
    if ":" in text.rpartition("]")[2]:
        host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    try:
        usable = bool(host) and host.isprintable() and " " not in host and bool(host.encode("idna"))
    except UnicodeError:
        usable = False
    number = int(port) if port.isdecimal() and port.isascii() and len(port) < 6 else None
    number = default_port if number is None and not port else number
    if not usable or (":" in host) != bracketed or number is None or not lowest_port <= number <= 65535:
        raise ConfigError(
            f"{text!r}: expected HOST:PORT, such as 127.0.0.1:80 or [::1]:80, and a port from {lowest_port} to 65535"
        )
    return Address(host, number)


def retry_delays_s() -> Iterator[float]:
    """Seconds to wait before each retry: exponential backoff up to MAX_RETRY_S."""
    delay_s = FIRST_RETRY_S
    while True:
        yield delay_s
        delay_s = min(2 * delay_s, MAX_RETRY_S)


def enable_keepalive(connection: socket.socket) -> None:
    """Enable TCP keep-alive, so that a dead peer is detected within about a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def descriptor_of(file: TextIO | None) -> int | None:
    """The file descriptor of a text stream; None if there is none, as in tests."""
    try:
        return None if file is None else file.fileno()
    except (OSError, ValueError):
        return None


def is_writable(file: TextIO) -> bool:
    """Whether a stream takes a short line within POLL_S; False if its reader stands still."""
    descriptor = descriptor_of(file)
    return descriptor is None or bool(select.select([], [descriptor], [], POLL_S)[1])


def log(text: str) -> None:
    """Write one printable line to standard error, over the live view if there is one; dropped if nothing reads it."""
    shown = f"edgehar: {text}"
    shown = shown if len(shown) <= MAX_LOG_CHARACTERS else shown[: MAX_LOG_CHARACTERS - 4] + " ..."
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    try:
        if not is_writable(sys.stderr):
            return
        if sys.stderr.isatty():
            shown = f"\r{shown:<{os.get_terminal_size(sys.stderr.fileno()).columns - 1}}"
        sys.stderr.write(shown + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return  # standard error is closed; recognition continues
