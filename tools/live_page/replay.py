"""Does a live page or its server grow while a recording is replayed for long? Both memories, minute by minute.

    python tools/live_page/replay.py runs/quickstart/package --minutes 60

One person of the body simulator acts in turns and is replayed in real time to `edgehar run`, whose page is open in
headless Chromium. After each minute: resident memory of the server, the page's JavaScript heap after a garbage
collection, its number of nodes, and the newest prediction that it shows. Growth is that from a quarter of the time,
when everything is in use, to the end. The last line is one JSON document. Needs `chromium` and `chromedriver`
(tools/live_page/browser.py).
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.live.sources import play_clip
from edgehar.deploy.runtime.device import device_facts, status_bytes
from edgehar.entry import guarded
from edgehar.package.folder import EdgePackage
from edgehar.signals.clip import Clip
from tools.live_page.browser import Browser, browser
from tools.live_page.served import acting, send, served

BOUTS = 60
EVERY_S = 60.0
PAUSE_S = 2.0
"""Between two replays of the recording: later than any sample, so that time goes on."""


@dataclass(frozen=True)
class ReplayConfig(Options):
    """Replay."""

    package: str = positional("folder of a package for the simulator's sensors")
    minutes: float = option(60.0, "minutes to replay", above=0)
    speed: float = option(1.0, "speed relative to the recording", above=0)


PARSER = Parser(ReplayConfig, "python tools/live_page/replay.py", __doc__ or "")


def later(line: bytes, offset_s: float) -> bytes:
    """A line with its times moved."""
    message = json.loads(line)
    times_s = message["time_s"]
    message["time_s"] = [one + offset_s for one in times_s] if isinstance(times_s, list) else times_s + offset_s
    return json.dumps(message).encode()


def replayed(clip: Clip, config: ReplayConfig, stop: threading.Event) -> Iterator[bytes]:
    """The lines of the recording again and again, at its speed, until told to stop."""
    specs = EdgePackage.open(Path(config.package)).manifest.modalities
    length_s = max(len(clip.signals[spec.name]) / spec.rate_hz for spec in specs)
    offset_s = 0.0
    while not stop.is_set():
        for message in play_clip(clip, specs, config.speed, stop):
            yield later(message.line, offset_s)
        offset_s += length_s + PAUSE_S


def look(one: Browser, process: int) -> dict[str, float]:
    """Memory of the server and the page now."""
    found = one.memory()
    return {
        "server_mb": (status_bytes("VmRSS", process=process) or 0) / 2**20,
        "page_mb": found["JSHeapUsedSize"] / 2**20,
        "nodes": found["Nodes"],
        "newest_s": float(one.run("return [...people.values()][0]?.newest ?? 0")),
    }


def growth(points: list[dict[str, float]]) -> dict[str, float]:
    """From a quarter of the points to the last one."""
    early = points[len(points) // 4]
    return {name: points[-1][name] - early[name] for name in ("server_mb", "page_mb", "nodes")}


def main(argv: list[str] | None = None) -> int:
    """Replay and print."""
    config, clip = PARSER.parse(argv), acting(BOUTS)
    stop, points = threading.Event(), list[dict[str, float]]()
    with served(config.package) as (process, address):
        assert process.stderr is not None
        threading.Thread(target=process.stderr.read, daemon=True).start()
        threading.Thread(target=send, args=(process, replayed(clip, config, stop)), daemon=True).start()
        with browser() as one:
            one.open(address)
            until_s = time.monotonic() + 60 * config.minutes
            while (left_s := until_s - time.monotonic()) > 0:
                time.sleep(min(EVERY_S, left_s))
                points.append(look(one, process.pid))
                sys.stderr.write(f"{json.dumps(points[-1])}\n")
            problems = one.problems()
        stop.set()
    document: dict[str, Any] = {
        "minutes": config.minutes,
        "speed": config.speed,
        "growth": growth(points),
        "largest": {name: max(point[name] for point in points) for name in points[0]},
        "problems": problems,
        "points": points,
        "device": device_facts(),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
