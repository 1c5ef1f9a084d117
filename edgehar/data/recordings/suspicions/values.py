"""Suspicious values: zeros for lost samples, frozen sensors, constant channels, rails, codes for missing, copies."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, channels_text, median
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec

MIN_SAMPLES = 20
MIN_LEVELS = 50
"""Signals of fewer different values are switches or counts."""
FROZEN_S, FROZEN_RATIO = 1.0, 5.0
"""Shortest run of one sample that is suspicious, and how many times as long as all shorter runs it is."""
MAX_LISTED = 6
COPY_ROWS = 256
MIN_CODES = 3
CODE_RATIO, SPIKE_RATIO = 5.0, 50.0
"""How many times as far from the median as all others a value is that occurs often, and one that occurs once."""
CODES = {99.0, 999.0, 9999.0, 99999.0, 32767.0, 32768.0, 65535.0}
"""Numbers that loggers write for a lost sample, without their sign."""


def zero_samples(spec: ModalitySpec, recorded: Recorded) -> tuple[Recorded, list[Problem]]:
    """Samples that are 0 in every channel in a signal that is otherwise far from 0.

    Returns:
        The recording without these samples, and the warning about them, if any.
    """
    values = recorded.blocks
    zero = ~values.any(1)
    if spec.channels < 2 or zero.all() or not zero.any():
        return recorded, []
    size = np.sort(np.linalg.norm(values[~zero].astype(np.float64), axis=1))
    # A sensor that comes close to 0, such as a gyroscope at rest, may well be exactly 0.
    if not spec.is_skeleton and size[len(size) // 20] < 0.2 * size[len(size) // 2]:
        return recorded, []
    lost = ~recorded.values.any(1) & recorded.valid
    rows = np.flatnonzero(lost)
    message = (
        f"{len(rows):,} of {len(recorded.values):,} samples are 0 in every channel, the first is sample {rows[0] + 1}; "
        "if they are lost, remove the rows or set valid to 0"
    )
    return replace(recorded, valid=recorded.valid & ~lost), [recorded.warning(message)]


def frozen_samples(spec: ModalitySpec, recorded: Recorded) -> tuple[Recorded, list[Problem]]:
    """Long runs of one sample in a signal that otherwise changes all the time: the sensor had stopped.

    Returns:
        The recording without these runs, and the warning about them, if any.
    """
    values, rate_hz = recorded.values, recorded.true_rate_hz or spec.rate_hz
    if spec.group < 2 or len(values) < MIN_SAMPLES:
        return recorded, []
    changes = np.flatnonzero((np.nan_to_num(values[1:]) != np.nan_to_num(values[:-1])).any(1)) + 1
    starts = np.concatenate([[0], changes])
    runs = np.diff(np.concatenate([starts, [len(values)]]))
    long = (runs >= max(FROZEN_S * rate_hz, MIN_SAMPLES)) & recorded.valid[starts] & values[starts].any(1)
    if not long.any() or long.all() or runs[~long].max() * FROZEN_RATIO > runs[long].min():
        return recorded, []
    frozen = np.repeat(long, runs)
    if (~frozen).sum() < MIN_SAMPLES:  # a constant signal, see `constant_channels`
        return recorded, []
    message = (
        f"{int(frozen.sum()):,} of {len(values):,} samples repeat the one before for {FROZEN_S:g} s or longer, the "
        f"first is sample {starts[long.argmax()] + 1}; if the sensor had stopped, remove the rows or set valid to 0"
    )
    return replace(recorded, valid=recorded.valid & ~frozen), [recorded.warning(message)]


def _listed(values: Floats) -> str:
    """Values in the order of the channels, each once; of many the first."""
    shown = [f"{value:g}" for value in dict.fromkeys((values + 0.0).tolist())]  # + 0.0 makes 0 of -0
    more = f" and {len(shown) - MAX_LISTED} more values" if len(shown) > MAX_LISTED else ""
    return ", ".join(shown[:MAX_LISTED]) + more


def constant_channels(folder: str, spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Channels that never change in any recording, or in one although they do in the others."""
    used = [each for each in recorded if len(each.blocks) >= MIN_SAMPLES]
    if not used:
        return []
    constant = np.array([(each.blocks == each.blocks[0]).all(axis=0) for each in used])  # (recordings, C)
    level = np.array([each.blocks[0] for each in used])
    never = constant.all(0) & (level == level[0]).all(0)
    if spec.is_skeleton:  # all joints may be relative to the root
        never[spec.root * spec.group : (spec.root + 1) * spec.group] = False
    problems: list[Problem] = []
    if never.any():
        channels = np.flatnonzero(never).tolist()
        shown = _listed(level[0][never])
        where = "every recording" if len(used) > 1 else "the only recording"
        verb, pronoun = ("are", "them") if len(channels) > 1 else ("is", "it")
        message = f"{channels_text(spec, channels)} {verb} {shown} in {where}; leave {pronoun} out"
        problems.append(Problem(folder, 0, message, is_warning=True))
    changing = ~constant.mean(0).astype(bool) | (constant.mean(0) < 0.5)
    if spec.group < 2:
        return problems
    for each, stuck, value in zip(used, constant & changing, level, strict=True):
        if stuck.any():
            channels = np.flatnonzero(stuck).tolist()
            shown = _listed(value[stuck])
            verb = "stay" if len(channels) > 1 else "stays"
            message = f"{channels_text(spec, channels)} {verb} at {shown} throughout, but not in the other recordings; "
            problems.append(each.warning(message + "leave the file out if the sensor failed"))
    return problems


def rails(spec: ModalitySpec, recorded: Recorded) -> list[Problem]:
    """Peaks cut off at a largest or smallest value, several samples in a row."""
    values = recorded.blocks
    if spec.is_skeleton or spec.group < 2 or len(values) < MIN_SAMPLES:
        return []
    ordered, count = np.sort(values, axis=0), len(values)
    cut: list[int] = []
    limits: set[float] = set()
    for row, limit in ((count - 1, ordered[-1]), (0, ordered[0])):
        at = values == limit  # (N, C)
        often = at.sum(0)
        in_row = (at[2:] & at[1:-1] & at[:-2]).sum(0)
        for channel in np.flatnonzero(
            (in_row >= 2) & (often >= max(6, 0.002 * count)) & (often < 0.5 * count)
        ).tolist():
            steps = np.diff(np.unique(ordered[:, channel]))
            far = abs(float(ordered[row, channel]) - float(ordered[count // 2, channel])) > 30 * float(steps.min())
            if len(steps) >= MIN_LEVELS and far:
                cut.append(channel)
                limits.add(float(limit[channel]))
    if not cut:
        return []
    shown = ", ".join(f"{limit:.4g}" for limit in sorted(limits)[:4])
    message = f"{channels_text(spec, set(cut))}: peaks are cut off at {shown}; choose a larger range of the sensor"
    return [recorded.warning(message)]


def outlying_codes(spec: ModalitySpec, recorded: Recorded) -> list[Problem]:
    """One value far outside all others that occurs several times, such as -999 for a lost sample."""
    values = recorded.blocks
    if len(values) < MIN_SAMPLES:
        return []
    ordered = np.sort(values, axis=0)
    with np.errstate(over="ignore"):
        wide = ordered[-1].astype(np.float64) - ordered[0]
    usual = _inner_range(ordered)
    for channel in np.flatnonzero((wide > 3 * usual) & (usual > 0)).tolist():
        signal = values[:, channel].astype(np.float64)
        signal = signal[np.isfinite(signal)]
        distance = np.abs(signal - median(signal.tolist()))
        farthest = float(distance.max(initial=0.0))
        code = signal[distance.argmax()] if len(signal) else 0.0
        rest = distance[signal != code]
        count = len(signal) - len(rest)
        rest_farthest = float(rest.max(initial=0.0))
        is_code = abs(code) in CODES or count >= MIN_CODES or farthest > SPIKE_RATIO * rest_farthest
        if is_code and count < 0.5 * len(signal) and farthest > CODE_RATIO * rest_farthest:
            often = f"{count:,} samples" if count > 1 else f"sample {int(distance.argmax()) + 1}"
            message = (
                f"{channels_text(spec, [channel])} is {code:g} in {often}, far from all other values; if it stands for "
                "a lost sample, remove the rows or set valid to 0"
            )
            return [recorded.warning(message)]
    return []


def _inner_range(ordered: Floats) -> NDArray[np.float64]:
    """Distance between the quartiles of each channel."""
    count = len(ordered)
    return ordered[3 * count // 4].astype(np.float64) - ordered[count // 4]


def copies(recorded: Sequence[Recorded]) -> list[Problem]:
    """Recordings that begin with the same samples as another one, of any sensor."""
    first_of: dict[bytes, Recorded] = {}
    problems: list[Problem] = []
    for each in recorded:
        rows = each.values[:COPY_ROWS]
        if len(rows) < MIN_SAMPLES or not np.ptp(np.nan_to_num(rows), axis=0).any():
            continue
        digest = hashlib.blake2b(np.ascontiguousarray(rows).tobytes(), digest_size=16).digest()
        first = first_of.setdefault(digest, each)
        if first is not each:
            message = f"the same samples as {first.file}; remove one: a copy in training and test counts as recognised"
            problems.append(each.warning(message))
    return problems


def other_scale(spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Recordings whose values are hundreds of times as large or small as in all others: millivolts among volts."""
    sizes = [(each, _size(each, spec)) for each in recorded if len(each.blocks)]
    problems: list[Problem] = []
    if len(sizes) < 3:
        return problems
    for group in range(spec.groups if not spec.is_skeleton else 0):
        usual = median([size[group] for _, size in sizes])
        within = [usual / 10 < size[group] < usual * 10 for _, size in sizes]
        if usual <= 0 or sum(within) < 0.6 * len(sizes):
            continue
        for each, size in sizes:
            ratio = size[group] / usual
            if ratio > 200 or 0 < ratio < 1 / 200:
                times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
                channels = channels_text(spec, range(group * spec.group, (group + 1) * spec.group))
                message = f"{channels}: values are {times} those of the other recordings; expected one unit; convert it"
                problems.append(each.warning(message))
    return problems


def _size(recorded: Recorded, spec: ModalitySpec) -> list[float]:
    """Root-mean-square of each group."""
    square = (recorded.blocks.astype(np.float64) ** 2).mean(0).reshape(spec.groups, spec.group)
    return np.sqrt(square.sum(1)).tolist()
