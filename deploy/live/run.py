"""Recognise a recording or a live stream; predictions are JSON lines.

    edgehar run PACKAGE --input skeleton=skeleton.npy,inertial=inertial.csv
    edgehar run PACKAGE --data utd-mhad --root DIR --clip a1_s1_t1
    sensor_program | edgehar run PACKAGE --stdin
    edgehar run PACKAGE --listen 127.0.0.1:7000 --to predictions.jsonl --live

The .csv and .npy files are described in docs/own-data.md. A line of a stream is
{"modality": "inertial", "time_s": 1.23, "samples": [[...]]}; several samples have a list of times, and "person" may say
whose they are.
All sources and sinks, each with a command: docs/board-inputs.md.
"""

import math
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from functools import partial

from edgehar.command_line import Parser
from edgehar.deploy.live import sources, tcp_server
from edgehar.deploy.live.inbox import Inbox, MessageSource
from edgehar.deploy.live.json_lines import activity_line, prediction_line
from edgehar.deploy.live.mqtt.broker import subscribe
from edgehar.deploy.live.mqtt.url import parse_url
from edgehar.deploy.live.network import Address, log, parse_address
from edgehar.deploy.live.options import RunConfig, SourceOptions
from edgehar.deploy.live.recording_input import input_files, load_clip, predict_files
from edgehar.deploy.live.serving.live_fleet import Answer, LiveFleet, stream_answers
from edgehar.deploy.live.serving.watchdog import watched
from edgehar.deploy.live.sinks import STDOUT, is_file, open_sinks
from edgehar.deploy.live.stopping import StopEvent, stop_on_signals
from edgehar.deploy.live.terminal_view import LiveView
from edgehar.deploy.recognizer import Recognizer, load
from edgehar.deploy.stream.clocks.sample_counts import brief_summary, summary
from edgehar.deploy.stream.fleet import Fleet
from edgehar.deploy.stream.segments import Activity, Segmenter
from edgehar.entry import discard_stdout
from edgehar.errors import ConfigError, DataError
from edgehar.package.folder import check_apart

NETWORK_SOURCES = ("listen", "connect", "mqtt")


def open_source(
    options: SourceOptions, recognizer: Recognizer, modalities: tuple[str, ...]
) -> tuple[MessageSource, tuple[str, ...]]:
    """The source of a stream, and the sensors that the stream waits for; none means all of the package.

    Args:
        options: which source.
        recognizer: the opened package.
        modalities: `--modalities`.
    """
    if options.listen is not None:
        address = parse_address(options.listen, lowest_port=0)
        max_clients = options.max_clients or tcp_server.MAX_CLIENTS
        timeout_s = options.client_timeout_s or tcp_server.CLIENT_TIMEOUT_S
        source = partial(tcp_server.listen, address, options.once, max_clients=max_clients, timeout_s=timeout_s)
        return source, modalities
    if options.connect is not None:
        return partial(sources.connect, parse_address(options.connect), options.once), modalities
    if options.mqtt is not None:
        return partial(subscribe, parse_url(options.mqtt, wildcards=True)), modalities
    if options.replay is not None and options.clip is not None:
        dataset, clip = load_clip(recognizer.manifest, options.replay, options.root, options.clip)
        requested = modalities or tuple(spec.name for spec in recognizer.manifest.modalities)
        specs = [spec for spec in dataset.info.modalities if spec.name in requested and spec.name in clip.signals]
        if not specs:
            raise DataError(
                f"{clip.name}: recorded with {', '.join(clip.signals) or 'nothing'}; expected at least one of "
                f"{', '.join(requested)}; choose another clip"
            )
        speed = 1.0 if options.speed is None else options.speed
        return partial(sources.play_clip, clip, specs, speed), tuple(spec.name for spec in specs)
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigError("--stdin: standard input is closed; expected JSON lines; pipe a sensor program into it")
    return partial(sources.read_descriptor, sys.stdin.fileno()), modalities


def run_stream(
    config: RunConfig, recognizer: Recognizer, view: LiveView | None, write: Callable[[str], None], stop: StopEvent
) -> list[str]:
    """Recognise until the source ends or a signal sets `stop`; samples received by then are used, for STOP_S.

    Returns:
        Lines about the samples of each sensor, to be logged.
    """
    options = config.stream
    source, modalities = open_source(config.source, recognizer, options.modalities)
    fleet = Fleet(
        recognizer,
        modalities,
        options.smoothing,
        options.margin,
        options.lateness_s,
        options.reorder_s,
        max_people=options.max_people,
        idle_s=math.inf,
    )
    open_segmenter = None if options.activities is None else partial(Segmenter, options.activities)
    people = LiveFleet(fleet, open_segmenter, options.person_timeout_s)
    skip_bad = config.source.source in NETWORK_SOURCES if options.skip_bad is None else options.skip_bad
    labels = recognizer.manifest.labels

    def show(answer: Answer) -> None:
        if isinstance(answer.found, Activity):
            return write(activity_line(answer.found, answer.person))
        if options.activities is None:
            write(prediction_line(answer.found, labels, answer.person))
        if view is not None:
            view.show(answer.found, answer.arrived_s, answer.person)
        return None

    with ExitStack() as stack:
        observers = list[Callable[[Answer], None]]()
        if options.metrics is not None:
            from edgehar.deploy.live.serving.metrics import serve_metrics

            observers.append(stack.enter_context(serve_metrics(options.metrics, people)))
        if options.page is not None:
            from edgehar.deploy.live.page.server import serve_page

            address = Address(options.page_address, options.page)
            page = stack.enter_context(serve_page(address, people, recognizer, options.activities is not None))
            observers.append(page.add_answer)
            fleet.seen = page.add_samples
        inbox = stack.enter_context(Inbox(source, stop=stop))
        stack.enter_context(stop_on_signals(stop.set))
        messages = watched(inbox.messages())
        if view is not None:
            messages = view.watch(messages, lambda: brief_summary(people.counts))
        for answer in stream_answers(people, messages, skip_bad):
            show(answer)
            for observe in observers:
                observe(answer)
    lines = summary(people.counts, people.predictions, recognizer.manifest.window.length_s)
    return [f"{people.known} {'person' if people.known == 1 else 'people'}", *lines] if people.known else lines


class LineCounter:
    """Counts the lines that are written to the sinks."""

    def __init__(self) -> None:
        """Start at 0."""
        self.count = 0

    def counted(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """A function that calls `write` and counts the line."""

        def write_and_count(line: str) -> None:
            write(line)
            self.count += 1

        return write_and_count


def recognise(config: RunConfig, counter: LineCounter) -> None:
    """Write one JSON line per prediction or activity to every sink, as soon as it is available."""
    recognizer = load(
        config.package, config.precision, config.threads, config.providers, config.key, personal=config.personal
    )
    live = config.stream.live and sys.stderr.isatty()
    if config.stream.live and not live:
        log("--live: standard error is not a terminal; continuing without the view")
    if live and STDOUT in config.to and sys.stdout.isatty():
        raise ConfigError("--to stdout with --live: both on one terminal; expected one of the two; omit the other")
    targets = config.to or (() if live and sys.stdout.isatty() else (STDOUT,))
    for target in filter(is_file, targets):
        source = config.source
        check_apart(
            target, "--to", config.package,
            (config.personal, source.data, source.replay, *input_files(source.input)),
        )  # fmt: skip
    stop, is_recording = StopEvent(), config.source.source in ("input", "data", "replay")
    try:
        with open_sinks(targets, is_recording, stop) as write_all:
            write = counter.counted(write_all)
            if config.source.data is not None and config.source.clip is not None:
                clip = load_clip(recognizer.manifest, config.source.data, config.source.root, config.source.clip)[1]
                for prediction in recognizer.iter_clip(clip):
                    write(prediction_line(prediction, recognizer.manifest.labels))
                return
            if config.source.input:
                for prediction in predict_files(recognizer, config.source.input):
                    write(prediction_line(prediction, recognizer.manifest.labels))
                return
            view = LiveView(sys.stderr, recognizer.manifest.labels) if live else None
            with closing(view) if view is not None else nullcontext():
                lines = run_stream(config, recognizer, view, write, stop)
            for line in lines:  # below the view
                log(line)
    except BrokenPipeError:  # the reader of standard output has ended
        discard_stdout()


PARSER = Parser(RunConfig, "edgehar run", (__doc__ or "").partition("\n")[0])


def run(config: RunConfig) -> int:
    """Recognise; a second signal, or one before the stream starts, ends the run immediately."""
    counter = LineCounter()
    try:
        recognise(config, counter)
    except KeyboardInterrupt:
        log(f"interrupted after {counter.count} lines")
        return 128 + signal.SIGINT
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
