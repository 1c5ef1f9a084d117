"""What `edgehar evaluate --suite` can be asked for."""

from dataclasses import MISSING, dataclass

from edgehar.checks import check_seed
from edgehar.choices import CRITERIA, FREE, NO_PSEUDO_LABELS, REAL, SOURCES, STORED, check_pseudo_labels, effective
from edgehar.config import group, option
from edgehar.data.registry import DEFAULT_FOLDS, DataOptions
from edgehar.errors import ConfigError
from edgehar.experiments.recipe import Recipe

SEEDS = {
    "accuracy": 5, "sensors": 5, "loso": 1, "folds": 1, "labels": 1, "baselines": 5, "unknown": 5, "compression": 5,
    "compression-teacher": 5, "ablation": 3, "distillation": 5,
}  # fmt: skip
"""Suite -> how many seeds it has where none are given."""

OWN_SPLITS = ("loso", "folds")
PRUNING = ("compression", "compression-teacher", "ablation")


@dataclass(frozen=True)
class SuiteOptions:
    """Options of `edgehar evaluate --suite`."""

    suite: tuple[str, ...] = option(MISSING, f"which: {', '.join(SEEDS)}")
    seeds: tuple[int, ...] = option((), "seeds to run; as many from 0 as a suite asks for if none are given")
    only: tuple[str, ...] = option((), "only these subjects (loso), sensors (sensors) or folds (folds: 0of5)")
    folds: int = option(DEFAULT_FOLDS, "how many folds the suite folds deals the subjects into")
    shares: tuple[float, ...] = option((0.05, 0.1, 0.25, 1.0), "shares of the labels that the suite labels trains on")
    draws: int = option(5, "how often each share is drawn")
    student_shares: tuple[float, ...] = option((), "those of them that the suite labels also trains students on")
    pseudo_labels: str = option(NO_PSEUDO_LABELS, "as in distill, for the students of the suite labels")
    left_out: int = option(3, "activities that the suite unknown leaves out")
    kept: tuple[float, ...] = option((0.7, 0.5, 0.3), "shares of the multiply-adds that the suites of compression keep")
    sources: tuple[str, ...] = option(SOURCES, "windows to prune with that the suite ablation compares")
    criteria: tuple[str, ...] = option(CRITERIA, "criteria that the suite ablation compares")
    out_of_fold: str | None = option(None, "the student's answers from cross-validation, to calibrate it (accuracy)")
    out_of_fold_nano: str | None = option(None, "the nano student's answers, to calibrate that")
    runs: str = option("runs/suite", "folder for checkpoints and packages")
    results: str = option("docs/results", "folder for the result files")
    replace: bool = option(False, "measure again where a result file of another configuration is, and replace it")
    data: DataOptions = group(DataOptions)
    recipe: Recipe = group(Recipe)

    def __post_init__(self) -> None:
        """Refuse what no suite can do."""
        strange = [name for name in self.suite if name not in SEEDS]
        if strange or not self.suite:
            raise ConfigError(f"--suite {','.join(strange) or 'without a name'}: expected some of {', '.join(SEEDS)}")
        check_seed(*self.seeds, name="seeds")
        for name, given, takers in (
            ("only", self.only, ("sensors", *OWN_SPLITS)),
            ("out-of-fold", self.out_of_fold, ("accuracy",)),
            ("out-of-fold-nano", self.out_of_fold_nano, ("accuracy",)),
            ("student-shares", self.student_shares, ("labels",)),
            ("pseudo-labels", self.pseudo_labels != NO_PSEUDO_LABELS, ("labels",)),
        ):
            if given and not set(self.suite) & set(takers):
                raise ConfigError(f"--{name} with --suite {','.join(self.suite)}: only {', '.join(takers)} take it")
        if "labels" in self.suite and not self.recipe.pretraining:
            raise ConfigError("--no-pretraining with --suite labels: it compares both; leave the option out")
        check_pseudo_labels(self.pseudo_labels)
        if self.pseudo_labels != NO_PSEUDO_LABELS and (not self.student_shares or 1 in self.student_shares):
            raise ConfigError(
                f"--pseudo-labels {self.pseudo_labels} with --student-shares {self.student_shares}: expected one or "
                "more below 1, which leave windows to label"
            )
        if self.folds < 2:
            raise ConfigError(f"--folds {self.folds}: expected 2 or more")
        if self.data.split is not None and set(self.suite) & set(OWN_SPLITS):
            raise ConfigError(f"--split {self.data.split}: {' and '.join(OWN_SPLITS)} make their own; leave it out")
        if self.data.without and "unknown" in self.suite:
            raise ConfigError("--without: the suite unknown draws what it leaves out; leave the option away")
        if not self.shares or any(not 0 < share <= 1 for share in self.shares) or self.draws < 1:
            raise ConfigError(f"--shares {self.shares}, --draws {self.draws}: expected shares of 0 to 1, and 1 or more")
        if set(self.student_shares) - set(self.shares):
            raise ConfigError(f"--student-shares {self.student_shares}: expected some of --shares {self.shares}")
        if not self.kept or any(not 0.02 <= share < 1 for share in self.kept) or len(set(self.kept)) < len(self.kept):
            raise ConfigError(f"--kept {self.kept}: expected shares from 0.02 to below 1, each once")
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds {','.join(map(str, self.seeds))}: expected each once")
        self.recipe.refuse("prune", ("--macs", "--bytes", "--latency-ms", "--source", "--criterion", "--score"))
        if self.recipe.prune and not set(self.suite) & set(PRUNING):
            raise ConfigError(f"--prune with --suite {','.join(self.suite)}: only {', '.join(PRUNING)} take it")
        for name, given, known in (("sources", self.sources, SOURCES), ("criteria", self.criteria, CRITERIA)):
            if not given or set(given) - set(known):
                raise ConfigError(f"--{name} {','.join(given)}: expected some of {', '.join(known)}")
        more = self.recipe.more("prune")
        pruned_on = {*self.sources} if "ablation" in self.suite else set[str]()
        pruned_on |= {STORED, FREE, REAL} if set(self.suite) & set(PRUNING[:2]) else set()
        if effective(more, pruned_on) != more and pruned_on:
            raise ConfigError(
                f"--prune={self.recipe.prune}: has an option of windows that {','.join(self.suite)} do not prune with, "
                f"which are {', '.join(sorted(pruned_on))}; leave it out"
            )
