"""What sources and sinks share: addresses, pauses between attempts, remarks on standard error."""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from edgehar.errors import ConfigError

POLL_S = 0.2
"""How often a thread that waits for something looks whether it should end."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
REMARK_CHARACTERS = 400
"""A remark may quote what a stranger sent; this much of it is enough."""


@dataclass(frozen=True)
class Address:
    """Where a program listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """HOST:PORT, as `parse_address` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int | None = None, lowest_port: int = 1) -> Address:
    """HOST:PORT, [IPv6]:PORT, or HOST alone where there is a default port; raises ConfigError for anything else."""
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


def pauses_s() -> Iterator[float]:
    """Seconds to wait before each further attempt: twice as long each time, up to a limit."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def keep_alive(connection: socket.socket) -> None:
    """Let the kernel notice within about a minute that the other machine lost power or its cable."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def say(text: str) -> None:
    """One printable line on standard error, over the live view if there is one."""
    shown = f"edgehar: {text}"
    shown = shown if len(shown) <= REMARK_CHARACTERS else shown[: REMARK_CHARACTERS - 4] + " ..."
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    try:
        if sys.stderr.isatty():
            shown = f"\r{shown:<{os.get_terminal_size(sys.stderr.fileno()).columns - 1}}"
        sys.stderr.write(shown + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads remarks; recognition goes on
