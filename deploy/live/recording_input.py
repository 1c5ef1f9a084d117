"""Loads the recordings that `edgehar run` recognises: a file per sensor, or a clip of a data set."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.data import registry
from edgehar.data.columns import in_order_of
from edgehar.data.recordings.csv_file import csv_blocks, read_csv
from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.signal_file import Signal, Unreadable, npy_blocks, read_npy
from edgehar.data.recordings.timestamps import RunningTimes
from edgehar.deploy.live.network import log
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.samples import ReadParts
from edgehar.errors import ConfigError, DataError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Clip, Dataset, Prediction
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.parts import Part, spread_parts
from edgehar.signals.windows import Windows

LOST = np.float32(np.nan)
NO_TIMES = np.empty(0)


def input_files(entries: Iterable[str]) -> list[str]:
    """The files of `--input`; an entry of another form is reported when it is read."""
    return [entry.partition("=")[2] for entry in entries if "=" in entry]


def read_blocks(path: Path, spec: ModalitySpec, problems: list[Problem]) -> Iterator[Signal]:
    """Blocks of a .csv or .npy file; problems are added. Raises DataError for another ending."""
    if path.suffix not in (".csv", ".npy"):
        raise DataError(f"{path}: expected a .csv or .npy file; convert it")
    if path.exists() and not path.is_file():  # it is read twice, which a pipe does not allow
        raise DataError(f"{path}: a folder, pipe or device; expected a file; store it first, or use --stdin")
    return (csv_blocks if path.suffix == ".csv" else npy_blocks)(path, spec, problems)


def file_parts(path: Path, spec: ModalitySpec) -> ReadParts:
    """A function that reads the samples of a file part by part, NaN where they are not valid, and their times.

    It raises DataError for a file that cannot be used, at the end at the latest, and logs warnings once.
    """
    is_checked = False

    def unusable() -> DataError:
        """The problem of the whole file, read at once."""
        return DataError(str(errors((read_csv if path.suffix == ".csv" else read_npy)(path, spec)[1])[0]))

    def blocks() -> Iterator[Part]:
        nonlocal is_checked
        problems, times = list[Problem](), RunningTimes(spec)
        with suppress(Unreadable):
            for block in read_blocks(path, spec, problems):
                times_s = NO_TIMES if block.times_s is None else block.times_s
                if not times.add(times_s):
                    raise unusable()
                yield Part(block.values, block.valid, times_s)
        if errors(problems):
            raise DataError(str(errors(problems)[0]))
        if times.span_problem:
            raise unusable()
        for problem in [] if is_checked else problems:
            log(str(problem))
        is_checked = True

    def read() -> Iterator[tuple[Any, Any]]:
        parts = blocks()
        first = next(parts)
        is_timed = len(first.times_s) > 0
        parts = chain([first], parts)
        for part in spread_parts(parts, spec.rate_hz) if is_timed else parts:
            values = part.values if part.valid.all() else np.where(part.valid[:, None], part.values, LOST)
            yield values, part.times_s if is_timed else None

    return read


def parts_of_files(recognizer: Recognizer, entries: tuple[str, ...]) -> dict[str, ReadParts]:
    """Functions that read the files of one recording.

    Args:
        recognizer: the opened package.
        entries: MODALITY=FILE for each sensor, .csv or .npy.

    Raises:
        ConfigError: an entry has another form, or a sensor is given twice.
        DataError: unknown sensor.
    """
    parts: dict[str, ReadParts] = {}
    for entry in entries:
        name, equals, file = entry.partition("=")
        if not equals or not file:
            raise ConfigError(f"--input {entry!r}: expected MODALITY=FILE")
        recognizer.check_modalities([name])
        if name in parts:
            raise ConfigError(f"--input {','.join(entries)}: {name} is given twice; expected one file for each sensor")
        parts[name] = file_parts(Path(file), recognizer.manifest.info.modality(name))
    return parts


def whole_signals(parts: dict[str, ReadParts]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """All samples of a recording and their times, by modality; no times where no file has any."""
    signals, times_s = dict[str, Any](), dict[str, Any]()
    for name, read in parts.items():
        values, times = zip(*read(), strict=True)
        signals[name] = np.concatenate(values)
        if times[0] is not None:
            times_s[name] = np.concatenate(times)
    return signals, times_s or None


def file_windows(recognizer: Recognizer, entries: tuple[str, ...]) -> Iterator[Windows]:
    """The windows of a recording in files, prepared, in batches; of a continuous one in bounded memory.

    Raises ConfigError and DataError as `parts_of_files`, and DataError for an unusable file.
    """
    parts = parts_of_files(recognizer, entries)
    if recognizer.manifest.window.kind == "sliding":
        return recognizer.windows_of_parts(parts)
    return recognizer.windows_of(*whole_signals(parts))


def predict_files(recognizer: Recognizer, entries: tuple[str, ...]) -> Iterator[Prediction]:
    """Predictions of a recording in files, as they are computed; see `file_windows`."""
    return recognizer.iter_prepared(file_windows(recognizer, entries))


def open_dataset(manifest: Manifest, data: str, root: str | None) -> Dataset:
    """Load a data set to recognise clips of; sensors that the package does not have are logged.

    Raises DataError if a sensor differs from the package's.
    """
    dataset = in_order_of(registry.load(data, root), manifest.modalities)
    specs = {spec.name: spec for spec in manifest.modalities}
    for recorded in dataset.info.modalities:
        expected = specs.get(recorded.name)
        if expected is None:
            log(f"{data}: {recorded.name} is not used; the package has {', '.join(specs)}")
        elif any(
            getattr(recorded, field) != getattr(expected, field) for field in ("channels", "group", "unit", "joints")
        ):
            raise DataError(
                f"{data}: {recorded.name} has {recorded.channels} channels in {recorded.unit}; the package expects "
                f"{expected.channels} in {expected.unit}; convert the recordings"
            )
    return dataset


def find_clip(manifest: Manifest, data: str, dataset: Dataset, name: str) -> Clip:
    """A clip by name; raises DataError if there is none, or if the package has none of its sensors."""
    clips = {clip.name: clip for clip in dataset.clips}
    if name not in clips:
        examples = ", ".join(list(clips)[:3])
        raise DataError(f"{data}: no clip {name!r} among {len(clips)}; expected a name such as {examples}")
    names = [spec.name for spec in manifest.modalities]
    if not set(names) & set(clips[name].signals):
        raise DataError(
            f"{data}: {name} was recorded with {', '.join(clips[name].signals) or 'nothing'}; the package has "
            f"{', '.join(names)}; expected at least one of these; choose another recording or package"
        )
    return clips[name]


def load_clip(manifest: Manifest, data: str, root: str | None, name: str) -> tuple[Dataset, Clip]:
    """Load a data set and one of its clips by name; raises DataError as `open_dataset` and `find_clip`."""
    dataset = open_dataset(manifest, data, root)
    return dataset, find_clip(manifest, data, dataset, name)
