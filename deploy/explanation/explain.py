"""Why a package gave its answer: chooses a window of a recording and explains its prediction."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from edgehar.explanation.choice import Choice, Chosen, choose_window
from edgehar.explanation.probe import Probe
from edgehar.explanation.result import Explanation
from edgehar.explanation.saliency import METHODS
from edgehar.signals.windows import Windows

TIMED_WINDOWS = 15
"""Forward passes of the window that are timed, to express the time of an explanation in them."""


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
    choice = Choice(label, window, at_s)
    return explain_windows(recognizer, recognizer.windows_of(signals, times_s), choice, method)


def explain_windows(
    recognizer: Recognizer, batches: Iterable[Windows], choice: Choice, method: str = "tsr"
) -> Explanation:
    """`explain` one of the prepared windows of a recording; nothing is read of it before the choice is checked."""
    manifest = recognizer.manifest
    if method not in METHODS:
        raise ConfigError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    choice.check(manifest.labels)

    def probabilities(windows: Windows) -> Any:
        return recognizer.probabilities(recognizer.predict_prepared(windows))

    chosen = choose_window(batches, choice, manifest.labels, probabilities)
    return explain_window(recognizer, chosen, method, choice.label)


def _seconds_per_window(recognizer: Recognizer, windows: Windows) -> float:
    """Median processor time of a forward pass of the window, after one that is not counted."""
    times: list[float] = []
    for _ in range(TIMED_WINDOWS + 1):
        started_s = time.process_time()
        recognizer.predict_prepared(windows)
        times.append(time.process_time() - started_s)
    return float(np.median(times[1:]))


def explain_window(
    recognizer: Recognizer, chosen: Chosen, method: str = "tsr", label: str | None = None
) -> Explanation:
    """Explain one prepared window.

    The cost compares it with a forward pass of that window: by multiply-adds, and by processor time, which other
    programs on the machine disturb less than the time that passes.
    """
    manifest = recognizer.manifest
    temperature = 1.0 if manifest.calibration is None else manifest.calibration.temperature
    index = None if label is None else manifest.labels.index(label)
    window_s = _seconds_per_window(recognizer, chosen.windows)
    started_s, processor_s = time.perf_counter(), time.process_time()
    probe = Probe(recognizer, chosen.windows, manifest.modalities, index, temperature)
    saliency = METHODS[method](probe)
    seconds, processor_s = time.perf_counter() - started_s, time.process_time() - processor_s
    probabilities = recognizer.probabilities(probe.logits * np.float32(temperature))
    cost, macs = probe.cost, manifest.macs
    arithmetic = cost.encoder_steps * macs["step"] + cost.head_windows * macs["head"]
    return Explanation.of(
        chosen,
        saliency,
        manifest.info,
        manifest.normalisation,
        probe.class_index,
        recognizer.prediction(probabilities, 0.0, 0.0).label,
        float(probabilities[probe.class_index]),
        probe.evidence,
        {
            "encoder_steps": cost.encoder_steps,
            "head_windows": cost.head_windows,
            "calls": cost.calls,
            "windows_of_arithmetic": arithmetic / macs["window"] if macs["window"] else 0.0,
            "seconds": seconds,
            "windows_of_processor_time": processor_s / window_s if window_s > 0 else 0.0,
        },
    )
