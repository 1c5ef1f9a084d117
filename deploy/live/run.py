"""Recognise a recording or a live stream; predictions are JSON lines.

    edgehar run PACKAGE --input skeleton=skeleton.npy,inertial=inertial.csv
    edgehar run PACKAGE --data utd-mhad --root DIR --clip a1_s1_t1
    sensor_program | edgehar run PACKAGE --stdin
    edgehar run PACKAGE --listen 127.0.0.1:7000 --to predictions.jsonl --live

A .csv or .npy file is one as in docs/own-data.md. A line of the stream is
{"modality": "inertial", "time_s": 1.23, "samples": [[...]]}; several samples take a list of times.
All sources and sinks, each with a command: docs/board-inputs.md.
"""

import signal
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

from edgehar.checks import check_threads
from edgehar.command_line import Parser
from edgehar.config import option, positional
from edgehar.deploy.live import mqtt, sources
from edgehar.deploy.live.inbox import Inbox, MessageSource, stop_on_signals
from edgehar.deploy.live.json_lines import activity_line, prediction_line, stream_predictions
from edgehar.deploy.live.network import log, parse_address
from edgehar.deploy.live.recording_input import load_clip, predict_files
from edgehar.deploy.live.sinks import STDOUT, open_sinks
from edgehar.deploy.live.terminal_view import LiveView
from edgehar.deploy.recognizer import Recognizer, load
from edgehar.deploy.runtime.providers import PROVIDERS_HELP
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.sample_counts import brief_summary, summary
from edgehar.deploy.stream.segments import Activity, Segmenter
from edgehar.entry import discard_stdout, guarded
from edgehar.errors import ConfigError, DataError

LATENESS_S = 0.5


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
    lateness_s: float = option(LATENESS_S, "stream: seconds that the slowest sensor is waited for")
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
            "--modalities": (bool(self.modalities), tuple(streams)),
            "--smoothing": (self.smoothing != 0.0, tuple(streams)),
            "--margin": (self.margin != 0.0, tuple(streams)),
            "--lateness-s": (self.lateness_s != LATENESS_S, tuple(streams)),
            "--reorder-s": (self.reorder_s != 0.0, tuple(streams)),
            "--activities": (self.activities is not None, tuple(streams)),
            "--skip-bad": (self.skip_bad is not None, tuple(streams)),
        }
        for name, (is_given, with_sources) in allowed.items():
            if is_given and source not in with_sources:
                raise ConfigError(f"{name} with {source}: expected {' or '.join(with_sources)}; leave {name} out")
        check_threads(self.threads)
        if self.speed is not None and not self.speed > 0:
            raise ConfigError(f"--speed {self.speed}: expected above 0; inf is as fast as it goes")


def stream_source(config: RunConfig, recognizer: Recognizer) -> tuple[MessageSource, tuple[str, ...]]:
    """The source of a stream, and the sensors to wait for: all of the package's if none is named."""
    if config.listen is not None:
        return partial(sources.listen, parse_address(config.listen, lowest_port=0), config.once), config.modalities
    if config.connect is not None:
        return partial(sources.connect, parse_address(config.connect), config.once), config.modalities
    if config.mqtt is not None:
        return partial(mqtt.subscribe, mqtt.parse_url(config.mqtt, wildcards=True)), config.modalities
    if config.replay is not None and config.clip is not None:
        dataset, clip = load_clip(recognizer.manifest, config.replay, config.root, config.clip)
        wanted = config.modalities or tuple(spec.name for spec in recognizer.manifest.modalities)
        specs = [spec for spec in dataset.info.modalities if spec.name in wanted and spec.name in clip.signals]
        if not specs:
            raise DataError(
                f"{clip.name}: recorded with {', '.join(clip.signals) or 'nothing'}; expected at least one of "
                f"{', '.join(wanted)}; choose another clip"
            )
        speed = 1.0 if config.speed is None else config.speed
        return partial(sources.play_clip, clip, specs, speed), tuple(spec.name for spec in specs)
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigError("--stdin: standard input is closed; expected JSON lines on it; pipe the sensors in")
    return partial(sources.read_descriptor, sys.stdin.fileno()), config.modalities


def run_stream(
    config: RunConfig, recognizer: Recognizer, view: LiveView | None, write: Callable[[str], None]
) -> list[str]:
    """Recognise until the source ends, or a signal ends it; what was heard by then is computed to the end.

    Returns:
        What became of the samples, in lines for people.
    """
    source, modalities = stream_source(config, recognizer)
    stream = StreamRecognizer(
        recognizer, modalities, config.smoothing, config.margin, config.lateness_s, config.reorder_s
    )
    segmenter = None if config.activities is None else Segmenter(config.activities)
    network = config.listen is not None or config.connect is not None or config.mqtt is not None
    skip_bad = network if config.skip_bad is None else config.skip_bad
    answers = 0
    with Inbox(source) as inbox, stop_on_signals(inbox.stop):
        messages = inbox.messages(idle=None if view is None else view.draw)
        if view is not None:
            messages = view.watch(messages, lambda: brief_summary(stream.counts))
        for prediction, arrived_s in stream_predictions(stream, messages, skip_bad):
            answers += 1
            if segmenter is None:
                write(prediction_line(prediction, recognizer.manifest.labels))
            else:
                write_activities(segmenter.push([prediction]), write)
            if view is not None:
                view.show(prediction, arrived_s)
    if segmenter is not None:
        write_activities(segmenter.flush(), write)
    return summary(stream.counts, answers, recognizer.manifest.window.length_s)


def write_activities(activities: list[Activity], write: Callable[[str], None]) -> None:
    """One line for each activity that has ended."""
    for activity in activities:
        write(activity_line(activity))


class LineCounter:
    """Lines on their way to the sinks, and how many there were."""

    def __init__(self) -> None:
        """Count from 0."""
        self.count = 0

    def to(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """The same as `write`, counted."""

        def counted(line: str) -> None:
            write(line)
            self.count += 1

        return counted


def recognise(config: RunConfig, lines: LineCounter) -> None:
    """Write one JSON line per prediction to every sink, each as soon as it is known."""
    recognizer = load(config.package, config.precision, config.threads, config.providers, config.key)
    live = config.live and sys.stderr.isatty()
    if config.live and not live:
        log("--live: standard error is no terminal; going on without the view")
    if live and STDOUT in config.to and sys.stdout.isatty():
        raise ConfigError(
            "--to stdout with --live: both on one terminal; expected the lines elsewhere; leave one of them out"
        )
    targets = config.to or (() if live and sys.stdout.isatty() else (STDOUT,))
    recorded = config.input or config.data is not None or config.replay is not None
    try:
        with open_sinks(targets, block_when_full=bool(recorded)) as sinks:
            write = lines.to(sinks)
            if config.data is not None and config.clip is not None:
                clip = load_clip(recognizer.manifest, config.data, config.root, config.clip)[1]
                for prediction in recognizer.predict_clip(clip):
                    write(prediction_line(prediction, recognizer.manifest.labels))
                return
            if config.input:
                for prediction in predict_files(recognizer, config.input):
                    write(prediction_line(prediction, recognizer.manifest.labels))
                return
            view = LiveView(sys.stderr, recognizer.manifest.labels) if live else None
            with closing(view) if view is not None else nullcontext():
                remarks = run_stream(config, recognizer, view, write)
            for remark in remarks:  # below the view
                log(remark)
    except BrokenPipeError:  # whoever read the answers has enough
        discard_stdout()


PARSER = Parser(RunConfig, "edgehar run", (__doc__ or "").partition("\n")[0])


def run(config: RunConfig) -> int:
    """Recognise; a second signal, or the first before a stream has begun, ends with what there is."""
    lines = LineCounter()
    try:
        recognise(config, lines)
    except KeyboardInterrupt:
        log(f"interrupted; {lines.count or 'no'} answers were given")
        return 128 + signal.SIGINT
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
