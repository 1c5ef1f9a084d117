"""Recognise a recording, or a live stream on standard input; predictions are JSON lines.

    edgehar run PACKAGE --input skeleton=skeleton.npy,inertial=inertial.csv
    edgehar run PACKAGE --data utd-mhad --root DIR --clip a1_s1_t1
    sensor_program | edgehar run PACKAGE --stdin

A .csv or .npy file is one as in docs/own-data.md. A line of the stream is
{"modality": "inertial", "time_s": 1.23, "samples": [[...]]}; several samples take a list of times.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploy.graph import DEFAULT_PROVIDERS
from deploy.lines import prediction_line, push_line
from deploy.recognizer import Recognizer, load
from deploy.stream import StreamRecognizer
from edgehar import datasets
from edgehar.cli import guarded
from edgehar.clip import Prediction
from edgehar.config import option, parse, positional
from edgehar.errors import ConfigError, DataError
from edgehar.recordings_signal import read_csv, read_npy


@dataclass(frozen=True)
class RunConfig:
    """Options of `edgehar run`."""

    package: str = positional("folder of the edge package")
    input: tuple[str, ...] = option((), "recording: MODALITY=FILE for each sensor, .csv or .npy")
    data: str | None = option(None, "recording: a data set's name or folder, with --clip")
    root: str | None = option(None, "folder with the recordings of a named data set")
    clip: str | None = option(None, "name of the clip in --data")
    stdin: bool = option(False, "live stream of JSON lines on standard input")
    precision: str | None = option(None, "precision to run; the package's default if none is given")
    threads: int = option(1, "onnxruntime's threads")
    providers: tuple[str, ...] = option(DEFAULT_PROVIDERS, "onnxruntime's providers in order of preference")
    modalities: tuple[str, ...] = option(
        (), "stream: sensors that are connected; all of the package's if none is given"
    )
    smoothing: float = option(0.0, "stream: weight of the previous prediction, 0 to below 1")
    margin: float = option(0.0, "stream: how much more probable a new label must be to replace the previous one")
    lateness_s: float = option(0.5, "stream: seconds that the slowest sensor is waited for")
    skip_bad: bool = option(False, "stream: report a bad line and go on, rather than end with exit code 2")

    def __post_init__(self) -> None:
        """Refuse none or several sources."""
        if sum([bool(self.input), self.data is not None, self.stdin]) != 1:
            raise ConfigError("expected one source; give --input, or --data with --clip, or --stdin")
        if (self.data is None) != (self.clip is None):
            raise ConfigError("--data and --clip belong together; give both")


def recording_predictions(recognizer: Recognizer, inputs: tuple[str, ...]) -> list[Prediction]:
    """Predictions of a recording in files, given as MODALITY=FILE."""
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for entry in inputs:
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


def clip_predictions(recognizer: Recognizer, data: str, root: str | None, name: str) -> list[Prediction]:
    """Predictions of one clip of a data set."""
    clips = {clip.name: clip for clip in datasets.load(data, root).clips}
    if name not in clips:
        some = ", ".join(list(clips)[:3])
        raise DataError(f"{data}: no clip {name!r} among {len(clips)}; expected a name such as {some}")
    return recognizer.predict_clip(clips[name])


def stream_predictions(stream: StreamRecognizer, lines: Iterable[bytes], skip_bad: bool) -> Iterator[Prediction]:
    """Predictions as the lines come; a bad line raises DataError with its number, or is reported and skipped."""
    for number, line in enumerate(lines, 1):
        try:
            yield from push_line(stream, line)
        except (DataError, ConfigError) as problem:
            message = f"line {number}: {problem}"
            if not skip_bad:
                raise DataError(message) from None
            sys.stderr.write(f"edgehar: {' '.join(message.split())}; skipped\n")
    yield from stream.flush()


def main(argv: list[str] | None = None) -> int:
    """Print one JSON line per prediction, each as soon as it is known."""
    config = parse(RunConfig, argv, "edgehar run", (__doc__ or "").partition("\n")[0])
    recognizer = load(config.package, config.precision, config.threads, config.providers)
    if config.stdin:
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise ConfigError("--stdin: standard input is closed; expected JSON lines on it; pipe the sensors in")
        stream = StreamRecognizer(recognizer, config.modalities, config.smoothing, config.margin, config.lateness_s)
        predictions = stream_predictions(stream, sys.stdin.buffer, config.skip_bad)
    elif config.data is not None and config.clip is not None:
        predictions = clip_predictions(recognizer, config.data, config.root, config.clip)
    else:
        predictions = recording_predictions(recognizer, config.input)
    for prediction in predictions:
        sys.stdout.write(prediction_line(prediction, recognizer.manifest.labels) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
