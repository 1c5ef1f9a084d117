"""Recognise a recording or a live stream; predictions are JSON lines.

    edgehar run PACKAGE --input skeleton=skeleton.npy,inertial=inertial.csv
    edgehar run PACKAGE --data utd-mhad --root DIR --clip a1_s1_t1
    sensor_program | edgehar run PACKAGE --stdin
    edgehar run PACKAGE --listen 127.0.0.1:7000 --to predictions.jsonl --live

A .csv or .npy file is one as in docs/own-data.md. A line of the stream is
{"modality": "inertial", "time_s": 1.23, "samples": [[...]]}; several samples take a list of times.
All sources and sinks, each with a command: docs/board-inputs.md.
"""

import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deploy import mqtt, sources
from deploy.inbox import Inbox, Source, ended_by_signals
from deploy.lines import activity_line, prediction_line, stream_predictions
from deploy.live import LiveView
from deploy.network import parse_address, say
from deploy.providers import PROVIDERS_HELP
from deploy.recognizer import Recognizer, load
from deploy.segments import Activity, Segmenter
from deploy.sinks import STDOUT, opened
from deploy.stream import StreamRecognizer
from edgehar import datasets
from edgehar.cli import forget_reader, guarded
from edgehar.clip import Clip, Dataset, Prediction
from edgehar.config import check_threads, option, parse, positional
from edgehar.errors import ConfigError, DataError
from edgehar.recordings_signal import read_csv, read_npy


@dataclass(frozen=True)
class RunConfig:
    """Options of `edgehar run`."""

    package: str = positional("folder of the edge package")
    input: tuple[str, ...] = option((), "recording: MODALITY=FILE for each sensor, .csv or .npy")
    data: str | None = option(None, "recording: a data set's name or folder, with --clip")
    root: str | None = option(None, "folder with the recordings of a named data set")
    clip: str | None = option(None, "name of the clip in --data or --replay")
    stdin: bool = option(False, "stream: JSON lines on standard input")
    listen: str | None = option(None, "stream: HOST:PORT at which sensor programs connect and send JSON lines")
    connect: str | None = option(None, "stream: HOST:PORT of a server that sends JSON lines")
    mqtt: str | None = option(None, "stream: mqtt://[user@]host[:port]/topic, mqtts:// for TLS; wildcards + and #")
    replay: str | None = option(None, "stream: a data set's name or folder, whose --clip comes as it was recorded")
    speed: float | None = option(None, "replay: times as fast as recorded, inf for as fast as it goes; else 1")
    once: bool = option(False, "listen, connect: end when the last connection has ended")
    to: tuple[str, ...] = option(
        (), "sinks: stdout, a file to append to, tcp://HOST:PORT, mqtt://HOST/TOPIC; stdout if none is given"
    )
    live: bool = option(False, "stream: one line on the terminal that shows the newest prediction")
    precision: str | None = option(None, "precision to run; if none is given, as bench --tune chose, or the default")
    key: str | None = option(None, "file of a public key (PEM, ed25519); the package must be signed with it")
    threads: int | None = option(None, "onnxruntime's threads; if none are given, as bench --tune chose, or 1")
    providers: tuple[str, ...] = option((), PROVIDERS_HELP)
    modalities: tuple[str, ...] = option(
        (), "stream: sensors that are connected; all of the package's if none is given"
    )
    smoothing: float = option(0.0, "stream: weight of the previous prediction, 0 to below 1")
    margin: float = option(0.0, "stream: how much more probable a new label must be to replace the previous one")
    lateness_s: float = option(0.5, "stream: seconds that the slowest sensor is waited for")
    reorder_s: float = option(0.0, "stream: seconds that a sample may come behind a newer one and change nothing")
    activities: float | None = option(
        None, "stream: write activities that last this many seconds or more, rather than a prediction per hop"
    )
    skip_bad: bool | None = option(
        None, "stream: report a bad line and go on, as networks do if nothing is given, or end with exit code 2"
    )

    def __post_init__(self) -> None:
        """Refuse none or several sources, and options that contradict the source."""
        streams = {
            "--stdin": self.stdin,
            "--listen": self.listen is not None,
            "--connect": self.connect is not None,
            "--mqtt": self.mqtt is not None,
            "--replay": self.replay is not None,
        }
        every = {"--input": bool(self.input), "--data": self.data is not None} | streams
        given = [name for name, is_given in every.items() if is_given]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given) or 'no source'}: expected one source; give one of {', '.join(every)}"
            )
        source = given[0]
        if (source in ("--data", "--replay")) != (self.clip is not None):
            raise ConfigError("--clip and --data or --replay belong together; give both")
        allowed = {
            "--root": (self.root is not None, ("--data", "--replay")),
            "--once": (self.once, ("--listen", "--connect")),
            "--speed": (self.speed is not None, ("--replay",)),
            "--live": (self.live, tuple(streams)),
            "--activities": (self.activities is not None, tuple(streams)),
            "--skip-bad": (self.skip_bad is not None, tuple(streams)),
        }
        for name, (is_given, with_sources) in allowed.items():
            if is_given and source not in with_sources:
                raise ConfigError(f"{name} with {source}: expected {' or '.join(with_sources)}; leave {name} out")
        check_threads(self.threads)
        if self.speed is not None and not self.speed > 0:
            raise ConfigError(f"--speed {self.speed}: expected above 0; inf is as fast as it goes")


def recorded_predictions(config: RunConfig, recognizer: Recognizer) -> list[Prediction]:
    """Predictions of a clip of a data set, or of a recording in files, given as MODALITY=FILE."""
    if config.data is not None and config.clip is not None:
        return recognizer.predict_clip(find_clip(config.data, config.root, config.clip)[1])
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for entry in config.input:
        name, found, file = entry.partition("=")
        if not found or not file:
            raise ConfigError(f"input {entry!r}; expected MODALITY=FILE")
        recognizer.check_names([name])
        path, spec = Path(file), recognizer.manifest.info.modality(name)
        readers = {".csv": read_csv, ".npy": read_npy}
        if path.suffix not in readers:
            raise DataError(f"{path}: expected a .csv or .npy file; convert it")
        signal, problems = readers[path.suffix](path, spec)
        if signal is None:
            raise DataError(str(problems[0]))
        signals[name] = np.where(signal.valid[:, None], signal.values, np.nan)
        # A package for pre-cut clips stretches them by normalised time, as in training, whatever the timestamps say.
        if signal.times_s is not None and recognizer.manifest.window.kind == "sliding":
            times_s[name] = signal.times_s
    return recognizer.predict_windows(signals, times_s or None)


def find_clip(data: str, root: str | None, name: str) -> tuple[Dataset, Clip]:
    """A data set and one of its clips by name."""
    dataset = datasets.load(data, root)
    clips = {clip.name: clip for clip in dataset.clips}
    if name not in clips:
        some = ", ".join(list(clips)[:3])
        raise DataError(f"{data}: no clip {name!r} among {len(clips)}; expected a name such as {some}")
    return dataset, clips[name]


def stream_source(config: RunConfig, recognizer: Recognizer) -> tuple[Source, tuple[str, ...]]:
    """The source of a stream, and the sensors to wait for: all of the package's if none is named."""
    if config.listen is not None:
        return partial(sources.listen, parse_address(config.listen, lowest_port=0), config.once), config.modalities
    if config.connect is not None:
        return partial(sources.connect, parse_address(config.connect), config.once), config.modalities
    if config.mqtt is not None:
        return partial(mqtt.subscribe, mqtt.parse_url(config.mqtt, wildcards=True)), config.modalities
    if config.replay is not None and config.clip is not None:
        dataset, clip = find_clip(config.replay, config.root, config.clip)
        wanted = config.modalities or tuple(spec.name for spec in recognizer.manifest.modalities)
        specs = [spec for spec in dataset.info.modalities if spec.name in wanted and spec.name in clip.signals]
        if not specs:
            raise DataError(
                f"{clip.name}: recorded with {', '.join(clip.signals) or 'nothing'}; expected at least one of "
                f"{', '.join(wanted)}; choose another clip"
            )
        speed = 1.0 if config.speed is None else config.speed
        return partial(sources.replay, clip, specs, speed), tuple(spec.name for spec in specs)
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigError("--stdin: standard input is closed; expected JSON lines on it; pipe the sensors in")
    return partial(sources.read_descriptor, sys.stdin.fileno()), config.modalities


def run_stream(config: RunConfig, recognizer: Recognizer, view: LiveView | None, write: Callable[[str], None]) -> None:
    """Recognise until the source ends, or a signal ends it; what was heard by then is computed to the end."""
    source, modalities = stream_source(config, recognizer)
    stream = StreamRecognizer(
        recognizer, modalities, config.smoothing, config.margin, config.lateness_s, config.reorder_s
    )
    segmenter = None if config.activities is None else Segmenter(config.activities)
    network = config.listen is not None or config.connect is not None or config.mqtt is not None
    skip_bad = network if config.skip_bad is None else config.skip_bad
    with Inbox(source) as inbox, ended_by_signals(inbox.stop):
        messages = inbox.messages(idle=None if view is None else view.draw)
        for prediction, arrived_s in stream_predictions(stream, messages, skip_bad):
            if segmenter is None:
                write(prediction_line(prediction, recognizer.manifest.labels))
            else:
                write_activities(segmenter.push([prediction]), write)
            if view is not None:
                view.show(prediction, arrived_s)
    if segmenter is not None:
        write_activities(segmenter.flush(), write)


def write_activities(activities: list[Activity], write: Callable[[str], None]) -> None:
    """One line for each activity that has ended."""
    for activity in activities:
        write(activity_line(activity))


def main(argv: list[str] | None = None) -> int:
    """Write one JSON line per prediction to every sink, each as soon as it is known."""
    config = parse(RunConfig, argv, "edgehar run", (__doc__ or "").partition("\n")[0])
    recognizer = load(config.package, config.precision, config.threads, config.providers, config.key)
    live = config.live and sys.stderr.isatty()
    if config.live and not live:
        say("--live: standard error is no terminal; going on without the view")
    if live and STDOUT in config.to and sys.stdout.isatty():
        raise ConfigError(
            "--to stdout with --live: both on one terminal; expected the lines elsewhere; leave one of them out"
        )
    targets = config.to or (() if live and sys.stdout.isatty() else (STDOUT,))
    recorded = config.input or config.data is not None or config.replay is not None
    try:
        with opened(targets, patient=bool(recorded)) as write:
            if config.input or config.data is not None:
                for prediction in recorded_predictions(config, recognizer):
                    write(prediction_line(prediction, recognizer.manifest.labels))
                return 0
            view = LiveView(sys.stderr, recognizer.manifest.labels) if live else None
            with closing(view) if view is not None else nullcontext():
                run_stream(config, recognizer, view, write)
    except BrokenPipeError:  # whoever read the answers has enough
        forget_reader()
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
