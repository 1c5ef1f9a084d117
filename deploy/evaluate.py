"""Accuracy of a package on a data set's test subjects, measured with what the board runs.

    edgehar evaluate PACKAGE --data utd-mhad --root DIR
    python deploy/evaluate.py PACKAGE --modalities inertial --json result.json

The last line is one JSON document.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.recognizer import Recognizer, load, softmax
from edgehar import datasets
from edgehar.cli import guarded
from edgehar.clip import Dataset
from edgehar.config import option, parse, positional
from edgehar.errors import ConfigError, DataError
from edgehar.files import write_json
from edgehar.metrics import score
from edgehar.splits import make_split
from edgehar.windows import cut

EVERY_SUBJECT = "all"


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of `edgehar evaluate`."""

    package: str = positional("folder of the edge package")
    data: str | None = option(None, "data set's name or folder; what the package was trained on if none is given")
    root: str | None = option(None, "folder with the recordings of a named data set")
    split: str | None = option(None, "split whose test subjects count, or all; the package's own if none is given")
    precision: str | None = option(None, "precision to run; the package's default if none is given")
    modalities: tuple[str, ...] = option((), "feed only these; the package's others count as missing")
    threads: int = option(1, "onnxruntime's threads")
    json: str | None = option(None, "also write the result, and every window's prediction, to this file")


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


def evaluate(recognizer: Recognizer, dataset: Dataset, split: str, modalities: tuple[str, ...] = ()) -> dict[str, Any]:
    """Score the labelled windows of a split's test subjects.

    Args:
        recognizer: the package.
        dataset: its recordings.
        split: name of a split, or "all" for every subject.
        modalities: those fed, all of the package's if empty; the others count as missing.

    Returns:
        What was fed, the score, and every window's prediction.

    Raises DataError or SplitError if the data does not fit the package or the split.
    """
    manifest = recognizer.manifest
    fed = modalities or tuple(spec.name for spec in manifest.modalities)
    recognizer.check_names(fed)
    check_dataset(recognizer, dataset, fed)
    subjects = dataset.subjects if split == EVERY_SUBJECT else make_split(split, dataset.subjects).test
    clips = [
        replace(
            clip,
            signals={name: clip.signals[name] for name in clip.signals if name in fed},
            times_s={name: clip.times_s[name] for name in clip.times_s if name in fed},
        )
        for clip in dataset.clips
        if clip.subject in subjects
    ]
    windows = cut(clips, manifest.info, manifest.normalisation).labelled()
    logits = recognizer.predict_prepared(windows)
    answer, scores = logits.argmax(axis=1), softmax(logits).max(axis=1)
    rows = zip(windows.clip, windows.start_s, windows.end_s, windows.label, answer, scores, strict=True)
    predictions: list[dict[str, Any]] = [
        {
            "clip": str(clip),
            "start_s": float(start_s),
            "end_s": float(end_s),
            "label": manifest.labels[label],
            "predicted": manifest.labels[predicted],
            "score": float(certainty),
        }
        for clip, start_s, end_s, label, predicted, certainty in rows
    ]
    return {
        "data": dataset.info.name,
        "split": split,
        "precision": recognizer.precision,
        "modalities": list(fed),
        "providers": list(recognizer.providers),
        **score(windows.label, answer, windows.subject, manifest.labels),
        "predictions": predictions,
    }


def summary(result: dict[str, Any]) -> str:
    """The result for people."""
    low, high = result["wilson95"]
    lines = [
        f"{result['data']}, split {result['split']}, {result['precision']}, fed {', '.join(result['modalities'])}",
        f"{result['correct']} of {result['total']} windows right: {result['accuracy']:.2%} "
        f"(Wilson 95 %: {low:.2%} to {high:.2%}), macro F1 {result['macro_f1']:.4f}",
    ]
    for subject, count in result["per_subject"].items():
        lines.append(f"  {subject:<12}{count['correct']:>6} of {count['total']}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the summary, then the result as JSON."""
    config = parse(EvaluateConfig, argv, "edgehar evaluate", (__doc__ or "").partition("\n")[0])
    recognizer = load(config.package, config.precision, config.threads)
    provenance = recognizer.manifest.provenance
    data, split = config.data or provenance.get("data"), config.split or provenance.get("split")
    if not isinstance(data, str) or not isinstance(split, str):
        raise ConfigError(f"{config.package}: its provenance names no data or no split; give --data and --split")
    dataset = datasets.load(data, config.root)
    result = {"package": config.package, **evaluate(recognizer, dataset, split, config.modalities)}
    if config.json is not None:
        write_json(Path(config.json), result)
    counted = {key: value for key, value in result.items() if key != "predictions"}
    sys.stdout.write(summary(result) + "\n" + json.dumps(counted) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
