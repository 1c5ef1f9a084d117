"""A stream under everything sensors do wrong: thousands of random schedules, and what must hold in each.

    python tools/chaos_stream.py PACKAGE --count 10000 --json docs/results/chaos-stream.json

Samples are lost, come twice, late and out of order, clocks leap and come back, values turn to NaN, sensors leave and
return, all in the middle of a recording. Held in every schedule: no exception; probabilities of the right shape
that sum to 1; no activity before the first time that a sensor told of, nor after the last one and the time that went
by since it was told; and, from one window after the last fault on, the answers of the same recording without a fault.
The last line is one JSON document.
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
from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.segments import Segmenter
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Prediction
from edgehar.signals.modality import ModalitySpec

Array = NDArray[Any]
LATENESS_S, REORDER_S = 0.5, 0.1
SOUND_S, FAULTY_S = 1.0, 5.0
"""How long a recording is sound at first, so that the clocks are known, and how long it may be faulty after that."""
FAULTS = ("lost", "twice", "reordered", "late", "leap", "nan", "gone")
TOLERANCE = 1e-5


@dataclass(frozen=True)
class ChaosConfig:
    """Options of the command."""

    package: str = positional("folder of an edge package")
    count: int = option(10_000, "schedules to try")
    seed: int = option(0, "reproduces the run")
    json: str | None = option(None, "also write the result to this file")


@dataclass(frozen=True)
class Samples:
    """Samples of one sensor in the order they arrive: when, with which time, and what."""

    arrives_s: Array
    times_s: Array
    values: Array


class Push(NamedTuple):
    """A chunk of one sensor's samples, and when it arrives."""

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
    """The same with some faults between `SOUND_S` and `until_s`; what was done."""
    arrives, times, values = samples.arrives_s.copy(), samples.times_s.copy(), samples.values.copy()
    keep = np.ones(len(times), bool)
    again = np.zeros(len(times), bool)
    done = [fault for fault in FAULTS if rng.random() < 0.4]
    for fault in done:
        first_s, last_s = np.sort(rng.uniform(SOUND_S, until_s, 2))
        span = (samples.times_s >= first_s) & (samples.times_s < last_s)
        some = span & (rng.random(len(times)) < rng.uniform(0.05, 0.6))
        match fault:
            case "lost":
                keep &= ~some
            case "twice":
                again |= some
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
    place = np.concatenate([np.flatnonzero(keep), np.flatnonzero(keep & again)])
    late = np.concatenate([arrives[keep], arrives[keep & again] + rng.uniform(0, REORDER_S, (keep & again).sum())])
    return Samples(late, times[place], values[place]), done


def pushes(sensors: dict[str, Samples], rng: np.random.Generator) -> list[Push]:
    """Everything in order of arrival, in chunks of one sensor that hold up to a few samples."""
    events: list[Push] = []
    for name, samples in sensors.items():
        order = np.argsort(samples.arrives_s, kind="stable")
        place = 0
        while place < len(order):
            chunk = order[place : place + int(rng.integers(1, 6))]
            events.append(
                Push(float(samples.arrives_s[chunk[-1]]), name, samples.values[chunk], samples.times_s[chunk])
            )
            place += len(chunk)
    return sorted(events, key=lambda event: event.arrives_s)


def streamed(recognizer: Recognizer, given: list[Push]) -> list[tuple[float, list[Prediction]]]:
    """What a stream that is handed these samples predicts, and when."""
    stream = edgehar.StreamRecognizer(recognizer, lateness_s=LATENESS_S, reorder_s=REORDER_S, start_s=0.0)
    found = [(push.arrives_s, stream.push(push.modality, push.values, push.times_s)) for push in given]
    return [*found, (given[-1].arrives_s, stream.flush())]


def outside(found: list[tuple[float, list[Prediction]]], given: list[Push], step_s: float) -> bool:
    """Whether an activity lies where no sensor's clock had been by then, even had it gone on since it last spoke."""
    arrived_s = np.array([push.arrives_s for push in given])
    ahead_s = np.maximum.accumulate([push.times_s.max() - push.arrives_s for push in given])
    first_s = np.minimum.accumulate([min(0.0, push.times_s.min()) for push in given])
    segmenter = Segmenter(step_s)
    ended = [(now_s, segmenter.push(predictions)) for now_s, predictions in found]
    for now_s, activities in [*ended, (found[-1][0], segmenter.flush())]:
        told = int(arrived_s.searchsorted(now_s, side="right")) - 1
        for one in activities:
            if not first_s[told] - 2 * LATENESS_S <= one.start_s < one.end_s <= now_s + ahead_s[told] + 2 * LATENESS_S:
                return True
    return False


def broken_promise(recognizer: Recognizer, number: int, config: ChaosConfig) -> tuple[str | None, list[str]]:
    """What does not hold in one schedule, or None; and the faults it had."""
    window = recognizer.manifest.window
    rng = np.random.default_rng((config.seed, number))
    until_s = SOUND_S + FAULTY_S
    length_s = until_s + 3 * window.length_s + 3 * LATENESS_S
    clean = {spec.name: recorded(spec, length_s, rng) for spec in recognizer.manifest.modalities}
    spoilt = {name: faulty(samples, until_s, rng) for name, samples in clean.items()}
    faults = sorted({fault for _, done in spoilt.values() for fault in done})
    given = pushes({name: samples for name, (samples, _) in spoilt.items()}, rng)
    try:
        found = streamed(recognizer, given)
    except Exception as problem:  # whatever it is, it is what this looks for
        return f"{type(problem).__name__}: {problem}", faults
    for one in (one for _, predictions in found for one in predictions):
        sound = one.probabilities.shape == (len(recognizer.manifest.labels),) and np.isfinite(one.probabilities).all()
        if not sound or abs(float(one.probabilities.sum()) - 1) > TOLERANCE:
            return "probabilities of another shape, or that do not sum to 1", faults
    if outside(found, given, window.step_s):
        return "an activity outside the recording", faults
    sound_s = until_s + 2 * LATENESS_S + window.length_s

    def after(answers: list[tuple[float, list[Prediction]]]) -> dict[float, Prediction]:
        late = (one for now_s, predictions in answers if now_s >= sound_s for one in predictions)
        return {round(one.start_s, 6): one for one in late if one.start_s >= sound_s}

    wanted, got = after(streamed(recognizer, pushes(clean, rng))), after(found)
    if wanted.keys() != got.keys():
        return "other windows after the last fault", faults
    if any(np.abs(wanted[key].probabilities - got[key].probabilities).max() > TOLERANCE for key in wanted):
        return "other answers after the last fault", faults
    return None, faults


def main(argv: list[str] | None = None) -> int:
    """Try every schedule; exit code 1 if a promise was broken."""
    config = parse(ChaosConfig, argv, "python tools/chaos_stream.py", __doc__ or "")
    if config.count < 1:
        raise ConfigError(f"--count {config.count}: expected 1 or more")
    recognizer = edgehar.load(config.package)
    had: Counter[str] = Counter()
    broken: list[dict[str, Any]] = []
    for number in tqdm(range(config.count), unit="schedule", disable=None):
        promise, faults = broken_promise(recognizer, number, config)
        had.update(faults)
        if promise is not None:
            broken.append({"schedule": number, "promise": promise, "faults": faults})
    words = [
        "python",
        "tools/chaos_stream.py",
        config.package,
        "--count",
        str(config.count),
        "--seed",
        str(config.seed),
    ]
    result = {
        "format": "edgehar-chaos",
        "command": portable(words),
        "seed": config.seed,
        **stamp(),
        "schedules": config.count,
        "with_fault": dict(sorted(had.items())),
        "broken": len(broken),
        "first_broken": broken[:20],
    }
    if config.json is not None:
        write_json(Path(config.json), result)
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
