"""The recordings to learn from, as features of the package's network, one recording in memory at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edgehar.config import Options, option
from edgehar.data.splits import people_of
from edgehar.deploy.live.recording_input import find_clip, open_dataset, parts_of_files, whole_signals
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.whole_recording import as_clip
from edgehar.errors import ConfigError, DataError, shortened
from edgehar.signals.clip import Clip, Floats
from edgehar.signals.windows import Windows

MIN_VALID = 0.5
"""Smallest share of usable steps that each sensor must have."""


@dataclass(frozen=True)
class RecordingOptions(Options):
    """Recordings; --input, or --data with --clip or --person."""

    input: tuple[str, ...] = option(
        (), "recordings in files, a word for each: MODALITY=FILE,MODALITY=FILE, .csv or .npy", words=True
    )
    data: str | None = option(None, "name or folder of a data set")
    root: str | None = option(None, "folder with the recordings of a named data set")
    clip: tuple[str, ...] = option((), "names of clips of --data", words=True)
    person: str | None = option(None, "all recordings of this person in --data")

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one source."""
        super().__post_init__()
        if bool(self.input) == (self.data is not None):
            found = "both" if self.input else "neither"
            raise ConfigError(f"--input and --data: found {found}; expected one of the two")
        chosen = bool(self.clip) + (self.person is not None)
        if chosen != (self.data is not None):
            raise ConfigError("--data, --clip and --person: expected --data with either --clip or --person")
        if self.root is not None and self.data is None:
            raise ConfigError("--root with --input: expected --data; omit --root")


LOST_STEPS = 0.3
"""Share of the steps that `faulty` windows lack."""
DRAWS = 4
"""Draws of the lost steps of each window."""
MAX_WINDOWS = 512
"""Most windows of a recording; of a longer one, every second, fourth, ... is used."""


class Recorded(NamedTuple):
    """One recording.

    Attributes:
        name: for messages.
        digest: sha256 of its prepared windows.
        features: (N, F) of its windows.
        faulty: (N, D, F) of the same windows in DRAWS draws of lost steps; D is 0 unless asked for.
    """

    name: str
    digest: str
    features: Floats
    faulty: Floats


def _batches(recognizer: Recognizer, options: RecordingOptions) -> Iterator[tuple[str, Iterator[Windows]]]:
    """Name and windows of each recording."""
    if options.data is None:
        for entry in options.input:
            parts = parts_of_files(recognizer, tuple(entry.split(",")))
            if recognizer.manifest.window.kind == "sliding":
                yield entry, recognizer.windows_of_parts(parts)
            else:
                clip = replace(as_clip(*whole_signals(parts), recognizer.manifest.info)[0], name=entry)
                check_length(recognizer, clip)
                yield entry, recognizer.windows_of_clip(clip)
        return
    manifest = recognizer.manifest
    dataset = open_dataset(manifest, options.data, options.root)
    if options.person is None:
        clips = [find_clip(manifest, options.data, dataset, name) for name in options.clip]
    else:
        clips = [clip for clip in dataset.clips if options.person in people_of(clip.subject)]
        if not clips:
            people = sorted({person for clip in dataset.clips for person in people_of(clip.subject)})
            raise DataError(
                f"--person {options.person}: no recording in {options.data}; expected one of {shortened(people)}"
            )
    for clip in clips:
        check_length(recognizer, clip)
        yield clip.name, recognizer.windows_of_clip(clip)


def check_length(recognizer: Recognizer, clip: Clip) -> None:
    """Raise DataError if a pre-cut clip has fewer samples of a sensor than a window has steps."""
    steps = recognizer.manifest.window.steps
    for name, values in clip.signals.items():
        if recognizer.manifest.window.kind == "clip" and len(values) < steps:
            raise DataError(
                f"{clip.name}: {len(values)} samples of {name}; expected {steps} or more, one for each step of a "
                "window; record the whole activity"
            )


def with_lost_steps(windows: Windows, random: np.random.Generator) -> Windows:
    """The windows without LOST_STEPS of the steps of each sensor."""
    lost = {name: random.random(valid.shape) < LOST_STEPS for name, valid in windows.valid.items()}
    return replace(windows, valid={name: valid & ~lost[name] for name, valid in windows.valid.items()})


class ThinnedWindows:
    """Features of windows; of more than MAX_WINDOWS, every second, fourth, ... is kept."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._parts, self._stride, self._count = list[Floats](), 1, 0

    def add(self, features: Floats) -> None:
        """Append windows (n, ...)."""
        self._parts.append(features[-self._count % self._stride :: self._stride])
        self._count += len(features)
        while sum(map(len, self._parts)) > MAX_WINDOWS:  # a view would keep them all
            self._parts, self._stride = [np.concatenate(self._parts)[::2].copy()], 2 * self._stride

    def kept(self) -> Floats:
        """The windows that are kept (N, ...)."""
        return np.concatenate(self._parts)


def features_of(
    recognizer: Recognizer, name: str, batches: Iterator[Windows], random: np.random.Generator | None = None
) -> Recorded:
    """The features of a recording's windows.

    Args:
        recognizer: opened with `personal`.
        name: of the recording, for messages.
        batches: its windows.
        random: chooses the lost steps of `faulty`; None for none.

    Raises DataError unless it has every sensor of the package.
    """
    digest, kept = hashlib.sha256(), ThinnedWindows()
    usable = {spec.name: np.zeros(2) for spec in recognizer.manifest.modalities}
    for windows in batches:
        for sensor, values in windows.features.items():
            usable[sensor] += windows.valid[sensor].sum(), windows.valid[sensor].size
            digest.update(np.ascontiguousarray(values).tobytes())
        views = [recognizer.features(windows)]
        if random is not None:
            views += [recognizer.features(with_lost_steps(windows, random)) for _ in range(DRAWS)]
        kept.add(np.stack(views, 1))  # (n, 1 + D, F)
    missing = [sensor for sensor, (valid, total) in usable.items() if valid < MIN_VALID * total]
    if missing:
        raise DataError(
            f"{name}: {', '.join(missing)} usable in less than {MIN_VALID:.0%} of the steps; expected all sensors of "
            "the package, as features without one differ; record again"
        )
    features = kept.kept()
    if not np.isfinite(features).all():
        raise DataError(f"{name}: features that are not finite; expected plausible values; check its units")
    return Recorded(name, digest.hexdigest(), features[:, 0], features[:, 1:])


def read_recordings(
    recognizer: Recognizer,
    options: RecordingOptions,
    known: Sequence[str],
    random: np.random.Generator | None = None,
) -> Iterator[Recorded]:
    """Each recording in turn.

    Args:
        recognizer: opened with `personal`.
        options: which recordings.
        known: digests of recordings that were learnt before.
        random: as of `features_of`.

    Raises DataError for a recording that cannot be used, or that comes twice.
    """
    seen = dict.fromkeys(known, "the personal file")
    for name, batches in _batches(recognizer, options):
        recorded = features_of(recognizer, name, batches, random)
        if recorded.digest in seen:
            raise DataError(
                f"{name}: the same samples as {seen[recorded.digest]}; expected each recording once; omit it"
            )
        seen[recorded.digest] = name
        yield recorded
