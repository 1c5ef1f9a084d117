"""Accuracy of a package on a data set's test subjects, with the board's runtime.

    edgehar evaluate PACKAGE --data utd-mhad --root DIR
    edgehar evaluate PACKAGE --modalities inertial --json result.json
    edgehar evaluate PACKAGE --unknown
    edgehar evaluate PACKAGE --enrol
    edgehar evaluate PACKAGE --stream

Activities that the package was not trained on are excluded; --unknown also measures how well a low score detects them.
The last line is one JSON document.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional
from edgehar.deploy.evaluation import enrolment, robustness
from edgehar.deploy.evaluation.recordings import (
    ScoredOptions,
    open_evaluation,
    scored_clips,
    trained_dataset,
    untrained_activities,
)
from edgehar.deploy.evaluation.uncertainty import calibration_scores, unknown_detection
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from edgehar.files.results import print_and_write
from edgehar.metrics.recordings import score_windows
from edgehar.package.folder import check_result
from edgehar.signals.clip import Clip, Dataset
from edgehar.signals.windows import Windows, cut

OTHER_MODES = (
    "\nWhole protocols, training included: see edgehar evaluate --suite --help."
    "\nContinuous recordings as a live stream: edgehar evaluate PACKAGE --stream; see edgehar evaluate --stream --help."
)


@dataclass(frozen=True)
class EvaluateConfig(Options):
    """Options of `edgehar evaluate`."""

    package: str = positional("folder of the edge package")
    scored: ScoredOptions = group(ScoredOptions)
    unknown: bool = option(
        False, "also measure how well a low probability reveals activities that the package was not trained on"
    )
    enrol: bool = option(
        False, "also add those activities from 1 and 5 recordings of one test person, and score the other test people"
    )
    faults: bool = option(False, "also run the robustness suite: late, lossy, noisy and missing sensors")
    json: str | None = option(None, "also write the result and the prediction of every window to this file")

    def __post_init__(self) -> None:
        """Raise ConfigError for --faults with --modalities, too."""
        super().__post_init__()
        if self.enrol and (self.scored.modalities or self.scored.personal is not None):
            raise ConfigError("--enrol with --modalities or --personal: expected the package alone; omit the other")
        if self.faults and self.scored.modalities:
            raise ConfigError("--faults with --modalities: missing sensors are scenarios already; omit one of the two")


def _labelled(recognizer: Recognizer, clips: Iterable[Clip]) -> Windows:
    """The labelled windows of the clips."""
    return cut(clips, recognizer.manifest.info, recognizer.manifest.normalisation).labelled()


def evaluate(
    recognizer: Recognizer, dataset: Dataset, split: str, modalities: tuple[str, ...] = (), unknown: bool = False
) -> dict[str, Any]:
    """Score the labelled windows of a split's test subjects.

    Args:
        recognizer: the package.
        dataset: the recordings; activities that the package was not trained on are excluded.
        split: name of a split, or "all" for all subjects.
        modalities: sensors to use, all of the package's if empty; the others count as missing.
        unknown: also score how well a low score detects the excluded activities.

    Returns:
        Plain values for JSON: the inputs, the score of the most probable class (regardless of the package's threshold),
        its calibration, and the prediction of every window.

    Raises:
        DataError: the recordings do not fit the package, or the package was trained on a test subject.
        SplitError: the split does not fit the data set.
        ConfigError: there is no activity for `unknown`.
    """
    manifest = recognizer.manifest
    used = modalities or tuple(spec.name for spec in manifest.modalities)
    windows = _labelled(recognizer, scored_clips(recognizer, dataset, split, used))
    logits = recognizer.predict_prepared(windows)
    probabilities = recognizer.probabilities(logits)
    predicted, scores = logits.argmax(axis=1), probabilities.max(axis=1)
    scored = score_windows(windows, logits, manifest.labels)
    untrained = untrained_activities(recognizer, dataset)
    detected: dict[str, Any] = {}
    if unknown:
        others = _labelled(recognizer, scored_clips(recognizer, dataset, split, used, trained_only=False))
        others = others.take(np.isin(others.label, [dataset.info.labels.index(name) for name in untrained]))
        detected = {"unknown": unknown_detection(recognizer, untrained, others, scores)}
    rows = zip(windows.clip, windows.start_s, windows.end_s, windows.label, predicted, scores, strict=True)
    predictions: list[dict[str, Any]] = [
        {
            "clip": str(clip),
            "start_s": float(start_s),
            "end_s": float(end_s),
            "label": manifest.labels[label],
            "predicted": manifest.labels[best],
            "score": float(probability),
        }
        for clip, start_s, end_s, label, best, probability in rows
    ]
    return {
        "data": dataset.info.name,
        "split": split,
        "precision": recognizer.precision,
        "modalities": list(used),
        "providers": list(recognizer.providers),
        "without": list(untrained),
        **scored,
        **calibration_scores(recognizer, logits, windows.label),
        **detected,
        "predictions": predictions,
    }


def summary(result: dict[str, Any]) -> str:
    """Format the result as text."""
    low, high = result["wilson95"]
    lines = [
        f"{result['data']}, split {result['split']}, {result['precision']}, "
        f"modalities {', '.join(result['modalities'])}",
        f"{result['correct']} of {result['total']} windows correct: {result['accuracy']:.2%} "
        f"(Wilson 95 %: {low:.2%} to {high:.2%}), macro F1 {result['macro_f1']:.4f}",
    ]
    if "recordings" in result:
        whole = result["recordings"]
        lines.append(
            f"{whole['correct']} of {whole['total']} recordings correct by the sum of their windows' logits: "
            f"{whole['accuracy']:.2%}, macro F1 {whole['macro_f1']:.4f}"
        )
    for subject, count in result["per_subject"].items():
        lines.append(f"  {subject:<12}{count['correct']:>6} of {count['total']}")
    if result["without"]:
        lines.append(f"excluded, since the package was not trained on them: {', '.join(result['without'])}")
    lines.append(
        f"expected calibration error {result['ece']:.4f}, negative log-likelihood {result['nll']:.4f}, "
        f"temperature {result['temperature']:.4g}"
    )
    if "coverage" in result:
        correct = (
            "" if result["selective_accuracy"] is None else f", {result['selective_accuracy']:.2%} of them correct"
        )
        lines.append(f"{result['coverage']:.2%} of the windows labelled{correct}; the others unknown")
    if "unknown" in result:
        unknown = result["unknown"]
        lines.append(
            f"a low score detects {unknown['unknown_windows']} windows of {', '.join(unknown['activities'])} among "
            f"{unknown['known_windows']} others: AUROC {unknown['auroc']:.4f}"
        )
    return "\n".join(lines)


PARSER = Parser(EvaluateConfig, "edgehar evaluate", (__doc__ or "").partition("\n")[0] + OTHER_MODES)


def run(config: EvaluateConfig) -> int:
    """Print the summary, then the result as JSON."""
    check_result(config.json, config.package)
    recognizer, dataset, split = open_evaluation(config.package, config.scored)
    scored = evaluate(recognizer, dataset, split, config.scored.modalities, config.unknown)
    result = {"package": config.package, **scored}
    text = summary(result)
    if config.faults:
        result["faults"] = robustness.robustness(recognizer, trained_dataset(recognizer, dataset), split)
        text += "\n" + robustness.summary(result["faults"])
    if config.enrol:
        result["enrol"] = enrolment.measure(recognizer, dataset, split)
        text += "\n" + enrolment.summary(result["enrol"])
    shown = {key: value for key, value in result.items() if key != "predictions"}
    print_and_write(f"{text}\n{json.dumps(shown)}\n", config.json, result)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
