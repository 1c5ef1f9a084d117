"""The data sets of the suite strangers: every one in a folder, with all sensors and with some of them."""

import os
import re
from dataclasses import replace
from pathlib import Path

from edgehar.data.recordings.header import HEADER_NAME
from edgehar.data.registry import NAMES, ROOT_VARIABLE, DataOptions
from edgehar.errors import ConfigError, DataError
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.suite.options import STRANGERS, SuiteOptions
from edgehar.metrics.logits_file import sensor_set_name

SUBSETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "utd-mhad": (("skeleton",), ("inertial",)),
    "selfback": (("wrist",),),
    "umafall": (("wrist",),),
}
"""Data set -> sets of sensors that it is also run with; nothing else depends on a name."""
PUBLIC = tuple(name for name in NAMES if name not in ("simulated", "recordings"))
"""Data sets that are read as published, not in edgehar's own format."""
FOLD = re.compile(r"\d+of\d+")


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
    folds = tuple(name for name in options.only if FOLD.fullmatch(name))
    chosen = [name for name in options.only if name not in folds]
    unknown = [name for name in chosen if name not in cases]
    if unknown:
        raise ConfigError(f"--only {','.join(unknown)}: expected folds (0of5) or some of {', '.join(cases)}")
    results = str(Path(options.results) / STRANGERS)
    return [
        replace(options, data=data, only=folds, results=results)
        for name, data in cases.items()
        if not chosen or name in chosen
    ]
