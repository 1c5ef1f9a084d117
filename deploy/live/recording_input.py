"""A recording to be recognised: a clip of a data set, or a file for each sensor, as far as the package knows them."""

from pathlib import Path
from typing import Any

import numpy as np

from edgehar.data import registry
from edgehar.data.recordings.signal_file import read_csv, read_npy
from edgehar.deploy.live.network import say
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Clip, Dataset, Prediction


def predict_files(recognizer: Recognizer, entries: tuple[str, ...]) -> list[Prediction]:
    """Predictions of a recording in files, given as MODALITY=FILE; raises ConfigError for a sensor given twice."""
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for entry in entries:
        name, found, file = entry.partition("=")
        if not found or not file:
            raise ConfigError(f"input {entry!r}; expected MODALITY=FILE")
        recognizer.check_names([name])
        if name in signals:
            raise ConfigError(f"--input {','.join(entries)}: {name} twice; expected one file for each sensor")
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


def fitting_clip(manifest: Manifest, data: str, root: str | None, name: str) -> tuple[Dataset, Clip]:
    """A data set and one of its clips by name.

    A sensor that the package does not know is named on standard error. Raises DataError if it knows none of those of
    the data set, or knows one as something else.
    """
    dataset = registry.load(data, root)
    clips = {clip.name: clip for clip in dataset.clips}
    if name not in clips:
        some = ", ".join(list(clips)[:3])
        raise DataError(f"{data}: no clip {name!r} among {len(clips)}; expected a name such as {some}")
    known = {spec.name: spec for spec in manifest.modalities}
    if not set(known) & set(clips[name].signals):
        raise DataError(
            f"{data}: {name} was recorded with {', '.join(clips[name].signals) or 'nothing'}; the package has "
            f"{', '.join(known)}; expected at least one of these; choose another recording or another package"
        )
    for theirs in dataset.info.modalities:
        ours = known.get(theirs.name)
        if ours is None:
            say(f"{data}: {theirs.name} is not used; the package has {', '.join(known)}")
        elif any(getattr(theirs, fact) != getattr(ours, fact) for fact in ("channels", "group", "unit", "joints")):
            raise DataError(
                f"{data}: {theirs.name} has {theirs.channels} channels in {theirs.unit}; the package expects "
                f"{ours.channels} in {ours.unit}; convert the recordings"
            )
    return dataset, clips[name]
