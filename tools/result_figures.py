"""What the seeds of a suite say together: counts, mean, standard deviation, interval."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgehar.experiments.suite.options import SEEDS
from edgehar.metrics.classification import wilson

Run = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """One figure over its seeds.

    Attributes:
        correct: right answers of each seed.
        total: windows asked, the same for every seed.
    """

    correct: tuple[int, ...]
    total: int

    @property
    def percent(self) -> str:
        """Mean accuracy in percent, and the sample standard deviation if there are two seeds or more."""
        return spread([100 * count / self.total for count in self.correct])

    @property
    def right(self) -> str:
        """Each seed's count."""
        return f"{', '.join(map(str, self.correct))} of {self.total:,}"

    @property
    def interval(self) -> str:
        """Wilson's 95 % interval of the mean count, in percent."""
        low, high = wilson(statistics.fmean(self.correct), self.total)
        return f"{100 * low:.1f} to {100 * high:.1f}"


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and, of two or more, sample standard deviation."""
    mean = f"{round(statistics.fmean(values), digits) + 0.0:.{digits}f}"  # never -0.00
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def count(scores: Iterable[dict[str, Any]]) -> Counts:
    """The counts of one figure; ValueError if the seeds did not ask the same windows."""
    found = list(scores)
    totals = {score["total"] for score in found}
    if len(totals) != 1:
        raise ValueError(f"seeds of one figure with {sorted(totals)} windows; expected the same number")
    return Counts(tuple(score["correct"] for score in found), totals.pop())


def by_seed(runs: list[Run]) -> dict[int, list[Run]]:
    """The runs of each seed, in order."""
    return {seed: [run for run in runs if run["seed"] == seed] for seed in sorted({run["seed"] for run in runs})}


def pooled(runs: list[Run], network: str, fed: str) -> dict[str, int]:
    """One network's counts over several test sets, such as each subject left out once."""
    scores = [run["networks"][network]["scores"][fed] for run in runs]
    return {key: sum(score[key] for score in scores) for key in ("correct", "total")}


def seeds_note(runs: list[Run]) -> str:
    """How many seeds there are, and of how many if some are missing."""
    found, wanted = len({run["seed"] for run in runs}), SEEDS.get(runs[0]["suite"], 1)
    if found < wanted:
        return f"{found} of {wanted} seeds"
    return f"{found} seed{'s' if found > 1 else ''}"


def command(runs: list[Run]) -> str:
    """What to type to get all of these runs again."""
    words = sorted({run["command"].rpartition(" --seeds ")[0] for run in runs})
    seeds = ",".join(map(str, sorted({run["seed"] for run in runs})))
    return "; ".join(f"`{text} --seeds {seeds}`" for text in words)


def fine_tunings(runs: list[Run]) -> list[dict[str, Any]]:
    """The scores of teachers on shares of the labels; older files have no other network there, and do not say so."""
    return [entry for run in runs for entry in run["labels"] if entry.get("network", "teacher") == "teacher"]


def fed_all(run: Run) -> str:
    """What the scores with every sensor are called."""
    return "+".join(run["dataset"]["modalities"])
