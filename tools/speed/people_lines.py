"""How many people JSON lines carry on one core: one `edgehar run` for all, against one process per person.

    python tools/speed/people_lines.py runs/quickstart/package --people 100
    python tools/speed/people_lines.py runs/quickstart/package --people 100 --mqtt

Both kinds of process read lines from standard input, as fast as they take them, in turns; with --mqtt also from a
mosquitto of its own, where each line is a message (QoS 1) and its topic names the person. All people together and the
people with a process of their own have equally many lines, so that the start of Python weighs little in both.
Times are CPU times of the processes (user and system), less those of a process without a line, over the predictions
that they write; people per core is the time between two hops over that. A process per person has no other work here,
and no waiting, which is its best case. Standard output goes to a file, and the answers of each person are compared as
text. The broker's own CPU time is not counted. The last output is one JSON document.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import Manifest
from edgehar.provenance import portable, stamp
from tools.speed.people_mqtt import mosquitto
from tools.speed.people_mqtt import run_with as run_mqtt


@dataclass(frozen=True)
class PeopleLinesConfig(Options):
    """Many people through JSON lines."""

    package: str = positional("folder of the package")
    people: int = option(100, "people in one process", at_least=2)
    processes: int = option(4, "people with a process of their own", at_least=1)
    seconds: float = option(60.0, "seconds of each person's recording", above=0)
    chunk_s: float = option(0.1, "seconds of samples in a line", above=0)
    rounds: int = option(3, "times that everything is measured; the median counts", at_least=1)
    mqtt: bool = option(False, "also through MQTT; needs mosquitto and paho-mqtt")
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(PeopleLinesConfig, "python tools/speed/people_lines.py", __doc__ or "")


def lines_of(manifest: Manifest, seed: int, seconds: float, chunk_s: float) -> Iterator[dict[str, Any]]:
    """The lines of one person, all sensors in order of time."""
    signals = {  # a longer recording begins with the same samples
        spec.name: random_signal(spec, int(seconds * spec.rate_hz), np.random.default_rng([seed, place]))
        for place, spec in enumerate(manifest.modalities)
    }
    for chunk in range(int(seconds / chunk_s)):
        for spec in manifest.modalities:
            first, end = (int(np.ceil(edge * chunk_s * spec.rate_hz - 1e-6)) for edge in (chunk, chunk + 1))
            samples = signals[spec.name][first:end].round(4).tolist()
            if samples:
                times_s = [round(1000 * seed + index / spec.rate_hz, 6) for index in range(first, end)]
                yield {"modality": spec.name, "time_s": times_s, "samples": samples}


Line = dict[str, Any]


def text_of(lines: Sequence[tuple[str | None, Line]]) -> str:
    """Lines as standard input has them; those of a person, not None, carry the name."""
    named = ({**({} if person is None else {"person": person}), **line} for person, line in lines)
    return "".join(json.dumps(line) + "\n" for line in named)


def run_with(package: Path, folder: Path, text: str, people: int) -> tuple[float, str]:
    """CPU seconds of `edgehar run` with these lines on standard input, and what it wrote."""
    source, sink = folder / "lines", folder / "answers"
    source.write_text(text)
    command = [sys.executable, "-m", "edgehar", "run", str(package), "--stdin", "--max-people", str(people)]
    with source.open("rb") as stdin, sink.open("wb") as stdout:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise DataError(f"{' '.join(command)}: exit code {process.returncode}; expected 0; run it by hand")
    return usage.ru_utime + usage.ru_stime, sink.read_text()


Send = Callable[[Sequence[tuple[str | None, Line]], int], tuple[float, str]]
"""Sends lines of people, or of nobody in particular, to a new process, which may have so many people."""


def compared(config: PeopleLinesConfig, send: Send) -> dict[str, Any]:
    """One process for all people and one process per person, with one way to send lines."""
    manifest = EdgePackage.open(Path(config.package)).manifest
    hop_s = manifest.window.hop * manifest.window.step_s
    longer_s = config.seconds * config.people / config.processes
    streams = [list(lines_of(manifest, seed, config.seconds, config.chunk_s)) for seed in range(config.people)]
    every = [(f"{number}", line) for turn in zip(*streams, strict=True) for number, line in enumerate(turn)]
    alone = [
        [(None, line) for line in lines_of(manifest, seed, longer_s, config.chunk_s)]
        for seed in range(config.processes)
    ]
    own: list[float] = []
    together: list[float] = []
    same = hops_of_all = 0
    for _ in range(config.rounds):
        start_s = send([], 1)[0]
        cpu_s, text = send(every, config.people)
        answers = [json.loads(line) for line in text.splitlines()]
        hops_of_all = len(answers)
        together.append(1e6 * (cpu_s - start_s) / hops_of_all)
        cpu_s, hops, same = 0.0, 0, 0
        for number, lines in enumerate(alone):
            one_s, text = send(lines, 1)
            found = [json.loads(line) for line in text.splitlines()]
            cpu_s, hops = cpu_s + one_s - start_s, hops + len(found)
            of_person = [
                {key: value for key, value in one.items() if key != "person"}
                for one in answers
                if one["person"] == f"{number}" and one["end_s"] < 1000 * number + config.seconds - 1  # before its end
            ]
            same += bool(of_person) and of_person == found[: len(of_person)]
        own.append(1e6 * cpu_s / hops)
    fleet_us, own_us = float(np.median(together)), float(np.median(own))
    return {
        "lines_per_hop": len(every) / hops_of_all,
        "fleet_us_per_hop": fleet_us,
        "own_process_us_per_hop": own_us,
        "own_process_over_fleet": own_us / fleet_us,
        "fleet_people_per_core": 1e6 * hop_s / fleet_us,
        "own_process_people_per_core": 1e6 * hop_s / own_us,
        "same_answers": f"{same} of {len(alone)} people",
    }


def measure(config: PeopleLinesConfig, folder: Path) -> dict[str, Any]:
    """The result as a JSON document."""
    package = Path(config.package)
    window = EdgePackage.open(package).manifest.window
    ways = {"lines": compared(config, lambda lines, people: run_with(package, folder, text_of(lines), people))}
    if config.mqtt:
        with mosquitto(folder) as port:

            def send(lines: Sequence[tuple[str | None, Line]], people: int) -> tuple[float, str]:
                messages = [(f"people/{person or 'nobody'}", json.dumps(line)) for person, line in lines]
                topic = "people/{person}" if people > 1 else "people/nobody"
                return run_mqtt(package, folder, port, topic, messages, people)

            ways["mqtt"] = compared(config, send)
    words = [config.package, "--people", str(config.people), "--processes", str(config.processes)]
    words += ["--seconds", f"{config.seconds:g}", "--rounds", str(config.rounds), *(["--mqtt"] if config.mqtt else [])]
    return {
        "format": "edgehar-people-lines",
        "name": package.resolve().name,
        "command": portable(["python", "tools/speed/people_lines.py", *words]),
        **stamp(),
        "people": config.people,
        "hop_s": window.hop * window.step_s,
        "paths": ways,
        "device": device_facts(),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    config = PARSER.parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        document = measure(config, Path(folder))
    if config.json is not None:
        write_json(Path(config.json), document)
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
