"""What became of the samples that a stream was given, sensor by sensor: how many were used, and why others were not."""

from dataclasses import dataclass


@dataclass
class SampleCounts:
    """One sensor's samples since the stream was made, over every restart.

    A sample counts once, for the first of these reasons that it met; those that are not (yet) unused were used, or are
    waiting for the others.

    Attributes:
        came: all of them.
        late: came after their step had been computed.
        doubted: had a time that was not believed, see `edgehar.deploy.stream.clock`.
        repeated: another one with the same time came after them.
        unusable: held a value that is not finite, or larger than any sensor gives.
        first_s: the earliest time, on the stream's clock; infinity before the first sample.
        last_s: the latest time; minus infinity before the first sample.
    """

    came: int = 0
    late: int = 0
    doubted: int = 0
    repeated: int = 0
    unusable: int = 0
    first_s: float = float("inf")
    last_s: float = -float("inf")

    @property
    def unused(self) -> int:
        """How many were not used, for whatever reason."""
        return self.late + self.doubted + self.repeated + self.unusable

    def arrived(self, samples: int, first_s: float, last_s: float) -> None:
        """Count samples as they come, with the earliest and the latest of their times."""
        self.came += samples
        self.first_s, self.last_s = min(self.first_s, first_s), max(self.last_s, last_s)

    def __str__(self) -> str:
        """For people: "200 samples, not used: 3 too late"."""
        reasons = {
            "too late": self.late,
            "with a time that was not believed": self.doubted,
            "repeated": self.repeated,
            "not finite": self.unusable,
        }
        unused = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return f"{self.came} samples" + (f", not used: {unused}" if unused else ", all used")


def in_short(counts: dict[str, SampleCounts]) -> str:
    """How many samples of all sensors came, and how many were not used."""
    return f"{sum(one.came for one in counts.values())} samples, {sum(one.unused for one in counts.values())} not used"


def summary(counts: dict[str, SampleCounts], answers: int, window_s: float) -> list[str]:
    """A line for each sensor; one more if samples came and no answer, or most of them were not used.

    Args:
        counts: sensor -> what became of its samples.
        answers: how many predictions there were.
        window_s: seconds of samples that a prediction takes.
    """
    lines = [f"{name}: {one if one.came else 'no sample came'}" for name, one in counts.items()]
    heard = [one for one in counts.values() if one.came]
    if heard and (not answers or sum(one.unused for one in heard) > sum(one.came for one in heard) / 2):
        what = f"{answers} answers, and most samples not used" if answers else "not one answer"
        first_s, last_s = min(one.first_s for one in heard), max(one.last_s for one in heard)
        lines.append(
            f"{what}: the times go from {first_s:.10g} to {last_s:.10g} s, and a window takes {window_s:.3g}; "
            "expected seconds on one clock for all sensors; check the unit of the times (milliseconds?) and the clocks"
        )
    return lines
