"""A recording as a whole: arrays as a clip, or of any length, read twice: to check it, and range by range."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from edgehar.deploy.samples import ReadParts, as_samples, as_times, sample_parts
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, DatasetInfo, all_true
from edgehar.signals.coarse_clock import spread
from edgehar.signals.parts import ForwardSamples
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.steps import ContinuousSteps
from edgehar.signals.windows import Windows, join, too_short

BATCH_STEPS = 4096
"""Steps per batch of windows; limits memory."""
NO_TIMES = np.empty(0)


class Span(NamedTuple):
    """First and last time of a sensor's samples, their number, and whether one of them is usable."""

    first_s: float
    last_s: float
    samples: int
    is_usable: bool


def read_span(read: ReadParts, name: str, info: DatasetInfo) -> Span:
    """Read and check all samples of a sensor; raises DataError as `edgehar.deploy.samples.sample_parts`."""
    first_s, last_s, count, is_usable = 0.0, 0.0, 0, False
    for part in sample_parts(read, info.modality(name)):
        first_s, last_s = first_s if count else float(part.times_s[0]), float(part.times_s[-1])
        count, is_usable = count + len(part.times_s), is_usable or bool(part.valid.any())
    return Span(first_s, last_s, count, is_usable)


def start_of(spans: Mapping[str, Span], info: DatasetInfo) -> float:
    """Time of the first sample; raises DataError without a usable sample, or for an implausible length."""
    if not any(span.is_usable for span in spans.values()):
        expected = ", ".join(spec.name for spec in info.modalities)
        raise DataError(
            f"no usable sample of {', '.join(spans) or 'any modality'}; "
            f"expected at least one of {expected}; check the recording"
        )
    # A sensor of a pre-cut clip may have no times: it has 0 samples.
    timed = {name: span for name, span in spans.items() if span.samples}
    start_s = min((span.first_s for span in timed.values()), default=0.0)
    span_s = max((span.last_s for span in timed.values()), default=0.0) - start_s
    max_span_s = max((info.modality(name).max_span_s(span.samples) for name, span in timed.items()), default=0.0)
    if span_s > max_span_s:
        raise DataError(
            f"times span {span_s:g} s with few samples; expected seconds on one clock, {max_span_s:g} s at most; "
            "convert them, or cut the recording where the clock was set or nothing was recorded"
        )
    return start_s


def as_clip(signals: Mapping[str, Any], times_s: Mapping[str, Any] | None, info: DatasetInfo) -> tuple[Clip, float]:
    """Arrays as a clip that starts at time 0, and its start on their clock; raises DataError as `start_of`."""
    sliding = info.window.kind == "sliding"
    clip, spans = Clip("recording", "", "", {}, {}), dict[str, Span]()
    for spec in info.modalities:
        if spec.name not in signals:
            continue
        values, valid = as_samples(signals[spec.name], spec)
        if times_s is not None and spec.name in times_s:
            times, keep = spread(as_times(times_s[spec.name], len(values), spec.name), values, spec.rate_hz)
            if not all_true(keep):
                values, valid, times = values[keep], valid[keep], times[keep]
            clip.times_s[spec.name] = times
        elif sliding:
            clip.times_s[spec.name] = np.arange(len(values)) / spec.rate_hz
        times = clip.times_s.get(spec.name, NO_TIMES)
        bounds = (float(times[0]), float(times[-1])) if len(times) else (0.0, 0.0)
        spans[spec.name] = Span(*bounds, len(times), bool(valid.any()))
        if spans[spec.name].is_usable:
            clip.signals[spec.name], clip.valid[spec.name] = values, valid
    start_s = start_of(spans, info)
    for name, times in clip.times_s.items():
        clip.times_s[name] = times - start_s
    return clip, start_s


def open_long(
    parts: Mapping[str, ReadParts], info: DatasetInfo, normalisation: Normalisation
) -> tuple[ContinuousSteps, float]:
    """The steps of a recording, whose ranges must be read in order, and the time of its first sample.

    Args:
        parts: modality -> reads its samples, from the start on each call.
        info: the sensors and the window.
        normalisation: scales of the features.

    Raises:
        DataError: as `edgehar.deploy.recognizer.Recognizer.predict`.
    """
    spans = {name: read_span(read, name, info) for name, read in parts.items()}
    start_s = start_of(spans, info)
    samples = {
        name: ForwardSamples(sample_parts(read, info.modality(name)), start_s)
        for name, read in parts.items()
        if spans[name].is_usable
    }
    last_s = max(span.last_s for span in spans.values()) - start_s
    return ContinuousSteps(samples, last_s, info, normalisation), start_s


def usable_batches(cut: Callable[[int], Iterator[Windows]], info: DatasetInfo, name: str) -> Iterator[Windows]:
    """The windows with a usable step, in batches of BATCH_STEPS steps; raises DataError if there is none.

    Args:
        cut: cuts the recording into windows, so many at a time.
        info: the sensors and the window.
        name: of the recording, for messages.
    """
    window = info.window
    batch, most = (max(1, BATCH_STEPS // steps) for steps in (window.steps, max(window.steps, window.hop)))
    waiting: Windows | None = None
    cut_any = yielded = False
    for windows in cut(most):
        cut_any = True
        if not all(all_true(valid) for valid in windows.valid.values()):
            windows = windows.take(np.any([valid.any(axis=1) for valid in windows.valid.values()], axis=0))
        waiting = windows if waiting is None else join([waiting, windows])
        if len(waiting) >= batch:
            yield waiting.take(np.arange(batch))
            yielded, waiting = True, waiting.take(np.arange(batch, len(waiting)))
    if waiting is not None and len(waiting):
        yield waiting
    elif not cut_any:
        raise too_short(info)
    elif not yielded:
        raise DataError(
            f"{name}: no usable step, as samples are lost or too far apart; expected usable samples of "
            f"at least one of {', '.join(spec.name for spec in info.modalities)}; check the recording"
        )
