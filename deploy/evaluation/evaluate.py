"""Accuracy of a package on a data set's test subjects, measured with what the board runs.

    edgehar evaluate PACKAGE --data utd-mhad --root DIR
    python deploy/evaluation/evaluate.py PACKAGE --modalities inertial --json result.json
    edgehar evaluate PACKAGE --unknown
    edgehar evaluate PACKAGE --stream

Where the data set has activities that the package was never trained on, they are left out; --unknown also measures how
well a low score tells their windows from the others. The last line is one JSON document.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.checks import check_threads
from edgehar.command_line import Parser
from edgehar.config import group, option, positional
from edgehar.deploy.evaluation.recordings import (
    ScoredOptions,
    open_evaluation,
    scored_clips,
    trained_dataset,
    untrained_activities,
)
from edgehar.deploy.evaluation.uncertainty import calibration_scores, unknown_detection
from edgehar.deploy.recognizer import Recognizer
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.metrics.classification import score
from edgehar.package.folder import check_result
from edgehar.signals.clip import Clip, Dataset
from edgehar.signals.windows import Windows, cut

OTHER_MODES = (
    "\nWhole protocols, training included: edgehar evaluate --suite NAME; see edgehar evaluate --suite accuracy --help."
    "\nContinuous recordings as a live stream: edgehar evaluate PACKAGE --stream; see edgehar evaluate --stream --help."
)


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of `edgehar evaluate`."""

    package: str = positional("folder of the edge package")
    scored: ScoredOptions = group(ScoredOptions)
    unknown: bool = option(False, "also score how well a low score detects activities it was never trained on")
    faults: bool = option(False, "also run the robustness suite: late, lossy, noisy and missing sensors")
    threads: int | None = option(None, "onnxruntime's threads; if none are given, as bench --tune chose, or 1")
    json: str | None = option(None, "also write the result, and every window's prediction, to this file")

    def __post_init__(self) -> None:
        """Refuse an unusable number of threads."""
        check_threads(self.threads)


def _labelled(recognizer: Recognizer, clips: Iterable[Clip]) -> Windows:
    """Labelled windows of the clips."""
    return cut(clips, recognizer.manifest.info, recognizer.manifest.normalisation).labelled()


def evaluate(
    recognizer: Recognizer, dataset: Dataset, split: str, modalities: tuple[str, ...] = (), unknown: bool = False
) -> dict[str, Any]:
    """Score the labelled windows of a split's test subjects.

    Args:
        recognizer: the package.
        dataset: its recordings; activities that the package was never trained on are left out.
        split: name of a split, or "all" for every subject.
        modalities: those fed, all of the package's if empty; the others count as missing.
        unknown: also score how well a low score detects the activities that are left out.

    Returns:
        What was fed, the score (of the most probable class, whatever the package's threshold), how far its
        probabilities can be believed, and every window's prediction.

    Raises DataError, SplitError or ConfigError if the data does not fit the package, the split or `unknown`.
    """
    manifest = recognizer.manifest
    fed = modalities or tuple(spec.name for spec in manifest.modalities)
    windows = _labelled(recognizer, scored_clips(recognizer, dataset, split, fed))
    logits = recognizer.predict_prepared(windows)
    answer, scores = logits.argmax(axis=1), recognizer.probabilities(logits).max(axis=1)
    scored = score(windows.label, answer, windows.subject, manifest.labels)
    strange = untrained_activities(manifest, dataset)
    detected: dict[str, Any] = {}
    if unknown:
        others = _labelled(recognizer, scored_clips(recognizer, dataset, split, fed, known=False))
        others = others.take(np.isin(others.label, [dataset.info.labels.index(name) for name in strange]))
        detected = {"unknown": unknown_detection(recognizer, strange, others, scores)}
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
        "without": list(strange),
        **scored,
        **calibration_scores(recognizer, logits, windows.label),
        **detected,
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
    if result["without"]:
        lines.append(f"left out, as the package was never trained on them: {', '.join(result['without'])}")
    lines.append(
        f"expected calibration error {result['ece']:.4f}, negative log-likelihood {result['nll']:.4f}, "
        f"temperature {result['temperature']:.4g}"
    )
    if "coverage" in result:
        right = "" if result["selective_accuracy"] is None else f", {result['selective_accuracy']:.2%} of them right"
        lines.append(f"{result['coverage']:.2%} of the windows answered{right}; the others unknown")
    if "unknown" in result:
        found = result["unknown"]
        lines.append(
            f"a low score tells {found['unknown_windows']} windows of {', '.join(found['activities'])} from "
            f"{found['known_windows']} known ones: AUROC {found['auroc']:.4f}"
        )
    return "\n".join(lines)


PARSER = Parser(EvaluateConfig, "edgehar evaluate", (__doc__ or "").partition("\n")[0] + OTHER_MODES)


def run(config: EvaluateConfig) -> int:
    """Print the summary, then the result as JSON."""
    if config.faults and config.scored.modalities:
        raise ConfigError("--faults with --modalities: missing sensors are scenarios already; give one of the two")
    check_result(config.json, config.package)
    recognizer, dataset, split = open_evaluation(config.package, config.scored, config.threads)
    scored = evaluate(recognizer, dataset, split, config.scored.modalities, config.unknown)
    result = {"package": config.package, **scored}
    text = summary(result)
    if config.faults:
        from edgehar.deploy.evaluation import robustness  # not at the top: it builds on this module

        result["faults"] = robustness.robustness(recognizer, trained_dataset(recognizer.manifest, dataset), split)
        text += "\n" + robustness.summary(result["faults"])
    if config.json is not None:
        write_json(Path(config.json), result)
    counted = {key: value for key, value in result.items() if key != "predictions"}
    sys.stdout.write(text + "\n" + json.dumps(counted) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
