"""Makes a data set of recordings: one declaration per sensor, one clock per recording, labels and names."""

from collections import Counter
from dataclasses import replace
from statistics import median_low

import numpy as np

from edgehar.data.importing.names import file_name
from edgehar.data.importing.takes import Remarks, Samples, Take
from edgehar.data.recordings.timestamps import timestamp_problems
from edgehar.data.recordings.window import frames_per_step, window_of
from edgehar.errors import DataError
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats, Segment, natural_key
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.sampling_rate import sampling_rate_hz

UNNAMED_SUBJECT = "p1"
OTHER_RATE = 0.1
"""Share by which a recording's rate may differ from its sensor's without a remark."""
OWN_RATE = 0.002
"""Share by which the rate of a recording without times may differ before it gets times of its own."""
LARGE_VALUE, SIGNAL_STEPS = 1e5, 20
"""From this value on, a channel's standard deviation should be so many steps of single precision."""
MAX_RESTART_S = 3600.0
"""Sensors of one recording whose times are further apart are on different clocks."""


def rounded_rate(rate_hz: float) -> float:
    """A rate without the errors of clocks: a multiple of 5 Hz within 1.5 %, a whole number within 2 %, or 3 digits."""
    for step, share in ((5, 0.015), (1, 0.02)):
        near = step * round(rate_hz / step)
        if near and abs(near - rate_hz) <= share * rate_hz:
            return float(near)
    return float(f"{rate_hz:.3g}")


def _kept_samples(takes: list[Take], sensors: tuple[str, ...], remarks: Remarks) -> list[Take]:
    """The recordings without sensors that were not chosen or that differ from the sensor's others."""
    counted: dict[str, Counter[tuple[object, ...]]] = {}

    def form(samples: Samples) -> tuple[object, ...]:
        return samples.columns, samples.joints, samples.group, samples.values.shape[1]

    for take in takes:
        for samples in take.samples:
            counted.setdefault(samples.sensor, Counter())[form(samples)] += 1
    missing = [name for name in sensors if name not in counted]
    if missing:
        raise DataError(f"--sensors {','.join(missing)}: not found; expected some of {', '.join(counted)}")
    kept: list[Take] = []
    for take in takes:
        own: list[Samples] = []
        for samples in take.samples:
            usual = counted[samples.sensor].most_common(1)[0][0]
            if sensors and samples.sensor not in sensors:
                continue
            if form(samples) != usual:
                what = f"{samples.values.shape[1]} channels ({', '.join(samples.columns or samples.joints)[:80]})"
                remarks.add(take.source, f"{samples.sensor}: {what} unlike the other recordings; left out")
            elif samples.times_s is not None and not np.ptp(samples.times_s):
                remarks.add(take.source, f"{samples.sensor}: a single time; expected at least two; left out")
            elif samples.sensor in [other.sensor for other in own]:
                remarks.add(take.source, f"{samples.sensor}: twice in one recording; the second left out")
            else:
                own.append(samples)
        if own:
            kept.append(replace(take, samples=tuple(own)))
    return kept


def _on_one_clock(take: Take, remarks: Remarks) -> Take:
    """The recording with times from its first sample; a sensor on another clock is left out."""
    starts = [float(samples.times_s[0]) for samples in take.samples if samples.times_s is not None]
    if not starts:
        return take
    usual_s = float(np.median(starts))
    near = [start_s for start_s in starts if abs(start_s - usual_s) <= MAX_RESTART_S] or starts[:1]
    zero_s = min(near)
    kept: list[Samples] = []
    for samples in take.samples:
        if samples.times_s is None:
            kept.append(samples)
        elif float(samples.times_s[0]) in near:
            kept.append(replace(samples, times_s=np.round(samples.times_s - zero_s, 9)))
        else:
            apart = f"{samples.sensor}: starts at {samples.times_s[0]:.6g} s, another sensor at {zero_s:.6g} s"
            remarks.add(take.source, f"{apart}; expected one clock; left out")
    end_s = max(float(samples.times_s[-1]) for samples in kept if samples.times_s is not None)
    spans = [(max(start - zero_s, 0.0), min(end - zero_s, end_s), label) for start, end, label in take.spans]
    inside = tuple((round(start, 9), round(end, 9), label) for start, end, label in spans if start < end)
    return replace(take, samples=tuple(kept), spans=inside)


def _cut(take: Take) -> list[Take]:
    """A clip for each span of a recording with a label column."""
    clips: list[Take] = []
    for number, (start_s, end_s, label) in enumerate(take.spans, 1):
        parts: list[Samples] = []
        for samples in take.samples:
            if samples.times_s is not None:
                rows = (samples.times_s >= start_s) & (samples.times_s < end_s)
                parts.append(replace(samples, values=samples.values[rows], times_s=samples.times_s[rows] - start_s))
        kept = tuple(part for part in parts if len(part.values) > 1)
        if kept:
            clips.append(replace(take, name=f"{take.name}_{number}", label=label, samples=kept, spans=()))
    return clips or [take]


def _rates(takes: list[Take], remarks: Remarks) -> dict[str, float]:
    """Rate of each sensor: stated, or the median of what its recordings' times say; remarks on other ones."""
    found: dict[str, list[tuple[str, float]]] = {}
    for take in takes:
        for samples in take.samples:
            rate = samples.rate_hz
            if rate is None and samples.times_s is not None:
                rate = sampling_rate_hz(samples.times_s)
            if rate is not None:
                found.setdefault(samples.sensor, []).append((take.source, rate))
    rates: dict[str, float] = {}
    for sensor, own in found.items():
        rates[sensor] = rounded_rate(median_low([rate for _, rate in own]))
        for source, rate in own:
            if abs(rate - rates[sensor]) > OTHER_RATE * rates[sensor]:
                what = f"{sensor}: keeps its own times; rate_hz is {rates[sensor]:g}"
                remarks.add(f"{source} ({rate:.3g} Hz)", what)
    return rates


def _with_own_times(take: Take, rates: dict[str, float]) -> Take:
    """The recording with times where a sensor has none and another rate than most, so that motion keeps its speed."""

    def timed(samples: Samples) -> Samples:
        if samples.times_s is not None or samples.rate_hz is None:
            return samples
        usual_hz = rates[samples.sensor]
        if abs(samples.rate_hz - usual_hz) <= OWN_RATE * usual_hz:
            return samples
        return replace(samples, times_s=np.arange(len(samples.values)) / samples.rate_hz)

    return replace(take, samples=tuple(map(timed, take.samples)))


def _length_s(take: Take, rates: dict[str, float], kind: str) -> float:
    """Seconds from the start to the last sample; of clips without times, to the end of the last sample."""
    end = 1 if kind == "continuous" else 0
    return max(
        (len(samples.values) - end) / rates[samples.sensor] if samples.times_s is None else float(samples.times_s[-1])
        for samples in take.samples
    )


def _specs(takes: list[Take], rates: dict[str, float], step_s: float, remarks: Remarks) -> tuple[ModalitySpec, ...]:
    """The declaration of each sensor, in the order of their first appearance."""
    by_sensor: dict[str, list[Samples]] = {}
    for take in takes:
        for samples in take.samples:
            by_sensor.setdefault(samples.sensor, []).append(samples)
    specs: list[ModalitySpec] = []
    for sensor, own in by_sensor.items():
        units = [unit for unit, _ in Counter(samples.unit for samples in own if samples.unit).most_common()]
        if len(units) > 1:
            raise DataError(f"{sensor}: units {', '.join(units)}; expected one; import the recordings of one unit")
        if not units:
            remarks.add(sensor, 'unit not stated; write it to "unit" in recordings.json')
        columns = own[0].columns if len(set(own[0].columns)) == len(own[0].columns) else ()
        lost = any(_loses_single_joints(samples) for samples in own)
        specs.append(ModalitySpec(
            sensor, own[0].values.shape[1], units[0] if units else "unknown", rates[sensor],
            frames_per_step(rates[sensor], step_s), own[0].group, own[0].joints, own[0].parents, own[0].vertical,
            columns, lost_joints=lost,
        ))  # fmt: skip
    return tuple(specs)


def _with_usable_times(take: Take, specs: tuple[ModalitySpec, ...], remarks: Remarks) -> Take:
    """The recording without sensors whose times `edgehar data check` would refuse."""
    kept: list[Samples] = []
    for samples in take.samples:
        spec = next(spec for spec in specs if spec.name == samples.sensor)
        problems = [] if samples.times_s is None else timestamp_problems(samples.times_s, spec)
        if problems:
            remarks.add(take.source, f"{samples.sensor}: {problems[0][1]}; left out")
        else:
            kept.append(samples)
    return replace(take, samples=tuple(kept))


def _loses_single_joints(samples: Samples) -> bool:
    """Whether a joint is lost in a sample that has others."""
    lost = np.isnan(samples.values)
    return bool(samples.joints) and bool((lost.any(1) & ~lost.all(1)).any())


def _valid(samples: Samples) -> Bools:
    """(T,) whether a sample can be used: any joint of a skeleton, every channel of another sensor."""
    lost = np.isnan(samples.values).sum(1)  # (T,)
    return lost < samples.values.shape[1] if samples.joints else lost == 0


def _values(samples: Samples) -> Floats:
    """(T, C) with 0 in samples that cannot be used, as everywhere in edgehar."""
    return np.where(_valid(samples)[:, None], samples.values, 0).astype(np.float32)


def _remark_precision(take: Take, remarks: Remarks) -> None:
    """Name channels whose signal is lost in single precision, in which values are written: small on a large offset."""
    for samples in take.samples:
        for channel in range(samples.values.shape[1]):
            own = samples.values[~np.isnan(samples.values[:, channel]), channel]
            if not len(own) or np.abs(own).max() < LARGE_VALUE:
                continue
            step, deviation = 2.0**-23 * float(np.abs(own).max()), float(own.std())
            if own.min() < own.max() and deviation < SIGNAL_STEPS * step:
                name = (samples.columns or tuple(map(str, range(1, samples.values.shape[1] + 1))))[channel]
                what = f"{samples.sensor}: column {name!r} loses its signal in single precision"
                found = f"values near {float(own.mean()):.3g} vary by {deviation:.2g}, steps of {step:.2g}"
                remarks.add(f"{take.source} ({found})", f"{what}; subtract the offset")


def _clip(take: Take, name: str, labels: tuple[str, ...]) -> Clip:
    single = {label for _, _, label in take.spans}
    label, spans = take.label, take.spans
    ends_s = [float(samples.times_s[-1]) for samples in take.samples if samples.times_s is not None]
    if not label and len(spans) == 1 and len(single) == 1 and ends_s and spans[0][1] - spans[0][0] >= max(ends_s):
        label, spans = spans[0][2], ()
    return Clip(
        name=name,
        subject=take.subject or UNNAMED_SUBJECT,
        trial=take.trial,
        signals={samples.sensor: _values(samples) for samples in take.samples},
        valid={samples.sensor: _valid(samples) for samples in take.samples},
        label=labels.index(label) if label else None,
        times_s={samples.sensor: samples.times_s for samples in take.samples if samples.times_s is not None},
        segments=() if label else tuple(Segment(start, end, labels.index(own)) for start, end, own in spans),
    )


def assemble(takes: list[Take], name: str, kind: str, sensors: tuple[str, ...], remarks: Remarks) -> Dataset:
    """A data set of the recordings that can be used; what cannot is remarked and left out.

    Args:
        takes: the recordings.
        name: name of the data set.
        kind: "clips" or "continuous".
        sensors: the only sensors to import, or empty.
        remarks: gets a line for each thing that was left out or assumed.

    Raises:
        DataError: no recording is left, a chosen sensor does not exist, or a sensor has several units.
    """
    takes = [_on_one_clock(take, remarks) for take in _kept_samples(takes, sensors, remarks)]
    rates = _rates(takes, remarks)
    takes = [_with_own_times(take, rates) for take in takes]
    if kind == "clips":
        takes = [clip for take in takes for clip in (_cut(take) if take.spans else [take])]
    lengths = {id(take): _length_s(take, rates, kind) for take in takes}
    spans_s = [end_s - start_s for take in takes for start_s, end_s, _ in take.spans]
    window = window_of(kind, list(lengths.values()), spans_s, {})
    shortest_s = window.length_s if kind == "continuous" else 0.0
    too_short = f"lasts less than a window of {window.length_s:g} s; left out (--kind clips takes short ones)"
    kept: list[Take] = []
    for take in takes:
        if lengths[id(take)] < shortest_s:
            remarks.add(take.source, too_short)
        elif kind == "clips" and min(len(samples.values) for samples in take.samples) < 2:
            remarks.add(take.source, "a single sample; left out")
        else:
            kept.append(take)
    if not kept:
        raise DataError(f"no recording could be imported: {remarks.causes()}")
    found = {take.label for take in kept} | {label for take in kept for _, _, label in take.spans}
    labels = tuple(sorted(found - {""}, key=natural_key))
    folded = Counter(label.casefold() for label in labels)
    if max(folded.values(), default=1) > 1:
        alike = ", ".join(label for label in labels if folded[label.casefold()] > 1)
        remarks.add("labels", f"{alike} differ in capital letters only; rename them if they are the same")
    for take in kept:
        if not take.subject:
            remarks.add(take.source, f"no subject: counts as person {UNNAMED_SUBJECT!r}; name people with --names")
        if not take.label and not take.spans:
            remarks.add(take.source, "no label: used for pretraining only; name labels with --names or --label")
    specs = _specs(kept, rates, window.step_s, remarks)
    taken: set[str] = set()
    clips: list[Clip] = []
    for take in kept:
        usable = _with_usable_times(take, specs, remarks)
        if usable.samples and _length_s(usable, rates, kind) < shortest_s:
            remarks.add(take.source, too_short)
        elif usable.samples:
            _remark_precision(usable, remarks)
            clips.append(_clip(usable, file_name(take.name, taken), labels))
            taken.add(clips[-1].name)
    if not clips:
        raise DataError(f"no recording could be imported: {remarks.causes()}")
    return Dataset(DatasetInfo(name, specs, labels, window), tuple(clips))
