"""Continuous recordings as a live stream: segment F1, detection delay, agreement with offline predictions.

    edgehar evaluate PACKAGE --stream
    edgehar evaluate PACKAGE --stream --data sp-sw-har --root DIR --json docs/results/stream-sp-sw-har.json
    edgehar evaluate PACKAGE --stream --smoothing 0.5 --shortest-s 0.8

Each sensor's samples are pushed in chunks of random length, in the order in which the last sample of each chunk was
recorded, through the same StreamRecognizer and Segmenter as on a board. They are compared with the predictions of the
whole recordings ("offline"); without --smoothing and --margin the two must agree, else the exit code is 1.
Definitions: docs/streaming.md. The last line is one JSON document.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional
from edgehar.deploy.evaluation.recordings import ScoredOptions, open_evaluation, scored_clips
from edgehar.deploy.evaluation.replay import (
    Replay,
    ReplayOptions,
    class_index,
    emitted_labels,
    predicted_segments,
    replay,
)
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.files.results import print_and_write
from edgehar.metrics.classification import score
from edgehar.metrics.detection_delay import Detection, delay_scores, detections
from edgehar.metrics.segments import IOU_PERCENTS, AlignedSegments, align_segments, segment_scores
from edgehar.package.folder import check_result
from edgehar.package.manifest import Manifest
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Clip
from edgehar.signals.windows import UNLABELLED, window_label

MAX_POINTS = 0.5
"""Largest accepted difference between a stream and an offline score, in percentage points."""
KINDS = ("offline", "stream")
COUNTED = ("correct", "total", "accuracy", "wilson95", "macro_f1", "confusion", "confused", "per_class")


@dataclass(frozen=True)
class StreamEvaluateConfig(Options):
    """Options of `edgehar evaluate --stream`."""

    package: str = positional("folder of the edge package")
    scored: ScoredOptions = group(ScoredOptions)
    options: ReplayOptions = group(ReplayOptions)
    json: str | None = option(None, "also write the result, with a row for each recording, to this file")


def window_scores(replays: list[Replay], kind: str, manifest: Manifest) -> dict[str, Any]:
    """Score the predictions of labelled windows, as `edgehar evaluate` counts them."""
    rows: list[tuple[int, int, str]] = []
    for entry in replays:
        for one in entry.stream if kind == "stream" else entry.offline:
            # Bit for bit as in `edgehar.signals.windows.cut`: two labels may share a window equally.
            step = round(one.start_s / manifest.window.step_s)
            end_s = (step + manifest.window.steps) * manifest.window.step_s
            label = window_label(entry.clip, step * manifest.window.step_s, end_s)
            if label != UNLABELLED:
                rows.append((label, class_index(one, manifest.labels), entry.clip.subject))
    if not rows:
        raise DataError("no labelled window; expected at least one; choose other subjects or longer recordings")
    label, predicted, subject = zip(*rows, strict=True)
    scored = score(np.asarray(label, np.int64), np.asarray(predicted, np.intp), np.asarray(subject), manifest.labels)
    return {key: scored[key] for key in COUNTED if key in scored}


def agreement(replays: list[Replay]) -> dict[str, Any]:
    """Compare stream and offline window by window: counts, equal labels and the largest difference."""
    differences: list[float] = []
    same, unmatched = 0, 0
    for entry in replays:
        offline, stream = (
            {round(one.start_s, 6): one for one in predictions} for predictions in (entry.offline, entry.stream)
        )
        unmatched += len(offline.keys() ^ stream.keys())
        for key in offline.keys() & stream.keys():
            differences.append(float(np.abs(offline[key].probabilities - stream[key].probabilities).max()))
            same += offline[key].label == stream[key].label
    return {
        "windows": len(differences),
        "unmatched_windows": unmatched,
        "same_label": same,
        "largest_probability_difference": max(differences, default=0.0),
    }


def percentages(windows: dict[str, Any], segments: dict[str, Any]) -> dict[str, float]:
    """All scores in %."""
    scores = {"accuracy": windows["accuracy"], "macro_f1": windows["macro_f1"]}
    scores |= {f"f1_{percent}": segments[f"f1_{percent}"]["f1"] for percent in IOU_PERCENTS}
    scores |= {"edit": segments["edit"], "time_accuracy": segments["time_accuracy"]}
    return {name: 100 * value for name, value in scores.items()}


def recording_row(
    entry: Replay, compared: AlignedSegments, found: list[Detection], labels: tuple[str, ...]
) -> dict[str, Any]:
    """The scores of one recording, for JSON."""
    scores = segment_scores([compared], labels) if compared.truth else {}
    delay = delay_scores(found, labels)
    return {
        "clip": entry.clip.name,
        "subject": entry.clip.subject,
        "windows": len(entry.timed),
        **{key: value for key, value in scores.items() if key not in ("recordings", "per_label")},
        "delay": {key: value for key, value in delay.items() if key != "per_label"},
    }


def evaluate_stream(recognizer: Recognizer, clips: list[Clip], options: ReplayOptions) -> dict[str, Any]:
    """Score windows, segments and detection delays of recordings, as a stream and offline.

    Args:
        recognizer: a package for continuous recordings.
        clips: recordings with timestamps; unlabelled ones are not scored.
        options: of the stream.

    Returns:
        Plain numbers for JSON, see docs/streaming.md.

    Raises:
        ConfigError: the package is for pre-cut clips.
        DataError: no window is labelled.
    """
    labels = recognizer.manifest.labels
    if recognizer.manifest.window.kind != "sliding":
        raise ConfigError(
            f"--stream: {recognizer.manifest.name} stretches pre-cut clips (window kind 'clip'); expected a package "
            "for continuous recordings (kind 'sliding'); omit --stream"
        )
    replays = [replay(recognizer, clip, options) for clip in clips]
    compared = {
        kind: [
            align_segments(
                one.truth,
                predicted_segments(one.stream if kind == "stream" else one.offline, labels, options.shortest_s),
            )
            for one in replays
        ]
        for kind in KINDS
    }
    found = [detections(one.truth, emitted_labels(one.timed, labels)) for one in replays]
    windows = {kind: window_scores(replays, kind, recognizer.manifest) for kind in KINDS}
    segments = {kind: segment_scores(compared[kind], labels) for kind in KINDS}
    percent = {kind: percentages(windows[kind], segments[kind]) for kind in KINDS}
    difference = {name: percent["stream"][name] - value for name, value in percent["offline"].items()}
    return {
        "windows": windows,
        "segments": segments,
        "delay": delay_scores([one for of_recording in found for one in of_recording], labels),
        "percent": percent,
        "stream_less_offline": difference,
        "most_points": max(map(abs, difference.values())),
        "agreement": None if options.smoothed else agreement(replays),
        "recordings": [
            recording_row(one, segmented, detected, labels)
            for one, segmented, detected in zip(replays, compared["stream"], found, strict=True)
        ],
    }


def summary(result: dict[str, Any]) -> str:
    """Format the result as text."""
    delay, segments, agreed = result["delay"], result["segments"]["stream"], result["agreement"]
    lines = [
        f"{result['data']}, split {result['split']}, {result['precision']}, "
        f"modalities {', '.join(result['modalities'])}: "
        f"{segments['recordings']} recordings, {segments['labelled_s']:.0f} s, {segments['true']} segments",
        f"  {'':<16}{'offline':>9}{'stream':>9}",
    ]
    for name, value in result["percent"]["offline"].items():
        lines.append(f"  {name:<16}{value:>8.2f}%{result['percent']['stream'][name]:>8.2f}%")
    lines.append(
        f"at most {result['most_points']:.2f} points apart; {segments['false_alarms']} false alarms, "
        f"{segments['false_alarms_per_hour']:.1f} an hour"
    )
    if agreed is not None:
        lines.append(
            f"{agreed['same_label']} of {agreed['windows']} windows with equal labels, probabilities within "
            f"{agreed['largest_probability_difference']:.1g}; {agreed['unmatched_windows']} windows unmatched"
        )
    columns = ("segments", "in_time", "late", "carried_over", "never")
    lines.append(f"{'delay':<18}" + "".join(f"{name:>14}" for name in (*columns, "median", "90 %")))
    for name, row in {**delay["per_label"], "all": delay}.items():
        times = ["-" if row[key] is None else f"{row[key]:.2f} s" for key in ("median_s", "p90_s")]
        lines.append(f"  {name:<16}" + "".join(f"{cell:>14}" for cell in (*(row[key] for key in columns), *times)))
    return "\n".join(lines)


PARSER = Parser(StreamEvaluateConfig, "edgehar evaluate --stream", (__doc__ or "").partition("\n")[0], mode="stream")


def run(config: StreamEvaluateConfig) -> int:
    """Print the summary, then the result as JSON; exit code 1 if stream and offline disagree."""
    check_result(config.json, config.package)
    recognizer, dataset, split = open_evaluation(config.package, config.scored)
    used = config.scored.modalities or tuple(spec.name for spec in recognizer.manifest.modalities)
    clips = scored_clips(recognizer, dataset, split, used)
    result: dict[str, Any] = {
        "format": "edgehar-stream",
        "command": portable(PARSER.words(config)),
        **stamp(),
        "data": dataset.info.name,
        "split": split,
        "precision": recognizer.precision,
        "modalities": list(used),
        "providers": list(recognizer.providers),
        "options": asdict(config.options),
        **evaluate_stream(recognizer, clips, config.options),
    }
    shown = {key: value for key, value in result.items() if key != "recordings"}
    print_and_write(f"{summary(result)}\n{json.dumps(shown)}\n", config.json, result)
    agreed = result["agreement"]
    return 1 if agreed is not None and (result["most_points"] > MAX_POINTS or agreed["unmatched_windows"]) else 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
