"""Random sensor faults on a stream: invariants checked on thousands of random schedules.

    python tools/stress/chaos.py runs/quickstart/package --count 10000 --json chaos.json

In the middle of a recording, samples are lost, duplicated, late and out of order, clocks jump and return, values become
NaN, sensors disappear and return. Invariants of every schedule: no exception; probabilities of the right shape that
sum to 1; no activity outside the time that the sensors' clocks can have reached; from one window after the last fault
on, the predictions of the same recording without faults. The last line is one JSON document.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import edgehar
from edgehar.command_line import Parser
from edgehar.config import Options, option, positional, seed_option
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import peak_resident_bytes
from edgehar.deploy.stream.segments import Segmenter
from edgehar.entry import guarded
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Prediction
from edgehar.signals.modality import ModalitySpec

Array = NDArray[Any]
LATENESS_S, REORDER_S = 0.5, 0.1
CLEAN_S, FAULTY_S = 1.0, 5.0
"""Length of the clean start, in which the clocks are learned, and of the faulty part after it."""
FAULTS = ("lost", "twice", "reordered", "late", "leap", "nan", "gone")
TOLERANCE = 1e-5


@dataclass(frozen=True)
class ChaosConfig(Options):
    """Random sensor faults."""

    package: str = positional("folder of an edge package")
    count: int = option(10_000, "number of schedules", at_least=1)
    seed: int = seed_option()
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(ChaosConfig, "python tools/stress/chaos.py", __doc__ or "")


@dataclass(frozen=True)
class Samples:
    """Samples of one sensor: arrival times (n,), timestamps (n,) and values (n, C)."""

    arrives_s: Array
    times_s: Array
    values: Array


class Push(NamedTuple):
    """A chunk of one sensor's samples and its arrival time."""

    arrives_s: float
    modality: str
    values: Array
    times_s: Array


def recorded(spec: ModalitySpec, length_s: float, rng: np.random.Generator) -> Samples:
    """A smooth random signal at about the sensor's rate."""
    rate = spec.rate_hz * rng.choice([0.7, 1.0, 1.5])
    times = np.arange(int(length_s * rate) + 1) / rate + rng.uniform(0, 0.3) / rate
    values = rng.standard_normal((len(times), spec.channels)).cumsum(0) / 5
    return Samples(times.copy(), times, values.astype(np.float32))


def faulty(samples: Samples, until_s: float, rng: np.random.Generator) -> tuple[Samples, list[str]]:
    """A copy with random faults between `CLEAN_S` and `until_s`, and the names of the faults."""
    arrives, times, values = samples.arrives_s.copy(), samples.times_s.copy(), samples.values.copy()
    keep = np.ones(len(times), bool)
    duplicate = np.zeros(len(times), bool)
    chosen = [fault for fault in FAULTS if rng.random() < 0.4]
    for fault in chosen:
        first_s, last_s = np.sort(rng.uniform(CLEAN_S, until_s, 2))
        span = (samples.times_s >= first_s) & (samples.times_s < last_s)
        some = span & (rng.random(len(times)) < rng.uniform(0.05, 0.6))
        match fault:
            case "lost":
                keep &= ~some
            case "twice":
                duplicate |= some
            case "reordered":
                arrives[span] += rng.uniform(0, REORDER_S, span.sum())
            case "late":
                arrives[some] += np.minimum(rng.exponential(1.0, some.sum()), until_s - samples.times_s[some])
            case "leap":
                times[span] += rng.choice([-1, 1]) * 10 ** rng.uniform(-2, 8)
            case "nan":
                values[some, rng.integers(values.shape[1])] = rng.choice([np.nan, np.inf, 1e30])
            case _:
                keep &= ~span
    duplicate &= keep
    index = np.concatenate([np.flatnonzero(keep), np.flatnonzero(duplicate)])
    late = np.concatenate([arrives[keep], arrives[duplicate] + rng.uniform(0, REORDER_S, duplicate.sum())])
    return Samples(late, times[index], values[index]), chosen


def pushes(sensors: dict[str, Samples], rng: np.random.Generator) -> list[Push]:
    """All samples in order of arrival, in chunks of up to five samples of one sensor."""
    events: list[Push] = []
    for name, samples in sensors.items():
        order = np.argsort(samples.arrives_s, kind="stable")
        position = 0
        while position < len(order):
            chunk = order[position : position + int(rng.integers(1, 6))]
            events.append(
                Push(float(samples.arrives_s[chunk[-1]]), name, samples.values[chunk], samples.times_s[chunk])
            )
            position += len(chunk)
    return sorted(events, key=lambda event: event.arrives_s)


def streamed(recognizer: Recognizer, given: list[Push]) -> list[tuple[float, list[Prediction]]]:
    """Arrival time and predictions of every push to a stream, and of its flush."""
    stream = edgehar.StreamRecognizer(recognizer, lateness_s=LATENESS_S, reorder_s=REORDER_S, start_s=0.0)
    found = [(push.arrives_s, stream.push(push.modality, push.values, push.times_s)) for push in given]
    return [*found, (given[-1].arrives_s, stream.flush())]


def outside(found: list[tuple[float, list[Prediction]]], given: list[Push], step_s: float) -> bool:
    """Whether an activity lies outside the time that the sensors' clocks can have reached when it was reported."""
    arrived_s = np.array([push.arrives_s for push in given])
    ahead_s = np.maximum.accumulate([push.times_s.max() - push.arrives_s for push in given])
    first_s = np.minimum.accumulate([min(0.0, push.times_s.min()) for push in given])
    segmenter = Segmenter(step_s)
    ended = [(now_s, segmenter.push(predictions)) for now_s, predictions in found]
    for now_s, activities in [*ended, (found[-1][0], segmenter.flush())]:
        last = int(arrived_s.searchsorted(now_s, side="right")) - 1
        for one in activities:
            if not first_s[last] - 2 * LATENESS_S <= one.start_s < one.end_s <= now_s + ahead_s[last] + 2 * LATENESS_S:
                return True
    return False


def violated_invariant(recognizer: Recognizer, number: int, config: ChaosConfig) -> tuple[str | None, list[str]]:
    """The invariant that one schedule violates, or None; and the faults of the schedule."""
    window = recognizer.manifest.window
    rng = np.random.default_rng((config.seed, number))
    until_s = CLEAN_S + FAULTY_S
    length_s = until_s + 3 * window.length_s + 3 * LATENESS_S
    clean = {spec.name: recorded(spec, length_s, rng) for spec in recognizer.manifest.modalities}
    damaged = {name: faulty(samples, until_s, rng) for name, samples in clean.items()}
    faults = sorted({fault for _, chosen in damaged.values() for fault in chosen})
    given = pushes({name: samples for name, (samples, _) in damaged.items()}, rng)
    try:
        found = streamed(recognizer, given)
    except Exception as problem:  # any exception is a failure
        return f"{type(problem).__name__}: {problem}", faults
    for one in (one for _, predictions in found for one in predictions):
        valid = one.probabilities.shape == (len(recognizer.manifest.labels),) and np.isfinite(one.probabilities).all()
        if not valid or abs(float(one.probabilities.sum()) - 1) > TOLERANCE:
            return "probabilities have the wrong shape, or do not sum to 1", faults
    if outside(found, given, window.step_s):
        return "an activity outside the recording", faults
    clean_s = until_s + 2 * LATENESS_S + window.length_s

    def after_faults(found: list[tuple[float, list[Prediction]]]) -> dict[float, Prediction]:
        late = (one for now_s, predictions in found if now_s >= clean_s for one in predictions)
        return {round(one.start_s, 6): one for one in late if one.start_s >= clean_s}

    expected, actual = after_faults(streamed(recognizer, pushes(clean, rng))), after_faults(found)
    if expected.keys() != actual.keys():
        return "windows differ after the last fault", faults
    if any(np.abs(expected[key].probabilities - actual[key].probabilities).max() > TOLERANCE for key in expected):
        return "predictions differ after the last fault", faults
    return None, faults


def main(argv: list[str] | None = None) -> int:
    """Run every schedule; exit code 1 if one violates an invariant."""
    config = PARSER.parse(argv)
    recognizer = edgehar.load(config.package)
    had: Counter[str] = Counter()
    broken: list[dict[str, Any]] = []
    for number in tqdm(range(config.count), unit="schedule", disable=None):
        violation, faults = violated_invariant(recognizer, number, config)
        had.update(faults)
        if violation is not None:
            broken.append({"schedule": number, "promise": violation, "faults": faults})
    options = ["--count", str(config.count), "--seed", str(config.seed)]
    result = {
        "format": "edgehar-chaos",
        "command": portable(["python", "tools/stress/chaos.py", config.package, *options]),
        "seed": config.seed,
        **stamp(),
        "schedules": config.count,
        "with_fault": dict(sorted(had.items())),
        "peak_resident_bytes": peak_resident_bytes(),
        "broken": len(broken),
        "first_broken": broken[:20],
    }
    if config.json is not None:
        write_json(Path(config.json), result)
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
