"""Selects the recordings that a package is scored on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from edgehar.checks import MAX_THREADS
from edgehar.config import Options, option
from edgehar.data import registry
from edgehar.data.columns import in_order_of
from edgehar.data.splits import make_split, people_in
from edgehar.deploy.recognizer import Recognizer, load
from edgehar.deploy.runtime.signature import key_option, personal_option
from edgehar.errors import ConfigError, DataError, shortened
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Clip, Dataset, natural_key

ALL_SUBJECTS = "all"


@dataclass(frozen=True)
class ScoredOptions(Options):
    """Recordings and inference."""

    data: str | None = option(None, "name or folder of a data set; default: the one that the package was trained on")
    root: str | None = option(None, "folder with the recordings of a named data set")
    split: str | None = option(None, "split whose test subjects are scored, or all; default: the split of training")
    precision: str | None = option(None, "precision to run; default: as chosen by bench --tune, or the package's")
    modalities: tuple[str, ...] = option(
        (), "sensors to use; the others count as missing; default: all sensors of the package"
    )
    threads: int | None = option(
        None, "onnxruntime's threads; default: as chosen by bench --tune, or 1", at_least=1, at_most=MAX_THREADS
    )
    key: str | None = key_option()
    personal: str | None = personal_option()


def untrained_activities(recognizer: Recognizer, dataset: Dataset) -> tuple[str, ...]:
    """Activities of the data set that neither the package nor its personal file has.

    None if the package has activities that the data set lacks.
    """
    labels = dataset.info.labels
    differs = not set(recognizer.package.manifest.labels) <= set(labels)
    return () if differs else tuple(name for name in labels if name not in recognizer.manifest.labels)


def trained_dataset(recognizer: Recognizer, dataset: Dataset) -> Dataset:
    """The data set without the activities that are not recognised, as in training with `--without`."""
    trained = registry.exclude_activities(dataset, untrained_activities(recognizer, dataset))
    return trained if recognizer.personal is None else _in_label_order(trained, recognizer.manifest.labels)


def _in_label_order(dataset: Dataset, labels: tuple[str, ...]) -> Dataset:
    """The data set with the labels in this order, which may have more; itself if another label is in it.

    The activities of a personal file come after those of the package.
    """
    own = dataset.info.labels
    if not set(own) <= set(labels):
        return dataset
    position = [labels.index(name) for name in own]

    def renumbered(clip: Clip) -> Clip:
        segments = tuple(replace(span, label=position[span.label]) for span in clip.segments)
        return replace(clip, label=None if clip.label is None else position[clip.label], segments=segments)

    return Dataset(replace(dataset.info, labels=labels), tuple(map(renumbered, dataset.clips)))


def check_dataset(recognizer: Recognizer, dataset: Dataset, modalities: tuple[str, ...]) -> None:
    """Raise DataError unless labels, modalities and kind of the recordings are those of the package."""
    manifest, info = recognizer.manifest, dataset.info
    if info.labels != manifest.labels:
        raise DataError(
            f"{info.name}: {len(info.labels)} labels from {info.labels[0]!r}; the package has {len(manifest.labels)} "
            f"from {manifest.labels[0]!r}; expected the same labels in this order; choose the data it was trained on"
        )
    if (info.window.kind, manifest.window.kind) == ("sliding", "clip"):
        raise DataError(
            f"{info.name}: continuous recordings; the package classifies clips of one activity each, as a whole; cut "
            "the recordings, or train on continuous ones"
        )
    for name in modalities:
        recorded, expected = info.modality(name), manifest.info.modality(name)
        properties = [
            (spec.channels, spec.group, spec.unit, spec.joints, spec.rate_hz) for spec in (recorded, expected)
        ]
        if properties[0] != properties[1]:
            raise DataError(
                f"{info.name}: {name} has {recorded.channels} channels in {recorded.unit} at {recorded.rate_hz:g} Hz; "
                f"the package expects {expected.channels} in {expected.unit} at {expected.rate_hz:g} Hz; "
                "convert the recordings"
            )


def check_untrained(manifest: Manifest, dataset: Dataset, clips: Sequence[Clip]) -> None:
    """Raise DataError if the package's provenance lists a person or, of a split by trial, a recording as trained on."""
    provenance = manifest.provenance
    kind = "recording" if "train_recordings" in provenance else "subject"
    listed: Any = provenance.get(f"train_{kind}s")
    if not isinstance(listed, list | tuple) or provenance.get("data") not in (None, dataset.info.name):
        return
    trained = {str(name) for name in cast("Sequence[Any]", listed)}
    seen = {clip.name for clip in clips} & trained
    if kind == "subject":
        seen = people_in(clip.subject for clip in clips) & people_in(trained)
    if seen:
        raise DataError(
            f"{kind} {shortened(sorted(seen, key=natural_key))} trained this package; expected {kind}s it was not "
            f"trained on; choose another --split, or rename the {kind}s if they are different ones"
        )


def open_evaluation(package: str, scored: ScoredOptions) -> tuple[Recognizer, Dataset, str]:
    """Open a package, load its recordings and choose the split; the defaults are those of its training.

    Raises:
        ConfigError: neither the options nor the package's provenance name data and split.
    """
    recognizer = load(package, scored.precision, scored.threads, key=scored.key, personal=scored.personal)
    provenance = recognizer.manifest.provenance
    data, split = scored.data or provenance.get("data"), scored.split or provenance.get("split")
    if not isinstance(data, str) or not isinstance(split, str):
        raise ConfigError(f"{package}: its provenance names no data or split; give --data and --split")
    return recognizer, in_order_of(registry.load(data, scored.root), recognizer.manifest.modalities), split


def scored_clips(
    recognizer: Recognizer, dataset: Dataset, split: str, modalities: tuple[str, ...], trained_only: bool = True
) -> list[Clip]:
    """Recordings of a split's test subjects, reduced to some sensors.

    Args:
        recognizer: the package.
        dataset: the recordings.
        split: name of a split, or "all" for all subjects.
        modalities: sensors to keep.
        trained_only: exclude activities that the package was not trained on.

    Raises:
        DataError: the recordings do not fit the package, or the package was trained on a test subject.
        SplitError: the split does not fit the data set.
    """
    recognizer.check_modalities(modalities)
    trained = trained_dataset(recognizer, dataset)
    check_dataset(recognizer, trained, modalities)
    clips = (trained if trained_only else dataset).clips
    if split != ALL_SUBJECTS:
        sides = make_split(split, trained.clips)
        known = {clip.name for clip in trained.clips} if sides.by_trial else set[str]()
        # Recordings of other activities than the package's are on no side of a split by trial: none is trained on.
        clips = (*sides.test_clips(clips), *(clip for clip in clips if sides.by_trial and clip.name not in known))
    check_untrained(recognizer.manifest, dataset, clips)
    return [
        replace(
            clip,
            signals={name: clip.signals[name] for name in clip.signals if name in modalities},
            times_s={name: clip.times_s[name] for name in clip.times_s if name in modalities},
        )
        for clip in clips
    ]
