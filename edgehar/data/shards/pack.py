"""Packs the recordings of data sets into shards, `edgehar data pack`."""

import zlib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.config import Options, group, option
from edgehar.data.parts import cut_into_parts
from edgehar.data.pretraining import FRAME_RATE_HZ, options_of, training_recordings
from edgehar.data.recordings.folder import check_new
from edgehar.data.registry import SHARDS_NAME, DataOptions
from edgehar.data.shards.arrow import arrow
from edgehar.data.shards.index import PackedSource, Shard, groups_by_size, index_text, shard_name, windows_bytes
from edgehar.data.shards.table import sample_type, to_bytes, with_rounded_times
from edgehar.files.atomic import atomic_folder, locked
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.steps import ContinuousSteps
from edgehar.signals.windows import (  # fmt: skip
    UNLABELLED,
    fit_normalisation,
    too_short,
    window_label,
    window_spans,
    window_starts,
)

PART_S = 300.0
"""Longer recordings are cut into parts of about this length, so that a shard holds those of several people."""


@dataclass(frozen=True)
class PackOptions(Options):
    """Options of `edgehar data pack`."""

    out: str = option(MISSING, "new folder of shards to write")
    shard_mb: float = option(16.0, "megabytes that the windows of a shard take in memory", above=0)
    data: DataOptions = group(DataOptions)


@dataclass(frozen=True)
class _Recording:
    """A recording, its number of steps, and start and end of each of its windows in seconds."""

    clip: Clip
    steps: int
    spans: list[tuple[float, float]]

    @staticmethod
    def of(clip: Clip, info: DatasetInfo) -> "_Recording":
        if info.window.kind == "clip":
            return _Recording(clip, info.window.steps, [(0.0, info.window.length_s)])
        steps = ContinuousSteps.of(clip, info, Normalisation.identity(info.modalities)).count
        return _Recording(clip, steps, window_spans(window_starts(steps, info), info.window))


def _pack_one(
    options: DataOptions, folder: Path, number: int, most_bytes: float, progress: Callable[[int, int], None]
) -> PackedSource:
    """Write the shards of one data set."""
    recordings = training_recordings(options)
    info, dataset = recordings.dataset.info, recordings.dataset
    if info.window.kind == "sliding":
        dataset = cut_into_parts(dataset, max(PART_S, info.window.length_s))
    found = [_Recording.of(with_rounded_times(clip), info) for clip in dataset.clips]
    found = [recording for recording in found if recording.spans]
    if not found:
        raise too_short(info)
    order: list[int] = np.random.default_rng(0).permutation(len(found)).tolist()
    found = [found[index] for index in order]  # a shard holds recordings of many people
    clips = [recording.clip for recording in found]
    labels = {window_label(recording.clip, *span) for recording in found for span in recording.spans}
    source = PackedSource(
        info,
        fit_normalisation(Dataset(info, tuple(clips)), recordings.dataset.subjects),
        {spec.name: sample_type(clips, spec) for spec in info.modalities},
        recordings.stored,
        len(labels - {UNLABELLED}),
        (),
    )
    shards: list[Shard] = []
    done = 0
    parts = groups_by_size(found, lambda one: windows_bytes(info, one.steps, len(one.spans)), most_bytes)
    for part in parts:
        data = to_bytes([recording.clip for recording in part], info, source.types)
        path = folder / shard_name(number, len(shards))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        steps = sum(recording.steps for recording in part)
        windows = sum(len(recording.spans) for recording in part)
        shards.append(Shard(len(data), zlib.crc32(data), windows, steps))
        done += len(part)
        progress(done, len(found))
    return replace(source, shards=tuple(shards))


def pack(options: PackOptions, progress: Callable[[int, int], None]) -> list[PackedSource]:
    """Write shards of the recordings of the training people of each data set; `progress` gets recordings done and all.

    Raises:
        ConfigError: a data set is given twice.
        DataError: the folder is not empty, or recordings cannot be loaded.
    """
    arrow()  # before the recordings are read
    out = Path(options.out)
    check_new(out)
    rate = options.data.frame_rate or FRAME_RATE_HZ
    chosen = [replace(each, frame_rate=rate) for each in options_of(options.data)]
    with locked(out), atomic_folder(out) as folder:
        sources = [
            _pack_one(each, folder, number, 1e6 * options.shard_mb, progress) for number, each in enumerate(chosen)
        ]
        (folder / SHARDS_NAME).write_text(index_text(sources, rate), encoding="utf-8")
    return sources
