"""The runs of the suite strangers: every data set in a folder, with all sensors and with some, by fold and method."""

import os
import re
from dataclasses import replace
from pathlib import Path

from edgehar.data.recordings.header import HEADER_NAME
from edgehar.data.registry import NAMES, ROOT_VARIABLE, DataOptions
from edgehar.data.splits import groups_of
from edgehar.errors import ConfigError, DataError
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.suite.comparison import METHODS
from edgehar.experiments.suite.options import STRANGERS, SuiteOptions
from edgehar.metrics.logits_file import sensor_set_name
from edgehar.signals.clip import Dataset

SUBSETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "utd-mhad": (("skeleton",), ("inertial",)),
    "selfback": (("wrist",),),
    "umafall": (("wrist",),),
}
"""Data set -> sets of sensors that it is also run with; nothing else depends on a name."""
PUBLIC = tuple(name for name in NAMES if name not in ("simulated", "recordings"))
"""Data sets that are read as published, not in edgehar's own format."""
FOLD = re.compile(r"\d+of\d+")
UNUSUAL = re.compile(r"[^\w.+-]+")
"""Characters that names of result files do without."""


def case_name(data: DataOptions) -> str:
    """Name of a data set with a set of sensors, for --only."""
    return "-".join([Path(data.data).name, *([sensor_set_name(data.modalities)] if data.modalities else [])])


def _found(root: Path) -> list[DataOptions]:
    """The data sets in a folder with each of their sets of sensors, by name."""
    cases: list[DataOptions] = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name in PUBLIC:
            data = DataOptions(folder.name, str(root))
        elif (folder / HEADER_NAME).is_file():
            data = DataOptions(str(folder))
        else:
            continue
        cases += [replace(data, modalities=sensors) for sensors in ((), *SUBSETS.get(folder.name, ()))]
    return cases


def expanded(options: SuiteOptions) -> list[SuiteOptions]:
    """The options of each data set, with each of its sets of sensors; those given, unless they are of this suite.

    Raises:
        ConfigError: options that the suite does not take, or --only with an unknown name.
        DataError: no folder is given, or there is no data set in it.
    """
    if STRANGERS not in options.suite:
        return [options]
    root = options.data.root or os.environ.get(ROOT_VARIABLE, "")
    if len(options.suite) > 1 or options.data != DataOptions(root=options.data.root):
        raise ConfigError(
            f"--suite {','.join(options.suite)}: {STRANGERS} runs alone, on all data sets in --root; omit the other "
            "suites, --data, --modalities and --without; choose data sets with --only"
        )
    if options.recipe != Recipe(options.recipe.preset, options.recipe.update_share):
        raise ConfigError(
            f"--suite {STRANGERS}: measures the default of edgehar pipeline; expected no options of trainings but "
            "--preset and --update-share; omit them"
        )
    if not root or not Path(root).is_dir():
        raise DataError(
            f"--root {root or None}: found no such folder; expected one that contains data sets; give --root DIR or "
            f"set {ROOT_VARIABLE}"
        )
    cases = {case_name(data): data for data in _found(Path(root))}
    if not cases:
        raise DataError(f"--root {root}: found no data set; expected {', '.join(PUBLIC)} or folders with {HEADER_NAME}")
    within = tuple(name for name in options.only if FOLD.fullmatch(name) or name in METHODS)
    chosen = [name for name in options.only if name not in within]
    unknown = [name for name in chosen if name not in cases]
    if unknown:
        raise ConfigError(
            f"--only {','.join(unknown)}: expected data sets ({', '.join(cases)}), folds (0of5) or methods "
            f"({', '.join(METHODS)})"
        )

    def part(name: str, data: DataOptions) -> SuiteOptions:
        folder = Path(STRANGERS, UNUSUAL.sub("_", name))
        runs, results = (str(Path(path) / folder) for path in (options.runs, options.results))
        return replace(options, data=data, only=within, runs=runs, results=results)

    return [part(name, data) for name, data in cases.items() if not chosen or name in chosen]


def folds_and_methods(options: SuiteOptions, dataset: Dataset) -> dict[tuple[str, str], DataOptions]:
    """Fold and method of each run on a data set -> its recordings, the quick methods of all folds first.

    Raises:
        ConfigError: --only with a fold that the data set does not have.
    """
    count = min(options.folds, len(groups_of(dataset.subjects)))
    every = [f"{fold}of{count}" for fold in range(count)]
    folds = [name for name in options.only if name not in METHODS] or every
    if unknown := [name for name in folds if name not in every]:
        raise ConfigError(
            f"--only {','.join(unknown)}: {case_name(options.data)} has the folds {', '.join(every)}; choose among "
            "them, or other --folds"
        )
    methods = [method for method in METHODS if method in options.only] or METHODS
    # With all sensors, none are named: the default command.
    return {(fold, method): replace(options.data, split=f"fold:{fold}") for method in methods for fold in folds}
