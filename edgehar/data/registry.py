"""Loads a data set by its name or by the path of a folder of recordings, and splits it.

The module that reads a data set is imported on first use.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from edgehar import __version__
from edgehar.config import Options, option
from edgehar.data.few_labels import FORM, FewLabels
from edgehar.data.recordings.header import HEADER_NAME
from edgehar.data.recordings.window import frames_per_step
from edgehar.data.splits import NAMES_OF_SPLITS, Split, groups_of, make_split
from edgehar.errors import DataError, shortened
from edgehar.files.atomic import digest_of
from edgehar.signals.clip import Clip, Dataset

NAMES = ("simulated", "utd-mhad", "sp-sw-har", "recordings")
SHARDS_NAME = "shards.json"
"""List of the files in a folder that `edgehar data pack` wrote."""
ROOT_VARIABLE = "EDGEHAR_DATA"
"""Environment variable with the folder that contains utd-mhad/ and sp-sw-har/; used if no root is given."""
DEFAULT_FOLDS = 5

DATA_HELP = f"{', '.join(NAMES[:-1])}, or a folder in edgehar's own format"
ROOT_HELP = f"folder with the recordings of a named data set; default: ${ROOT_VARIABLE}"


def _locate(name: str, root: Path | str | None) -> tuple[str, Path | None]:
    """The kind of data set and its folder.

    Raises:
        DataError: unknown name, or no folder given for a data set that needs one.
    """
    if name not in NAMES:
        folder = Path(name)
        if (folder / HEADER_NAME).is_file():
            return "recordings", folder
        found = f"a folder without {HEADER_NAME}" if folder.is_dir() else "neither a data set nor a folder"
        found = "shards, which only edgehar pretrain reads" if (folder / SHARDS_NAME).is_file() else found
        raise DataError(
            f"data {name!r}: {found}; expected {', '.join(NAMES[:-1])}, or a folder with {HEADER_NAME}; "
            "see docs/own-data.md"
        )
    if name == "simulated":
        return name, None
    given = str(root) if root is not None else os.environ.get(ROOT_VARIABLE, "") if name != "recordings" else ""
    if given:
        return name, Path(given)
    if name == "recordings":
        raise DataError(
            "data recordings: no folder given; expected a folder of recordings; give --root DIR, or --data DIR"
        )
    raise DataError(
        f"data {name}: no folder given; expected the folder of the recordings; give --root DIR or set {ROOT_VARIABLE} "
        f"(to download: edgehar data fetch {name} --out DIR)"
    )


@cache
def _simulated() -> Dataset:
    """The default simulated data set, cached because each stage of a pipeline loads it."""
    from edgehar.simulation.dataset import SimulatorConfig, simulate

    return simulate(SimulatorConfig())


def _report(line: str) -> None:
    sys.stderr.write(f"edgehar: {line}\n")


_reported: set[tuple[str, str | None]] = set()
"""Data sets whose warnings were looked for: once, however many stages of a pipeline load them."""


def load(
    name: str,
    root: Path | str | None = None,
    modalities: tuple[str, ...] = (),
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        name: simulated, utd-mhad, sp-sw-har, recordings, or the path of a folder with recordings.json.
        root: folder of the recordings; None for the environment variable EDGEHAR_DATA.
        modalities: keep only these; all if empty.
        report: called with one line if a folder of own recordings has warnings.

    Raises:
        DataError: unknown name, no folder, or unusable recordings.
    """
    kind, folder = _locate(name, root)
    match kind, folder:
        case "utd-mhad", Path():
            from edgehar.data.public import utd_mhad

            dataset = utd_mhad.load(folder)
        case "sp-sw-har", Path():
            from edgehar.data.public import sp_sw_har

            dataset = sp_sw_har.load(folder)
        case "recordings", Path():
            from edgehar.data import recordings

            dataset = recordings.load(folder, report)
        case "simulated", _:
            dataset = _simulated()
        case _:
            raise AssertionError(f"data set {kind!r} is in NAMES and has no loader here")
    return select(dataset, modalities)


def select(dataset: Dataset, modalities: tuple[str, ...]) -> Dataset:
    """Keep only these modalities, in the order of the data set; all if empty.

    A clip with none of them is kept, without a signal, so that results count the same clips.

    Raises:
        DataError: the data set has no modality of that name.
    """
    if not modalities:
        return dataset
    chosen = {dataset.info.modality(name).name for name in modalities}

    def with_chosen(clip: Clip) -> Clip:
        return replace(
            clip,
            signals={name: values for name, values in clip.signals.items() if name in chosen},
            valid={name: valid for name, valid in clip.valid.items() if name in chosen},
            times_s={name: times for name, times in clip.times_s.items() if name in chosen},
        )

    specs = tuple(spec for spec in dataset.info.modalities if spec.name in chosen)
    return Dataset(replace(dataset.info, modalities=specs), tuple(with_chosen(clip) for clip in dataset.clips))


def exclude_activities(dataset: Dataset, activities: tuple[str, ...]) -> Dataset:
    """Exclude activities, as if they had not been recorded; none if empty.

    Removes clips of these activities. In a continuous recording, removes their segments and marks the samples inside
    as not valid, so that pretraining does not use them. The other labels are renumbered.

    Raises:
        DataError: the data set has no activity of that name, or fewer than two remain.
    """
    if not activities:
        return dataset
    labels = dataset.info.labels
    missing = [name for name in activities if name not in labels]
    if missing:
        raise DataError(f"activity {', '.join(missing)}: expected some of {dataset.info.name}: {shortened(labels, 40)}")
    remaining = tuple(name for name in labels if name not in activities)
    if len(remaining) < 2:
        raise DataError(
            f"{dataset.info.name}: {len(remaining)} of {len(labels)} activities remain; expected two or more; "
            "exclude fewer"
        )
    new_label = {old: remaining.index(name) for old, name in enumerate(labels) if name in remaining}

    def without_excluded(clip: Clip) -> Clip:
        excluded = [span for span in clip.segments if span.label not in new_label]
        valid = dict(clip.valid)
        for name, times_s in clip.times_s.items() if excluded else ():
            within = np.any([(times_s >= span.start_s) & (times_s < span.end_s) for span in excluded], axis=0)
            valid[name] = valid[name] & ~within
        return replace(
            clip,
            valid=valid,
            label=None if clip.label is None else new_label[clip.label],
            segments=tuple(
                replace(span, label=new_label[span.label]) for span in clip.segments if span.label in new_label
            ),
        )

    caveat = f"Left out altogether: {', '.join(name for name in labels if name in activities)}."
    info = replace(dataset.info, labels=remaining, caveats=(*dataset.info.caveats, caveat))
    clips = (clip for clip in dataset.clips if clip.label is None or clip.label in new_label)
    return Dataset(info, tuple(without_excluded(clip) for clip in clips))


def at_frame_rate(dataset: Dataset, rate_hz: float) -> Dataset:
    """The same recordings with patches of so many frames per second, to which their samples are interpolated."""
    info = dataset.info
    patch = frames_per_step(rate_hz, info.window.step_s)
    specs = tuple(replace(spec, patch=patch) for spec in info.modalities)
    return Dataset(replace(info, modalities=specs), dataset.clips)


def _used_folders(kind: str, folder: Path) -> list[Path]:
    """Folders of the files that the data set is loaded from."""
    match kind:
        case "utd-mhad":
            from edgehar.data.public import utd_mhad

            return [utd_mhad.find_root(folder) / name for name in utd_mhad.SENSOR_FOLDERS.values()]
        case "sp-sw-har":
            from edgehar.data.public import sp_sw_har

            return [sp_sw_har.find_root(folder)]
        case _:
            return [folder]


def fingerprint(name: str, root: Path | str | None = None) -> str:
    """Digest of the paths, sizes and modification times of a data set's files; of the settings if simulated.

    Raises:
        DataError: as `load`, but file contents are not read.
    """
    kind, folder = _locate(name, root)
    if folder is None:
        from edgehar.simulation.dataset import SimulatorConfig

        return digest_of([kind, __version__, asdict(SimulatorConfig())])
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected the recordings of {kind}; correct the path")
    entries: list[tuple[str, int, int]] = []
    for part in _used_folders(kind, folder):
        for path in sorted(part.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                status = path.stat()
                entries.append((f"{part.name}/{path.relative_to(part)}", status.st_size, status.st_mtime_ns))
    # A renamed folder of own recordings is the same data set.
    return digest_of(
        [kind, [(path.partition("/")[2] if kind == "recordings" else path, *rest) for path, *rest in entries]]
    )


def default_split(name: str) -> str:
    """The split that a data set has by default."""
    return "odd-even" if name in ("simulated", "utd-mhad") else f"fold:0of{DEFAULT_FOLDS}"


@dataclass(frozen=True)
class DataOptions(Options):
    """Data set and split.

    The recordings that a stage trains on and is scored on; every verb has the same options.
    """

    data: str = option("simulated", DATA_HELP)
    root: str | None = option(None, ROOT_HELP)
    modalities: tuple[str, ...] = option((), "only these sensors")
    split: str | None = option(None, f"{NAMES_OF_SPLITS}; each data set has a default")
    without: tuple[str, ...] = option((), "activities to exclude from training and scoring")
    frame_rate: float | None = option(
        None, "frames per second that all sensors are resampled to, in Hz; default: each its own rate", above=0
    )
    few_labels: str | None = option(
        None,
        f"{FORM}: train with the labels of so many recordings of each activity, of so many people, chosen at random; "
        "the other training recordings count as unlabelled",
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for another form of `few_labels`."""
        super().__post_init__()
        if self.few_labels is not None:
            FewLabels.parse(self.few_labels)

    def train_clips(self, dataset: Dataset, split: Split) -> tuple[Clip, ...]:
        """The training recordings, of which only the chosen ones have labels."""
        clips = split.train_clips(dataset.clips)
        return clips if self.few_labels is None else FewLabels.parse(self.few_labels).keep(clips)

    def load(self) -> Dataset:
        """The data set with the chosen modalities and activities; raises DataError."""
        key = (self.data, self.root)
        report = None if key in _reported else _report
        _reported.add(key)
        dataset = exclude_activities(load(self.data, self.root, self.modalities, report), self.without)
        return dataset if self.frame_rate is None else at_frame_rate(dataset, self.frame_rate)

    def fingerprint(self) -> str:
        """Digest of the data set's files and of these options."""
        given = [value for value in (self.frame_rate, self.few_labels) if value is not None]
        choices = [self.modalities, self.split, *([sorted(self.without)] if self.without else []), *given]
        return digest_of([fingerprint(self.data, self.root), *choices])

    def make_split(self, dataset: Dataset) -> Split:
        """The split, or the data set's default; raises SplitError.

        With fewer people than the default has folds, the test has one of them; recordings of one person are split by
        trial.
        """
        name = self.split or default_split(self.data)
        if self.split is None and name.startswith("fold:"):
            groups = len(groups_of(dataset.subjects))
            name = f"fold:0of{min(groups, DEFAULT_FOLDS)}" if groups > 1 else f"trial:0of{DEFAULT_FOLDS}"
        return make_split(name, dataset.clips)
