"""The recordings that a package is scored on."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from edgehar.config import option
from edgehar.data import registry
from edgehar.data.splits import make_split
from edgehar.deploy.recognizer import Recognizer, load
from edgehar.errors import ConfigError, DataError
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Clip, Dataset

ALL_SUBJECTS = "all"


@dataclass(frozen=True)
class ScoredOptions:
    """What is scored, and on which recordings."""

    data: str | None = option(None, "data set's name or folder; what the package was trained on if none is given")
    root: str | None = option(None, "folder with the recordings of a named data set")
    split: str | None = option(None, "split whose test subjects count, or all; the package's own if none is given")
    precision: str | None = option(None, "precision to run; if none is given, as bench --tune chose, or the default")
    modalities: tuple[str, ...] = option((), "feed only these; the package's others count as missing")


def untrained_activities(manifest: Manifest, dataset: Dataset) -> tuple[str, ...]:
    """Activities of the data set that the package does not know; none if the package knows others than these."""
    labels = dataset.info.labels
    strange = not set(manifest.labels) <= set(labels)
    return () if strange else tuple(name for name in labels if name not in manifest.labels)


def trained_dataset(manifest: Manifest, dataset: Dataset) -> Dataset:
    """The data set without the activities that the package was never trained on, as in training `--without` them."""
    return registry.exclude_activities(dataset, untrained_activities(manifest, dataset))


def check_dataset(recognizer: Recognizer, dataset: Dataset, fed: tuple[str, ...]) -> None:
    """Raise DataError unless the data set has the package's labels and the fed modalities as the package knows them."""
    manifest, info = recognizer.manifest, dataset.info
    if info.labels != manifest.labels:
        raise DataError(
            f"{info.name}: {len(info.labels)} labels from {info.labels[0]!r}; the package has {len(manifest.labels)} "
            f"from {manifest.labels[0]!r}; expected the same in the same order; choose the data it was trained on"
        )
    for name in fed:
        theirs, ours = info.modality(name), manifest.info.modality(name)
        facts = [(spec.channels, spec.group, spec.unit, spec.joints, spec.rate_hz) for spec in (theirs, ours)]
        if facts[0] != facts[1]:
            raise DataError(
                f"{info.name}: {name} has {theirs.channels} channels in {theirs.unit} at {theirs.rate_hz:g} Hz; the "
                f"package expects {ours.channels} in {ours.unit} at {ours.rate_hz:g} Hz; convert the recordings"
            )


def check_test_subjects(manifest: Manifest, dataset: Dataset, subjects: Iterable[str]) -> None:
    """Raise DataError if the package was trained on one of these subjects of a data set, as far as it tells."""
    about = manifest.provenance
    trained: Any = about.get("train_subjects")
    if not isinstance(trained, list | tuple) or about.get("data") not in (None, dataset.info.name):
        return
    seen = [subject for subject in subjects if subject in trained]
    if seen:
        raise DataError(
            f"subject {', '.join(seen)} trained this package; expected people it never saw; choose another --split, or "
            "rename them if they are others of the same name"
        )


def open_evaluation(package: str, scored: ScoredOptions, threads: int | None) -> tuple[Recognizer, Dataset, str]:
    """A package, and the recordings and the split it is scored on: those of its training where none is named.

    Raises ConfigError if its provenance names none either.
    """
    recognizer = load(package, scored.precision, threads)
    provenance = recognizer.manifest.provenance
    data, split = scored.data or provenance.get("data"), scored.split or provenance.get("split")
    if not isinstance(data, str) or not isinstance(split, str):
        raise ConfigError(f"{package}: its provenance names no data or no split; give --data and --split")
    return recognizer, registry.load(data, scored.root), split


def scored_clips(
    recognizer: Recognizer, dataset: Dataset, split: str, fed: tuple[str, ...], known: bool = True
) -> list[Clip]:
    """Recordings of a split's test subjects, with the fed sensors only.

    Args:
        recognizer: the package.
        dataset: its recordings.
        split: name of a split, or "all" for every subject.
        fed: modalities.
        known: leave out what the package was never trained on.

    Raises DataError or SplitError if the data does not fit the package or the split, or trained the package.
    """
    recognizer.check_modalities(fed)
    trained = trained_dataset(recognizer.manifest, dataset)
    check_dataset(recognizer, trained, fed)
    subjects = trained.subjects if split == ALL_SUBJECTS else make_split(split, trained.subjects).test
    check_test_subjects(recognizer.manifest, dataset, subjects)
    return [
        replace(
            clip,
            signals={name: clip.signals[name] for name in clip.signals if name in fed},
            times_s={name: clip.times_s[name] for name in clip.times_s if name in fed},
        )
        for clip in (trained if known else dataset).clips
        if clip.subject in subjects
    ]
