"""Perturbations of numbers: units, axes, clocks, gaps, values and lost samples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.edgehar.data.good_folder import JOINTS, RATES, Doubles, Samples, write_samples
from tests.edgehar.data.perturbing import (
    GOOD,
    VICTIM,
    Perturbation,
    change_samples,
    chosen_rows,
    frozen,
    permuted,
    scaled,
    timed,
    written,
)


def units() -> Iterator[Perturbation]:
    """Other units in one file, in one person's files, in all files."""
    person = tuple(name for name in GOOD if name.startswith("cid"))
    acceleration, rate, body = slice(0, 3), slice(3, 6), slice(0, 30)
    factors = {
        "watch": [(1 / 9.81, acceleration), (102.0, acceleration), (1e3, acceleration), (57.3, rate), (1 / 57.3, rate)],
        "strap": [(9.81, acceleration), (1000.0, acceleration), (1e-3, acceleration)],
        "body": [(1000.0, body), (100.0, body), (1e-3, body), (39.37, body)],
    }  # fmt: skip
    cause = r"\|acceleration\| at rest|gravity turns as if|times (as large|those)|1/\S+ of|body is|bodies measure"
    for sensor, changes in factors.items():
        for factor, channels in changes:
            for scope, recordings in (("file", (VICTIM,)), ("person", person)):
                change = change_samples(sensor, scaled(factor, channels), recordings)
                yield Perturbation(f"{sensor} times {factor:.3g} in one {scope}", change, cause)
    for sensor, factor, channels in (
        ("watch", 1 / 9.81, acceleration), ("watch", 57.3, rate), ("strap", 9.81, acceleration), ("body", 1e3, body),
    ):  # fmt: skip
        change = change_samples(sensor, scaled(factor, channels), tuple(GOOD))
        yield Perturbation(f"{sensor} times {factor:.3g} in all files", change, "unit says", sensor)


def axes() -> Iterator[Perturbation]:
    """Axes exchanged or reversed."""
    elsewhere = "gravity (of person 'cid' )?points|gravity turns against"
    person = tuple(name for name in GOOD if name.startswith("cid"))
    orders: list[tuple[list[int], tuple[float, ...]]] = [
        ([1, 0, 2], ()), ([0, 2, 1], ()), ([1, 2, 0], ()), ([2, 0, 1], ()), ([0, 1, 2], (1.0, -1.0, 1.0)),
        ([0, 1, 2], (-1.0, -1.0, 1.0)), ([0, 1, 2], (-1.0, -1.0, -1.0)),
    ]  # fmt: skip
    for sensor in ("watch", "strap"):
        for order, signs in orders:
            for scope, recordings in (("file", (VICTIM,)), ("person", person)):
                change = change_samples(sensor, permuted(order, signs), recordings)
                where = VICTIM if scope == "file" else sensor
                yield Perturbation(f"{sensor} axes {order} {signs} in one {scope}", change, elsewhere, where)
    # Without the axis of gravity the mirrored rotation tells.
    yield Perturbation("watch x and z exchanged", change_samples("watch", permuted([2, 1, 0])), elsewhere)
    yield Perturbation("watch z reversed", change_samples("watch", permuted([0, 1, 2], (1.0, 1.0, -1.0))), elsewhere)
    for scope, recordings in (("file", (VICTIM,)), ("person", person)):
        change = change_samples("watch", permuted([3, 4, 5, 0, 1, 2]), recordings)
        yield Perturbation(f"watch acceleration and rate exchanged in one {scope}", change, "seem to be exchanged")
    change = change_samples("watch", permuted([3, 4, 5, 0, 1, 2]), tuple(GOOD))
    yield Perturbation("watch acceleration and rate exchanged in all", change, "seem to be exchanged", "watch")
    yield Perturbation("body y and z exchanged", change_samples("body", permuted([0, 2, 1])), "head and feet|body is")
    yield Perturbation("body y down", change_samples("body", permuted([0, 1, 2], (1.0, -1.0, 1.0))), "head is below")
    everywhere = change_samples("body", permuted([0, 2, 1]), tuple(GOOD))
    yield Perturbation("body y and z exchanged in all", everywhere, "vertical is 1", "body")
    everywhere = change_samples("body", permuted([0, 1, 2], (1.0, -1.0, 1.0)), tuple(GOOD))
    yield Perturbation("body y down in all", everywhere, "axis points down", "body")


def clocks() -> Iterator[Perturbation]:
    """Time in other units, coarse, offset, fast, slow or in another order."""
    for sensor, rate_hz in RATES.items():
        for factor in (1e3, 1e6, 1e9, 1 / 60, 2.0, 0.5, 1.25, 0.8):
            cause = "expected time in seconds|timestamps say|expected seconds|window"
            change = change_samples(sensor, timed(lambda times_s, factor=factor: times_s * factor))
            yield Perturbation(f"{sensor} time times {factor:.3g}", change, cause, "")
        for offset_s in (1.7e9, 4000.0, -2.0, 30.0, 3.0):
            change = change_samples(sensor, timed(lambda times_s, offset_s=offset_s: times_s + offset_s))
            yield Perturbation(f"{sensor} time plus {offset_s:g} s", change, "time starts at|begins and ends")
        for clock_s in (0.001, 0.01, 0.1, 0.5, 1.0):
            change = change_samples(
                sensor, timed(lambda times_s, clock_s=clock_s: np.floor(times_s / clock_s) * clock_s)
            )
            error = 2.0 if clock_s >= 0.1 else 0.5  # of samples that are late by up to 1.5 intervals
            yield Perturbation(f"{sensor} clock of {clock_s:g} s", change, tolerance=error)
        for packet in (4, 16):

            def packets(times_s: Doubles, packet: int = packet) -> Doubles:
                return times_s[np.arange(len(times_s)) // packet * packet]

            yield Perturbation(f"{sensor} packets of {packet}", change_samples(sensor, timed(packets)), tolerance=2.0)

            def overlapping(times_s: Doubles, packet: int = packet, rate_hz: float = rate_hz) -> Doubles:
                number = np.arange(len(times_s)) // packet
                return times_s - 2.5 / rate_hz * (number % 2) + 2.5 / rate_hz

            change = change_samples(sensor, timed(overlapping))
            yield Perturbation(f"{sensor} overlapping packets of {packet}", change, "packets of about .* do not sort")
        slow = change_samples(sensor, timed(lambda times_s: times_s * (1 + 500e-6)))
        yield Perturbation(f"{sensor} clock 500 ppm slow", slow, tolerance=0.1)
        change = change_samples(sensor, chosen_rows(lambda count, rng: rng.permutation(count)))
        yield Perturbation(f"{sensor} rows in random order", change, "time goes back")
        change = change_samples(sensor, chosen_rows(lambda count, _: np.arange(count)[::-1]))
        yield Perturbation(f"{sensor} rows reversed", change, "time goes back")
        change = change_samples(sensor, chosen_rows(lambda count, _: np.tile(np.arange(count), 2)))
        yield Perturbation(f"{sensor} twice in one file", change, "clock starts again")
        twice = change_samples(sensor, chosen_rows(lambda count, _: np.repeat(np.arange(count), 2)))
        yield Perturbation(f"{sensor} rows twice", twice)
        for times in (2, 4):

            def held(samples: Samples, _: np.random.Generator, times: int = times) -> Samples:
                rows = np.arange(len(samples.times_s)) // times * times
                return Samples(samples.times_s, samples.values[rows])

            yield Perturbation(f"{sensor} held for {times} rows", change_samples(sensor, held), "repeat the one before")


def gaps() -> Iterator[Perturbation]:
    """Rows left out or marked, sensors that start late or end early."""
    for sensor in RATES:
        for rows in (3, 12, 40):
            change = change_samples(sensor, chosen_rows(lambda count, _, rows=rows: np.r_[0:20, 20 + rows : count]))
            yield Perturbation(f"{sensor} gap of {rows} rows", change, lost=0.45)
        change = change_samples(
            sensor, chosen_rows(lambda count, rng: np.sort(rng.permutation(count)[: count * 7 // 10]))
        )
        yield Perturbation(f"{sensor} without 30 % of its rows", change, lost=0.35)
        change = change_samples(sensor, chosen_rows(lambda count, _: np.arange(0, count, 2)))
        yield Perturbation(f"{sensor} every second row", change, lost=0.55, also_named="timestamps say")
        change = change_samples(sensor, chosen_rows(lambda count, _: np.arange(0, count, 12)))
        yield Perturbation(f"{sensor} every twelfth row", change, "timestamps say .* no sample could be used")
        yield Perturbation(
            f"{sensor} starts late",
            change_samples(sensor, chosen_rows(lambda count, _: np.arange(40, count))),
            lost=0.45,
        )
        yield Perturbation(
            f"{sensor} ends early",
            change_samples(sensor, chosen_rows(lambda count, _: np.arange(count - 40))),
            lost=0.45,
        )


def values() -> Iterator[Perturbation]:
    """Constants, zeros, codes, rails, copies."""
    groups = {"watch": [slice(0, 3), slice(3, 6)], "strap": [slice(0, 3)], "body": [slice(27, 30)]}
    whole = slice(None)
    constant = "stays? at|joints at 0|in every|another unit|are 0 in every|times those|1/\\S+ of|peaks"
    for sensor, parts in groups.items():
        for part in parts:
            for value in (0.0, 1.5):
                yield Perturbation(
                    f"{sensor} {part.start} to {part.stop} stuck at {value:g}",
                    change_samples(sensor, written(part, whole, value)), constant,
                )  # fmt: skip
            everywhere = change_samples(sensor, written(part, whole, 0.0), tuple(GOOD))
            yield Perturbation(
                f"{sensor} {part.start} to {part.stop} 0 in all", everywhere, "in every|joints at 0", sensor
            )
        yield Perturbation(
            f"{sensor} one channel stuck", change_samples(sensor, written([1], whole, 0.25)), "stays at|gravity|unit"
        )
        for rows in (1, 6, 30):
            change = change_samples(sensor, written(whole, slice(40, 40 + rows), 0.0))
            yield Perturbation(f"{sensor} {rows} rows of zeros", change, "0 in every channel")
        change = change_samples(sensor, frozen(slice(40, 90)))
        yield Perturbation(f"{sensor} frozen", change, "50 of .* samples repeat the one before for 1 s or longer")
        for code in (-999.0, 9999.0, 32767.0):
            for rows in (1, 10):
                change = change_samples(sensor, written([2], slice(50, 50 + rows), code))
                yield Perturbation(f"{sensor} {rows} times {code:g}", change, "far from all other values|body is")
    for limit in (0.5, 0.8):

        def clipped(samples: Samples, _: np.random.Generator, limit: float = limit) -> Samples:
            most = limit * np.abs(samples.values[:, 3:]).max(0)
            samples.values[:, 3:] = np.clip(samples.values[:, 3:], -most, most)
            return samples

        yield Perturbation(f"watch cut off at {limit:g}", change_samples("watch", clipped), "peaks are cut off|repeat")
    for sensor in RATES:

        def copied(root: Path, sensor: str = sensor) -> None:
            write_samples(root, VICTIM, sensor, GOOD["ann_walk"][sensor])

        yield Perturbation(f"{sensor} copied from another person", copied, "the same samples as")


def lost() -> Iterator[Perturbation]:
    """Numbers that are none."""
    for sensor in RATES:
        for rows in (1, 10):
            change = change_samples(sensor, written([1], slice(30, 30 + rows), np.nan))
            yield Perturbation(f"{sensor} {rows} single NaN", change, "channel 2 is empty or not a number")
        yield Perturbation(
            f"{sensor} infinite", change_samples(sensor, written([1], slice(30, 31), np.inf)), "channel 2 is inf"
        )
        yield Perturbation(
            f"{sensor} too large", change_samples(sensor, written([1], slice(30, 31), 1e39)), r"channel 2 is 1e\+39"
        )
        if sensor != "body":
            change = change_samples(sensor, written(slice(None), slice(30, 40), np.nan))
            yield Perturbation(f"{sensor} empty rows", change, "empty or not a number")
    for joints in (1, 4, 10):
        change = change_samples("body", written(slice(0, 3 * joints), slice(30, 40), np.nan))
        yield Perturbation(f"body {joints} lost joints", change, lost=0.1)
    feet = [3 * JOINTS.index("left_foot") + axis for axis in range(3)]
    yield Perturbation("body foot never seen", change_samples("body", written(feet, slice(None), np.nan)))
    for rows, cause in ((slice(None), "left_foot is lost .* in every sample"), (slice(80), "most samples: left_foot")):
        change = change_samples("body", written(feet, rows, np.nan), tuple(GOOD))
        yield Perturbation(f"body foot lost in all files, rows to {rows.stop}", change, cause, "body")
