"""Suspicious clocks: another rate than declared, long gaps, different zeros, values written several times."""

from collections.abc import Sequence

import numpy as np

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, median
from edgehar.signals.clip import Times
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.resampling import gap_rule

RATE_TOLERANCE, EXACT_TOLERANCE = 0.2, 0.03
"""Shares of rate_hz by which the rate of irregular, and of regular, timestamps may differ without a warning."""
EXACT_JITTER = 0.05
"""Largest standard deviation of regular intervals relative to their mean."""
REST_TOLERANCE = 0.1
"""Share of the usual rate by which that of one file may differ without a warning."""
MAX_LOST, SOME_LOST = 0.95, 0.5
"""Shares of a recording's time inside gaps: above the first it is unusable, above the second suspicious."""
MIN_OFFSET_S = 1.0
MIN_DRIFT_S, MAX_DRIFT = 60.0, 0.01
"""Shortest recording, and largest difference of two clocks, for a statement about their drift."""


def lost_share(times_s: Times, longest_gap_s: float) -> float:
    """Share of the time from the first to the last timestamp that lies in gaps longer than this."""
    interval_s = np.diff(times_s)
    span_s = float(interval_s.sum())
    return float(interval_s[interval_s > longest_gap_s].sum()) / span_s if span_s else 0.0


def _frame_s(times_s: Times, spec: ModalitySpec, window: WindowSpec) -> float:
    if window.kind == "sliding":
        return window.step_s / spec.patch
    return float(times_s[-1] - times_s[0]) / max(window.steps * spec.patch - 1, 1)


def rates(folder: str, spec: ModalitySpec, window: WindowSpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Compare the rates of the timestamps with rate_hz and with each other."""
    problems: list[Problem] = []
    rated: list[tuple[Recorded, float]] = []
    for each in recorded:
        rate_hz = each.true_rate_hz
        if each.times_s is None or rate_hz is None:
            continue
        longest_s = gap_rule(spec, _frame_s(each.times_s, spec, window)).max_gap_s
        lost = lost_share(each.times_s, longest_s)
        found = f"timestamps say {rate_hz:.3g} Hz, rate_hz {spec.rate_hz:g}"
        if lost > MAX_LOST:
            message = (
                f"{found}: nearly all intervals exceed the longest gap that is bridged, {longest_s:.3g} s, so that no "
                "sample could be used; correct rate_hz"
            )
            problems.append(Problem(each.file, 0, message))
        elif lost > SOME_LOST:
            message = f"{lost:.0%} of the time lies in gaps longer than {longest_s:.3g} s and cannot be used"
            problems.append(each.warning(f"{message}; expected samples at {spec.rate_hz:g} Hz"))
        else:
            rated.append((each, rate_hz))
    if not rated:
        return problems
    usual_hz = median([rate_hz for _, rate_hz in rated])
    exact = median(each.jitter for each, _ in rated) < EXACT_JITTER
    if abs(usual_hz - spec.rate_hz) > (EXACT_TOLERANCE if exact else RATE_TOLERANCE) * spec.rate_hz:
        effect = "samples between the frames are not used" if usual_hz > spec.rate_hz else "frames are interpolated"
        message = f"timestamps say {usual_hz:.3g} Hz, rate_hz {spec.rate_hz:g}: {effect}; correct rate_hz"
        problems.append(Problem(folder, 0, message, is_warning=True))
    for each, rate_hz in rated:
        if abs(rate_hz - usual_hz) > REST_TOLERANCE * usual_hz:
            message = f"timestamps say {rate_hz:.3g} Hz, those of the other recordings {usual_hz:.3g} Hz; "
            problems.append(each.warning(message + "it is read at its own rate; check the unit of time_s"))
    return problems


def untimed_durations(
    spec: ModalitySpec, rate_of: dict[str, float], recordings: Sequence[dict[str, Recorded]], stretched: bool
) -> list[Problem]:
    """Compare the duration of files without timestamps, at rate_hz, with that of the other sensors.

    Args:
        spec: the sensor.
        rate_of: nominal rate of each sensor.
        recordings: for each recording its sensors' samples.
        stretched: whether recordings are stretched to a window, so that only a ratio unlike that of the other
            recordings is suspicious.
    """
    compared: list[tuple[Recorded, float, float]] = []
    for sensors in recordings:
        own = sensors.get(spec.name)
        others_s = [duration_s(each, rate_of[name]) for name, each in sensors.items() if name != spec.name]
        if own is not None and own.times_s is None and others_s:
            compared.append((own, duration_s(own, spec.rate_hz), median(others_s)))
    ratios = [own_s / others_s if others_s else 1.0 for _, own_s, others_s in compared]
    usual = median(ratios) if ratios and stretched else 1.0
    if stretched and ratios and median(abs(ratio / usual - 1) for ratio in ratios) > REST_TOLERANCE / 4:
        return []
    problems: list[Problem] = []
    for (own, own_s, others_s), ratio in zip(compared, ratios, strict=True):
        if abs(ratio / usual - 1) > REST_TOLERANCE:
            message = (
                f"{len(own.values)} samples last {own_s:.3g} s at rate_hz {spec.rate_hz:g}, the other sensors "
                f"{others_s:.3g} s; ended early, or another rate? Add time_s, or correct rate_hz"
            )
            problems.append(own.warning(message))
    return problems


def duration_s(recorded: Recorded, rate_hz: float) -> float:
    """Duration by timestamps, or else at this rate."""
    if recorded.times_s is None:
        return len(recorded.values) / rate_hz
    return float(recorded.times_s[-1] - recorded.times_s[0]) + 1 / rate_hz


def drift_ppm(specs: Sequence[ModalitySpec], recordings: Sequence[dict[str, Recorded]]) -> dict[str, float]:
    """Sensor -> rate of its clock relative to the first sensor's, in parts per million, where it can be told.

    Samples are counted at nominal rates: a sensor that gives more samples in the same time has a faster clock. Only
    recordings of a minute or more without a gap count.
    """
    first, drifts = specs[0], {spec.name: list[float]() for spec in specs[1:]}
    for sensors in recordings:
        counted_s = {
            spec.name: (len(sensors[spec.name].values) - 1) / spec.rate_hz for spec in specs if spec.name in sensors
        }
        for name, own_s in counted_s.items():
            base_s = counted_s.get(first.name, 0.0)
            if name != first.name and min(base_s, own_s) >= MIN_DRIFT_S and abs(own_s / base_s - 1) < MAX_DRIFT:
                drifts[name].append((own_s / base_s - 1) * 1e6)
    return {name: median(found) for name, found in drifts.items() if found}


def zeros(window: WindowSpec, sensors: dict[str, Recorded]) -> list[Problem]:
    """Sensors of one recording whose clocks seem to have different zeros, and recordings that begin late."""
    timed = {
        name: (float(each.times_s[0]), float(each.times_s[-1]))
        for name, each in sensors.items()
        if each.times_s is not None
    }
    problems: list[Problem] = []
    if not timed:
        return problems
    first_name = min(timed, key=lambda name: timed[name])
    first_s, last_s = timed[first_name]
    if first_s > max(window.length_s, MIN_OFFSET_S):
        message = f"time starts at {first_s:.4g} s; expected seconds from the start of the recording; subtract it"
        problems.append(sensors[first_name].warning(message))
    for name, (start_s, end_s) in timed.items():
        offset_s = start_s - first_s
        if offset_s <= MIN_OFFSET_S or name == first_name:
            continue
        if start_s >= last_s or abs(end_s - last_s - offset_s) < 0.1 * offset_s:
            message = (
                f"begins and ends {offset_s:.3g} s after {first_name}; expected one zero for all sensors of a "
                "recording; subtract the difference of the clocks, unless the sensor was started later"
            )
            problems.append(sensors[name].warning(message))
    return problems


def held_values(spec: ModalitySpec, recorded: Recorded) -> list[Problem]:
    """Files of a slower sensor, written at a higher rate: most rows repeat the row before."""
    values = recorded.blocks
    if spec.group < 2 or len(values) < 50:
        return []
    changed = np.flatnonzero((values[1:] != values[:-1]).any(1))
    share = 1 - (len(changed) + 1) / len(values)
    if len(changed) < 3 or share < 0.45:
        return []
    # Rows of a sensor at rest repeat by chance, which gives many runs of one row.
    if float((np.diff(changed) == 1).mean()) > 0.2:
        return []
    message = (
        f"{share:.0%} of the samples repeat the one before: the sensor seems to give "
        f"{(1 - share) * spec.rate_hz:.3g} Hz, not {spec.rate_hz:g}; leave the repeated rows out"
    )
    return [recorded.warning(message)]
