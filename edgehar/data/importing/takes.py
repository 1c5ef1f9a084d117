"""What is read from a file before it is a data set: samples with names, times and units; and remarks about the rest."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Times

Numbers = NDArray[np.float64]
SHOWN_FILES = 3
"""Files that a remark names before it counts the rest."""


@dataclass(frozen=True)
class Samples:
    """Samples of one sensor of one recording.

    Attributes:
        sensor: name of the sensor, an identifier.
        values: (T, C); NaN where a value is missing.
        times_s: (T,) seconds on the clock of the file, or None for evenly spaced samples at `rate_hz`.
        columns: names of the channels (C,), empty for a skeleton.
        unit: unit of the channels as the file states it.
        rate_hz: samples per second if the file states it, otherwise None: measured from `times_s`.
        group: channels that belong together.
        joints, parents, vertical: of a skeleton, see `edgehar.signals.modality.ModalitySpec`.
    """

    sensor: str
    values: Numbers
    times_s: Times | None = None
    columns: tuple[str, ...] = ()
    unit: str = ""
    rate_hz: float | None = None
    group: int = 3
    joints: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    vertical: int = 1


@dataclass(frozen=True)
class Take:
    """One recording; `spans` are (start, end, label) in seconds on the clock of the samples."""

    source: str
    name: str
    samples: tuple[Samples, ...]
    subject: str = ""
    trial: str = ""
    label: str = ""
    spans: tuple[tuple[float, float, str], ...] = ()


@dataclass
class Remarks:
    """What could not be imported or was assumed: one line per message, with the files it is about."""

    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))

    def add(self, file: str, message: str) -> None:
        """Add a file to a message."""
        if file not in self.files[message]:
            self.files[message].append(file)

    def lines(self) -> list[str]:
        """`file, file and 7 more: message` for each message, in the order of the first appearance."""
        lines: list[str] = []
        for message, files in self.files.items():
            more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
            lines.append(f"{', '.join(files[:SHOWN_FILES])}{more}: {message}")
        return lines

    def causes(self) -> str:
        """The first lines in short, what was left out before what was assumed."""
        lines = sorted(self.lines(), key=lambda line: "left out" not in line)
        return "; ".join(lines[:3]) or "no file had samples"
