"""Options of `edgehar evaluate --suite`."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields

from edgehar.choices import (
    CRITERIA,
    INVERTED,
    MEANS,
    NO_PSEUDO_LABELS,
    PRETRAINED_HELP,
    PSEUDO_LABELS,
    RECORDINGS,
    SOURCES,
    unused_options,
)
from edgehar.config import Bounds, Options, group, option
from edgehar.data.few_labels import FewLabels
from edgehar.data.registry import DEFAULT_FOLDS, DataOptions
from edgehar.errors import ConfigError
from edgehar.experiments.recipe import Recipe

SEEDS = {
    "accuracy": 5, "sensors": 5, "loso": 1, "folds": 1, "labels": 1, "baselines": 5, "unknown": 5, "enrol": 5,
    "compression": 5, "compression-teacher": 5, "ablation": 3, "distillation": 5, "strangers": 1,
    "transfer": 1,
}  # fmt: skip
"""Suite -> its number of seeds where none are given."""

STRANGERS = "strangers"
"""The suite that runs on all data sets in a folder."""
OWN_SPLITS = ("loso", "folds", STRANGERS)
PRUNING = ("compression", "compression-teacher", "ablation")

SET_BY_THE_SUITE = ("macs", "bytes", "latency_ms", "source", "criterion", "score")
"""Options of `edgehar prune` that the suites of `PRUNING` set."""


@dataclass(frozen=True)
class SuiteOptions(Options):
    """Options of `edgehar evaluate --suite`."""

    suite: tuple[str, ...] = option(MISSING, "suites to run", choices=tuple(SEEDS))
    seeds: tuple[int, ...] = option(
        (), "seeds to run; default: from 0, as many as the suite usually has", at_least=0, below=2**31
    )
    only: tuple[str, ...] = option(
        (),
        "only these subjects (loso), sensors (sensors), folds (folds: 0of5) or data sets, folds and methods "
        "(strangers: umafall-wrist,0of5,pipeline)",
    )
    folds: int = option(DEFAULT_FOLDS, "number of folds of the suites folds and strangers", at_least=2)
    shares: tuple[float, ...] = option(
        (0.05, 0.1, 0.25, 1.0), "shares of the labels that the suite labels trains on", above=0, at_most=1
    )
    draws: int = option(5, "random draws of each share, or of each of --few", at_least=1)
    few: tuple[str, ...] = option(
        ("2:5",), "PEOPLE:RECORDINGS, labelled recordings of each activity and people that the suite transfer trains on"
    )
    pretrained: str | None = option(None, f"weights that the suite transfer compares: {PRETRAINED_HELP}")
    student_shares: tuple[float, ...] = option(
        (), "shares, among --shares, on which the suite labels also trains students"
    )
    pseudo_labels: str = option(
        NO_PSEUDO_LABELS, "as in distill, for the students of the suite labels", choices=PSEUDO_LABELS
    )
    left_out: int = option(3, "number of activities that the suites unknown and enrol leave out")
    kept: tuple[float, ...] = option(
        (0.7, 0.5, 0.3), "shares of the multiply-adds that the compression suites keep", at_least=0.02, below=1
    )
    sources: tuple[str, ...] = option(SOURCES, "sources of windows that the suite ablation compares", choices=SOURCES)
    criteria: tuple[str, ...] = option(CRITERIA, "pruning criteria that the suite ablation compares", choices=CRITERIA)
    out_of_fold: str | None = option(
        None, "out-of-fold predictions of the student, to calibrate it; suite accuracy only"
    )
    out_of_fold_nano: str | None = option(None, "the same of the nano student")
    runs: str = option("runs/suite", "folder for checkpoints and packages")
    results: str = option("docs/results", "folder for the result files")
    replace: bool = option(False, "measure again and replace result files of another configuration")
    data: DataOptions = group(DataOptions)
    recipe: Recipe = group(Recipe)

    def __post_init__(self) -> None:
        """Raise ConfigError for options out of bounds, and for those that do not fit each other."""
        super().__post_init__()
        self._check_lists()
        self._check_takers()
        self._check_labels()
        self._check_pruning()
        if self.data.split is not None and set(self.suite) & set(OWN_SPLITS):
            raise ConfigError(f"--split {self.data.split}: {' and '.join(OWN_SPLITS)} set their own; omit it")
        if self.data.without and {"unknown", "enrol"} & set(self.suite):
            raise ConfigError(
                f"--without: the suite {' and '.join(self.suite)} draws the activities it leaves out; omit the option"
            )

    def _check_lists(self) -> None:
        """Lists that must not be empty, or hold a value twice."""
        for field in fields(self):
            if field.name in ("suite", "shares", "kept", "sources", "criteria") and not getattr(self, field.name):
                bounds: Bounds = field.metadata["bounds"]
                listed = f" of {', '.join(bounds.choices)}" if bounds.choices else f", each {bounds.text(whole=False)}"
                raise ConfigError(f"--{field.name}: found no value; expected one or more{listed}")
        for name, values in {"kept": self.kept, "seeds": self.seeds}.items():
            if len(set(values)) < len(values):
                raise ConfigError(f"--{name} {_listed(values)}: expected each value once")

    def _check_takers(self) -> None:
        """Options that only some suites take."""
        for name, given, takers in (
            ("only", self.only, ("sensors", *OWN_SPLITS)),
            ("pretrained", self.pretrained, ("transfer",)),
            ("out-of-fold", self.out_of_fold, ("accuracy",)),
            ("out-of-fold-nano", self.out_of_fold_nano, ("accuracy",)),
            ("student-shares", self.student_shares, ("labels",)),
            ("pseudo-labels", self.pseudo_labels != NO_PSEUDO_LABELS, ("labels",)),
            ("prune", self.recipe.prune, PRUNING),
        ):
            if given and not set(self.suite) & set(takers):
                raise ConfigError(f"--{name} with --suite {_listed(self.suite)}: only {', '.join(takers)} take it")

    def _check_labels(self) -> None:
        """Options of the suites labels and transfer."""
        for setting in self.few:
            FewLabels.parse(setting)
        if self.data.few_labels is not None and "transfer" in self.suite:
            raise ConfigError(
                f"--few-labels {self.data.few_labels}: the suite transfer sets its own, see --few; omit it"
            )
        if "labels" in self.suite and not self.recipe.pretraining:
            raise ConfigError("--no-pretraining with --suite labels: it compares both; omit the option")
        shares = _listed(self.student_shares)
        if self.pseudo_labels != NO_PSEUDO_LABELS and (not self.student_shares or 1 in self.student_shares):
            raise ConfigError(
                f"--pseudo-labels {self.pseudo_labels} with --student-shares {shares}: expected shares below 1, one or "
                "more, which leave windows to label"
            )
        if set(self.student_shares) - set(self.shares):
            raise ConfigError(f"--student-shares {shares}: expected some of --shares {_listed(self.shares)}")

    def _check_pruning(self) -> None:
        """Further options of `edgehar prune`."""
        self.recipe.reject("prune", SET_BY_THE_SUITE)
        sources = {*self.sources} if "ablation" in self.suite else set[str]()
        sources |= {MEANS, INVERTED, RECORDINGS} if set(self.suite) & set(PRUNING[:2]) else set()
        unused = unused_options(self.recipe.more("prune"), sources) if sources else []
        if unused:
            raise ConfigError(
                f"--prune={self.recipe.prune!r}: --{unused[0].replace('_', '-')} has no effect with the sources of "
                f"{_listed(self.suite)}, which are {', '.join(sorted(sources))}; omit it"
            )


def _listed(values: Sequence[object]) -> str:
    return ",".join(map(str, values))
