"""Loads the recordings that `edgehar run` recognises: a file per sensor, or a clip of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.data import registry
from edgehar.data.columns import in_order_of
from edgehar.data.recordings.csv_file import read_csv
from edgehar.data.recordings.problem import errors
from edgehar.data.recordings.signal_file import read_npy
from edgehar.deploy.live.network import log
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Clip, Dataset, Prediction

LOST = np.float32(np.nan)


def predict_files(recognizer: Recognizer, entries: tuple[str, ...]) -> Iterator[Prediction]:
    """Predictions of a recording in files, as they are computed; .npy files are memory-mapped.

    Args:
        recognizer: the opened package.
        entries: MODALITY=FILE for each sensor, .csv or .npy.

    Raises:
        ConfigError: an entry has another form, or a sensor is given twice.
        DataError: unknown sensor or unusable file.
    """
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for entry in entries:
        name, equals, file = entry.partition("=")
        if not equals or not file:
            raise ConfigError(f"--input {entry!r}: expected MODALITY=FILE")
        recognizer.check_modalities([name])
        if name in signals:
            raise ConfigError(f"--input {','.join(entries)}: {name} is given twice; expected one file for each sensor")
        path, spec = Path(file), recognizer.manifest.info.modality(name)
        if path.suffix not in (".csv", ".npy"):
            raise DataError(f"{path}: expected a .csv or .npy file; convert it")
        signal, problems = read_csv(path, spec) if path.suffix == ".csv" else read_npy(path, spec, mapped=True)
        if signal is None:
            raise DataError(str(errors(problems)[0]))
        for problem in problems:
            log(str(problem))
        values = signal.values if signal.valid.all() else np.where(signal.valid[:, None], signal.values, LOST)
        signals[name] = values
        if signal.times_s is not None:
            times_s[name] = signal.times_s
    return recognizer.iter_windows(signals, times_s or None)


def load_clip(manifest: Manifest, data: str, root: str | None, name: str) -> tuple[Dataset, Clip]:
    """Load a data set and one of its clips by name.

    Sensors that the package does not have are logged.

    Raises:
        DataError: no clip has this name, the package has none of its sensors, or a sensor differs from the package's.
    """
    dataset = in_order_of(registry.load(data, root), manifest.modalities)
    clips = {clip.name: clip for clip in dataset.clips}
    if name not in clips:
        examples = ", ".join(list(clips)[:3])
        raise DataError(f"{data}: no clip {name!r} among {len(clips)}; expected a name such as {examples}")
    specs = {spec.name: spec for spec in manifest.modalities}
    if not set(specs) & set(clips[name].signals):
        raise DataError(
            f"{data}: {name} was recorded with {', '.join(clips[name].signals) or 'nothing'}; the package has "
            f"{', '.join(specs)}; expected at least one of these; choose another recording or package"
        )
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
    return dataset, clips[name]
