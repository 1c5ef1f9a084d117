"""What to record more of, and where the baseline stands, as sentences with the numbers behind them."""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from edgehar.choices import QUICK_BASELINE
from edgehar.errors import shortened
from edgehar.report.entries import Entry, entry_of, list_of
from edgehar.report.page import decimal, duration, integer

FEW_PEOPLE = 10
FEW_TESTED = 3
MOST_LISTED = 3
"""Activities, and pairs of activities, that are listed."""
SCARCE_SHARE = 0.5
"""An activity with less than this share of the median activity's people, or of its recordings, is scarce."""
LEAST_CONFUSED = 0.05
"""Share of the windows of two activities that are confused, from which they are listed."""
FEW_FRAMES = 4
"""A step of fewer samples has hardly any shape."""
MOST_UNLABELLED = 0.1
MOST_MISSING = 0.05


def advice(results: Entry) -> list[str]:
    """What to record more of; the first is the most important. Empty for results without facts about the training."""
    training = entry_of(entry_of(results, "dataset"), "training")
    if not training:
        return []
    found = [*_people(results, training), *_untrained(training), *_scarce(training), *_confused(results, training)]
    found += [*_missing_sensors(training), *_slow(training), *_unlabelled(training), *_short(training)]
    amount = "recordings" if training["kind"] == "clip" else "minutes"
    return found or [
        f"Nothing stands out: {integer(training['people'])} people were trained on, and every activity has at least "
        f"half the people and {amount} of the median one."
    ]


def _number(count: float, noun: str) -> str:
    plural = {"person": "people", "activity": "activities"}.get(noun, f"{noun}s")
    return f"{integer(count)} {noun if count == 1 else plural}"


def _amount(entry: Entry) -> str:
    """People, recordings and minutes of an activity."""
    minutes = f"{decimal(round(entry['seconds'] / 60, 1))} min"
    return f"{_number(entry['people'], 'person')}, {_number(entry['recordings'], 'recording')}, {minutes}"


def _people(results: Entry, training: Entry) -> Iterator[str]:
    data = entry_of(results, "dataset")
    if "train_recordings" in data:
        yield (
            f"Nobody but the people of the training ({integer(training['people'])}) was tested: record others, if the "
            "model is to recognise them."
        )
        return
    if training["people"] < FEW_PEOPLE:
        yield (
            f"Training has {_number(training['people'], 'person')}, fewer than {FEW_PEOPLE}: record more people, each "
            "with all activities."
        )
    tested = len(list_of(data, "test_subjects"))
    if 0 < tested < FEW_TESTED:
        yield (
            f"The test has {_number(tested, 'person')}, which hardly shows how much people differ: record more "
            "people, or test everybody once (edgehar crossvalidate)."
        )


def _untrained(training: Entry) -> Iterator[str]:
    labels = entry_of(training, "labels")
    absent = [name for name in labels if not labels[name]["recordings"]]
    if absent:
        yield f"No training recording has {shortened(absent)}: record {'it' if len(absent) == 1 else 'them'}."


def _scarce(training: Entry) -> Iterator[str]:
    labels = {name: entry for name, entry in entry_of(training, "labels").items() if entry["recordings"]}
    if len(labels) < 2:
        return
    usual: Entry = {
        key: float(np.median([entry[key] for entry in labels.values()])) for key in ("people", "recordings", "seconds")
    }
    # A continuous recording has as many windows as it is long.
    counted_keys = ("people", "recordings" if training["kind"] == "clip" else "seconds")
    share = {name: min(entry[key] / max(usual[key], 1e-9) for key in counted_keys) for name, entry in labels.items()}
    scarce = sorted((name for name in labels if share[name] < SCARCE_SHARE), key=lambda name: share[name])
    if scarce:
        listed = "; ".join(f"{name} ({_amount(labels[name])})" for name in scarce[:MOST_LISTED])
        more = f" and {len(scarce) - MOST_LISTED} more" if len(scarce) > MOST_LISTED else ""
        yield f"Record more of {listed}{more}. The median activity has {_amount(usual)}."


def _pairs(score: Entry, names: list[str]) -> dict[tuple[str, str], int]:
    """(true, predicted) -> number of windows, of different activities."""
    if "confusion" in score:
        counts = np.asarray(score["confusion"], np.int64)[: len(names), : len(names)]  # (K, K)
        cells: list[list[int]] = np.argwhere(counts).tolist()
        return {(names[true], names[other]): int(counts[true, other]) for true, other in cells if true != other}
    return {(str(pair["true"]), str(pair["predicted"])): int(pair["count"]) for pair in list_of(score, "confused")}


def _confused(results: Entry, training: Entry) -> Iterator[str]:
    score = entry_of(entry_of(results, "evaluation"), str(results.get("delivered")))
    classes, labels = entry_of(score, "per_class"), entry_of(training, "labels")
    pairs = _pairs(score, [str(label) for label in list_of(entry_of(results, "dataset"), "labels")])
    pairs = {pair: count for pair, count in pairs.items() if all(name in labels and name in classes for name in pair)}
    both: Counter[tuple[str, str]] = Counter()
    for (true, predicted), count in pairs.items():
        both[min(true, predicted), max(true, predicted)] += count
    listed = [
        pair
        for pair in sorted(both, key=lambda pair: (-both[pair], pair))
        if both[pair] > 1 and both[pair] >= LEAST_CONFUSED * sum(classes[name]["total"] for name in pair)
    ]
    for one, other in listed[:MOST_LISTED]:
        ways = [
            f"{integer(pairs[true, predicted])} of {_number(classes[true]['total'], 'window')} of {true} predicted as "
            f"{predicted}"
            for true, predicted in ((one, other), (other, one))
            if (true, predicted) in pairs
        ]
        yield (
            f"{one} and {other} are confused: {', '.join(ways)}. Trained on: {one} {_amount(labels[one])}; {other} "
            f"{_amount(labels[other])}. Record both with more people; if these sensors cannot tell them apart, add a "
            "sensor or make them one activity."
        )


def _missing_sensors(training: Entry) -> Iterator[str]:
    total = training["recordings"]
    for name, count in entry_of(training, "sensors").items():
        if total - count > MOST_MISSING * total:
            yield (
                f"{name} is missing in {integer(total - count)} of {_number(total, 'training recording')}: record it "
                f"with the others, or train without it (--modalities)."
            )


def _slow(training: Entry) -> Iterator[str]:
    for name, frames in entry_of(training, "frames").items():
        if frames < FEW_FRAMES:
            needed_hz = math.ceil(FEW_FRAMES / training["step_s"])
            yield (
                f"{name} has {decimal(round(frames, 1))} samples in a step of {decimal(training['step_s'])} s: record "
                f"it with {integer(needed_hz)} Hz or more, or declare fewer and longer steps (window in "
                "recordings.json)."
            )


def _unlabelled(training: Entry) -> Iterator[str]:
    if training["unlabelled_share"] > MOST_UNLABELLED:
        what = "the training clips" if training["kind"] == "clip" else "the time of the training recordings"
        have = "have" if training["kind"] == "clip" else "has"
        yield f"{100 * training['unlabelled_share']:.0f} % of {what} {have} no label: label more of it."


def _short(training: Entry) -> Iterator[str]:
    if training["short"] and training["kind"] == "clip":
        yield (
            "Less than a third of the median duration of the activity: "
            f"{_number(training['short'], 'training clip')}. Check for recordings that were cut off."
        )
    elif training["short"]:
        yield (
            f"Shorter than a window of {decimal(training['window_s'])} s and not used: "
            f"{_number(training['short'], 'training recording')}. Record longer."
        )


def _correct(score: Entry) -> str:
    whole = entry_of(score, "recordings")
    recordings = f" and {integer(whole['correct'])} of {_number(whole['total'], 'recording')}" if whole else ""
    return f"{integer(score['correct'])} of {_number(score['total'], 'window')}{recordings}"


def baseline_verdict(results: Entry) -> list[str]:
    """Where the delivered model stands beside the baseline, and what to do if that is better; empty without either."""
    scores = entry_of(results, "evaluation")
    ours, baseline = entry_of(scores, str(results.get("delivered"))), entry_of(scores, QUICK_BASELINE)
    if not ours:
        return []
    stage: Entry = {one["name"]: one for one in list_of(results, "stages")}.get(f"baseline-{QUICK_BASELINE}", {})
    if not baseline:
        return [f"The baseline MiniRocket was not run: {stage['failed']}"] if "failed" in stage else []
    took = f" ({duration(stage['seconds'])})" if "seconds" in stage else ""
    figures = f"{_correct(baseline)} against {_correct(ours)}"
    if baseline["accuracy"] < ours["accuracy"]:
        return [f"The baseline MiniRocket{took} is less accurate per window than the delivered model: {figures}."]
    if baseline["accuracy"] == ours["accuracy"]:
        return [f"The baseline MiniRocket{took} is as accurate per window as the delivered model: {figures}."]
    overlap = baseline["wilson95"][0] <= ours["wilson95"][1]
    chance = " The 95 % intervals overlap, so the difference may be chance." if overlap else ""
    cures = ["record more people and repetitions (see What to record more of)"]
    cures += ["train the larger networks (--preset base)"] if results.get("preset") == "tiny" else []
    cures += ["train longer (--update-share 2)"]
    return [
        f"The baseline MiniRocket{took} is more accurate per window than the delivered model: {figures}.{chance}",
        f"What to do: {'; '.join(cures)}.",
    ]
