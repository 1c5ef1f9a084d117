"""Why a package gave its answer: chooses a window of a recording and explains its prediction."""

import time
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np

from edgehar.checks import MAX_SHOWN
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError, shortened
from edgehar.explanation.probe import Probe
from edgehar.explanation.result import Explanation
from edgehar.explanation.saliency import METHODS
from edgehar.signals.windows import Windows

TIMED_WINDOWS = 5
"""Forward passes of one window that are timed, to express the cost of an explanation in them."""


class Chosen(NamedTuple):
    """A window of a recording, as a batch of one, and its number."""

    windows: Windows
    number: int


def explain(
    recognizer: Recognizer,
    signals: Mapping[str, Any],
    times_s: Mapping[str, Any] | None = None,
    *,
    method: str = "tsr",
    label: str | None = None,
    window: int | None = None,
    at_s: float | None = None,
) -> Explanation:
    """Explain the prediction for one window of a recording.

    Args:
        recognizer: the opened package.
        signals: as in `Recognizer.predict`.
        times_s: as in `Recognizer.predict`.
        method: "tsr" (temporal saliency rescaling) or "occlusion"; see `edgehar.explanation.saliency`.
        label: the activity to explain; the most probable one of the window if None.
        window: number of the window, from 0; the windows are those of `Recognizer.predict_windows`.
        at_s: a time in the window, on the recording's clock; of several windows the one whose middle is nearest.
            Without `window` and `at_s`, the window with the highest score of the label.

    Raises:
        ConfigError: an unknown method or label, or both `window` and `at_s`.
        DataError: as `Recognizer.predict`, or no window has this number or includes this time.
    """
    check_choice(recognizer, method, label, window, at_s)
    chosen = choose_window(recognizer, recognizer.windows_of(signals, times_s), label, window, at_s)
    return explain_window(recognizer, chosen, method, label)


def check_choice(
    recognizer: Recognizer, method: str, label: str | None, window: int | None, at_s: float | None
) -> None:
    """Raise ConfigError for an unknown method or label, an impossible number or time, or a number and a time."""
    if method not in METHODS:
        raise ConfigError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    labels = recognizer.manifest.labels
    if label is not None and label not in labels:
        raise ConfigError(f"label {repr(label)[:MAX_SHOWN]}: expected one of the package's: {shortened(labels, 40)}")
    if window is not None and at_s is not None:
        raise ConfigError(f"window {window} and time {at_s} s: expected one of the two; omit the other")
    if window is not None and (isinstance(window, bool) or not isinstance(cast(Any, window), Integral) or window < 0):
        raise ConfigError(f"window {window!r}: expected a whole number from 0")
    if at_s is not None and not np.isfinite(at_s):
        raise ConfigError(f"time {at_s} s: expected a finite number of seconds")


def choose_window(
    recognizer: Recognizer, batches: Iterable[Windows], label: str | None, window: int | None, at_s: float | None
) -> Chosen:
    """The window of a recording to explain; see `explain`. Windows are examined in batches and not kept.

    Raises:
        DataError: no window has this number or includes this time; the error of the recording.
    """
    best: Chosen | None = None
    best_value = -np.inf
    count, first_s, last_s = 0, np.inf, -np.inf
    for windows in batches:
        first_s, last_s = min(first_s, float(windows.start_s.min())), max(last_s, float(windows.end_s.max()))
        values = _values(recognizer, windows, label, None if window is None else window - count, at_s)
        row = int(values.argmax())
        if values[row] > best_value:
            best, best_value = Chosen(windows.take(np.array([row])), count + row), float(values[row])
        count += len(windows)
        if window is not None and best is not None:
            return best
    if best is not None:
        return best
    if window is not None:
        raise DataError(f"window {window}: the recording has {count} windows; expected a number from 0 to {count - 1}")
    raise DataError(
        f"time {at_s} s: in no window with a usable step; expected a time within {first_s:.2f} to {last_s:.2f} s "
        "at which samples were recorded"
    )


def _values(recognizer: Recognizer, windows: Windows, label: str | None, window: int | None, at_s: float | None) -> Any:
    """How well each window of a batch (N,) fits the choice; -inf if it is not possible."""
    if window is not None:
        return np.where(np.arange(len(windows)) == window, 0.0, -np.inf)
    if at_s is not None:
        inside = (windows.start_s <= at_s) & (at_s <= windows.end_s)
        return np.where(inside, -np.abs((windows.start_s + windows.end_s) / 2 - at_s), -np.inf)
    probabilities = recognizer.probabilities(recognizer.predict_prepared(windows))
    return probabilities.max(axis=1) if label is None else probabilities[:, recognizer.manifest.labels.index(label)]


def _seconds_per_window(recognizer: Recognizer, windows: Windows) -> float:
    """Median time of a forward pass of the window, after one that is not counted."""
    times: list[float] = []
    for _ in range(TIMED_WINDOWS + 1):
        started_s = time.perf_counter()
        recognizer.predict_prepared(windows)
        times.append(time.perf_counter() - started_s)
    return float(np.median(times[1:]))


def explain_window(
    recognizer: Recognizer, chosen: Chosen, method: str = "tsr", label: str | None = None
) -> Explanation:
    """Explain one prepared window; the cost states its time relative to a forward pass of that window."""
    manifest = recognizer.manifest
    temperature = 1.0 if manifest.calibration is None else manifest.calibration.temperature
    index = None if label is None else manifest.labels.index(label)
    window_s = _seconds_per_window(recognizer, chosen.windows)
    started_s = time.perf_counter()
    probe = Probe(recognizer, chosen.windows, manifest.modalities, index, temperature)
    saliency = METHODS[method](probe)
    seconds = time.perf_counter() - started_s
    start_s, end_s = float(chosen.windows.start_s[0]), float(chosen.windows.end_s[0])
    probabilities = recognizer.probabilities(probe.logits * np.float32(temperature))
    cost, macs = probe.cost, manifest.macs
    arithmetic = cost.encoder_steps * macs["step"] + cost.head_windows * macs["head"]
    return Explanation(
        label=manifest.labels[probe.class_index],
        predicted=recognizer.prediction(probabilities, start_s, end_s).label,
        probability=float(probabilities[probe.class_index]),
        evidence=probe.evidence,
        window=chosen.number,
        start_s=start_s,
        end_s=end_s,
        specs=manifest.modalities,
        valid={spec.name: chosen.windows.valid[spec.name][0] for spec in manifest.modalities},
        features={
            spec.name: chosen.windows.features[spec.name][0] * _scale(recognizer, spec.name)
            for spec in manifest.modalities
        },
        saliency=saliency,
        cost={
            "encoder_steps": cost.encoder_steps,
            "head_windows": cost.head_windows,
            "calls": cost.calls,
            "windows_of_arithmetic": arithmetic / macs["window"] if macs["window"] else 0.0,
            "seconds": seconds,
            "windows_of_time": seconds / window_s if window_s > 0 else 0.0,
        },
    )


def _scale(recognizer: Recognizer, name: str) -> Any:
    """Factors (G, F) that turn the features of a sensor back into its units; drawings need them."""
    spec = recognizer.manifest.info.modality(name)
    return np.repeat(recognizer.manifest.normalisation.scale[name], spec.group, axis=1)
