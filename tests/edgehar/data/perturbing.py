"""What a perturbation of a good folder is, and the functions that make one.

A perturbation is RIGHT, read with the right values and without losing more samples than it removes; or it is named by a
problem of a file or sensor whose message matches a pattern of its cause.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.edgehar.data.good_folder import Doubles, Samples, good_samples, write_samples

RIGHT = ""
GOOD = good_samples()
VICTIM = "cid_walk"
Change = Callable[[Samples, np.random.Generator], Samples]


@dataclass(frozen=True)
class Perturbation:
    """What is done to the folder, and what must come of it.

    Attributes:
        name: unique.
        apply: changes the folder.
        cause: RIGHT, or a pattern of the message.
        where: part of the path of the problem's file.
        lost: largest share of the victim's samples that may be lost, if RIGHT.
        tolerance: largest error of a value, if RIGHT.
        also_named: whether a warning is expected, too.
    """

    name: str
    apply: Callable[[Path], None]
    cause: str = RIGHT
    where: str = VICTIM
    lost: float = 0.0
    tolerance: float = 2e-3
    also_named: str = ""


def change_samples(sensor: str, change: Change, recordings: tuple[str, ...] = (VICTIM,)) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        for recording in recordings:
            good = GOOD[recording][sensor]
            copy = Samples(good.times_s.copy(), good.values.copy())
            write_samples(root, recording, sensor, change(copy, np.random.default_rng(1)))

    return apply


def change_text(sensor: str, change: Callable[[str], str], recording: str = VICTIM) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        path = root / sensor / f"{recording}.csv"
        path.write_bytes(change(path.read_text(encoding="utf-8")).encode())

    return apply


def change_bytes(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        (root / file).write_bytes(change((root / file).read_bytes()))

    return apply


def scaled(factor: float, channels: slice) -> Change:
    def change(samples: Samples, _: np.random.Generator) -> Samples:
        samples.values[:, channels] *= factor
        return samples

    return change


def timed(clock: Callable[[Doubles], Doubles]) -> Change:
    return lambda samples, _: Samples(clock(samples.times_s), samples.values)


def chosen_rows(choose: Callable[[int, np.random.Generator], "np.ndarray[tuple[int], np.dtype[np.intp]]"]) -> Change:
    def change(samples: Samples, rng: np.random.Generator) -> Samples:
        rows = choose(len(samples.times_s), rng)
        return Samples(samples.times_s[rows], samples.values[rows])

    return change


def written(channels: list[int] | slice, rows: slice, value: float) -> Change:
    def change(samples: Samples, _: np.random.Generator) -> Samples:
        samples.values[rows, channels] = value
        return samples

    return change


def frozen(rows: slice) -> Change:
    def change(samples: Samples, _: np.random.Generator) -> Samples:
        samples.values[rows] = samples.values[rows.start]
        return samples

    return change


def permuted(order: list[int], signs: tuple[float, ...] = ()) -> Change:
    def change(samples: Samples, _: np.random.Generator) -> Samples:
        width = len(order)
        for first in range(0, samples.values.shape[1], width):
            group = samples.values[:, first : first + width]
            samples.values[:, first : first + width] = group[:, order] * (signs or 1.0)
        return samples

    return change
