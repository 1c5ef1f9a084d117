"""What the live page costs recognition: throughput with one client, with none, and without the page.

    python tools/live_page/cost.py runs/quickstart/package

`edgehar run` reads the same lines from standard input as fast as it takes them, in turns without the page, with the
page and no client, and with the page and a client that reads all events. Time counts from the first prediction to the
end, which leaves out the start: that which passes, and the processor time of the process, all threads together, which
other programs on the machine disturb less. Ratios are medians over rounds of the time without the page over the time
with it in the same round. The last line is one JSON document.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.bench.random_signals import random_signal
from edgehar.deploy.runtime.device import device_facts
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.package.folder import EdgePackage

WAYS = ("without", "no client", "one client")


@dataclass(frozen=True)
class CostConfig(Options):
    """Cost of the page."""

    package: str = positional("folder of the package")
    seconds: float = option(600.0, "seconds of the recording", above=0)
    chunk_s: float = option(0.1, "seconds of samples in a line", above=0)
    rounds: int = option(7, "times that everything is measured", at_least=1)


PARSER = Parser(CostConfig, "python tools/live_page/cost.py", __doc__ or "")


def lines_of(config: CostConfig) -> bytes:
    """The lines of the recording, all sensors in order of time."""
    specs = EdgePackage.open(Path(config.package)).manifest.modalities
    signals = {
        spec.name: random_signal(spec, int(config.seconds * spec.rate_hz), np.random.default_rng(place))
        for place, spec in enumerate(specs)
    }
    lines: list[str] = []
    for chunk in range(int(config.seconds / config.chunk_s)):
        for spec in specs:
            first, end = (int(np.ceil(edge * config.chunk_s * spec.rate_hz - 1e-6)) for edge in (chunk, chunk + 1))
            times_s = [round(index / spec.rate_hz, 6) for index in range(first, end)]
            if times_s:
                samples = signals[spec.name][first:end].round(4).tolist()
                lines.append(json.dumps({"modality": spec.name, "time_s": times_s, "samples": samples}))
    return "\n".join(lines).encode() + b"\n"


def read_events(address: str, connected: threading.Event, received: list[int]) -> None:
    """Read all events, as a browser does."""
    with urllib.request.urlopen(address.replace("/?", "/events?"), timeout=60) as reply:
        for line in reply:
            received[0] += line.startswith(b"data")
            connected.set()


def processor_s(process: int) -> float:
    """Processor time that a running process has used, user and system; see proc_pid_stat(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(config: CostConfig, way: str, lines: bytes) -> tuple[float, float, int, int]:
    """Seconds from the first prediction to the last, processor seconds, predictions, and events received."""
    command = [sys.executable, "-m", "edgehar", "run", config.package, "--stdin"]
    command += [] if way == "without" else ["--page", "0"]
    received = [0]
    with tempfile.TemporaryFile() as log:
        pipe, stderr = subprocess.PIPE, log if way == "without" else subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stderr is not None:
                address = process.stderr.readline().decode().split()[-1]
                if way == "one client":
                    connected = threading.Event()
                    threading.Thread(target=read_events, args=(address, connected, received), daemon=True).start()
                    connected.wait(60)
            feeder = threading.Thread(target=process.stdin.write, args=(lines,), daemon=True)
            feeder.start()
            process.stdout.readline()
            began_s, began_cpu_s, count = time.perf_counter(), processor_s(process.pid), 0
            ended_s, cpu_s = began_s, 0.0

            def end() -> None:
                feeder.join()
                assert process.stdin is not None
                process.stdin.close()

            threading.Thread(target=end, daemon=True).start()
            for _ in process.stdout:
                count, ended_s, cpu_s = count + 1, time.perf_counter(), processor_s(process.pid) - began_cpu_s
        if process.returncode or not count:
            raise DataError(f"{' '.join(command)}: exit code {process.returncode}; expected 0; run it by hand")
    return ended_s - began_s, cpu_s, count, received[0]


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    config = PARSER.parse(argv)
    lines, times_s = lines_of(config), dict[str, list[tuple[float, float]]]()
    hops = events = 0
    for turn in range(config.rounds):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            seconds, cpu_s, hops, received = measure(config, way, lines)
            times_s.setdefault(way, []).append((seconds, cpu_s))
            events = max(events, received)
    base = np.array(times_s["without"])  # (rounds, 2)
    ratios = {way: base / np.array(times_s[way]) for way in WAYS[1:]}
    document: dict[str, Any] = {
        "hops": hops,
        "events_of_client": events,
        "hops_per_s_without": float(np.median(hops / base[:, 0])),
        "time_ratio": {way: np.median(found, axis=0)[0] for way, found in ratios.items()},
        "processor_time_ratio": {way: np.median(found, axis=0)[1] for way, found in ratios.items()},
        "processor_time_range": {way: [found[:, 1].min(), found[:, 1].max()] for way, found in ratios.items()},
        "device": device_facts(),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
