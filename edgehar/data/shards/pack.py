"""Packs the recordings of data sets into shards, `edgehar data pack`."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.config import Options, group, option
from edgehar.data.parts import cut_into_parts
from edgehar.data.pretraining import FRAME_RATE_HZ, options_of, training_recordings
from edgehar.data.recordings.folder import check_new
from edgehar.data.registry import SHARDS_NAME, DataOptions
from edgehar.data.shards.arrow import arrow
from edgehar.data.shards.index import PackedSource, Shard, index_text, shard_name
from edgehar.data.shards.table import sample_type, to_bytes
from edgehar.files.atomic import atomic_folder, locked
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.steps import ContinuousSteps
from edgehar.signals.windows import fit_normalisation, too_short, window_label, window_starts

PART_S = 300.0
"""Longer recordings are cut into parts of about this length, so that a shard holds those of several people."""


@dataclass(frozen=True)
class PackOptions(Options):
    """Options of `edgehar data pack`."""

    out: str = option(MISSING, "new folder of shards to write")
    shard_mb: float = option(8.0, "megabytes of samples in a shard, before compression", above=0)
    data: DataOptions = group(DataOptions)


def window_spans(clip: Clip, info: DatasetInfo) -> tuple[int, list[tuple[float, float]]]:
    """Number of steps of a recording, and start and end of each of its windows in seconds."""
    window = info.window
    if window.kind == "clip":
        return window.steps, [(0.0, window.length_s)]
    steps = ContinuousSteps.of(clip, info, Normalisation.identity(info.modalities)).count
    starts = window_starts(steps, info).tolist()
    return steps, [(start * window.step_s, (start + window.steps) * window.step_s) for start in starts]


def _by_size(clips: Sequence[Clip], types: dict[str, str], most_bytes: float) -> Iterator[list[Clip]]:
    """Consecutive recordings whose samples take `most_bytes` or little more."""
    part: list[Clip] = []
    size = 0
    for clip in clips:
        part.append(clip)
        size += sum(values.size * np.dtype(types[name]).itemsize for name, values in clip.signals.items())
        if size >= most_bytes:
            yield part
            part, size = [], 0
    if part:
        yield part


def _pack_one(
    options: DataOptions, folder: Path, number: int, most_bytes: float, progress: Callable[[int, int], None]
) -> PackedSource:
    """Write the shards of one data set."""
    recordings = training_recordings(options)
    info, dataset = recordings.dataset.info, recordings.dataset
    if info.window.kind == "sliding":
        dataset = cut_into_parts(dataset, max(PART_S, info.window.length_s))
    spans = {clip.name: window_spans(clip, info) for clip in dataset.clips}
    clips = [clip for clip in dataset.clips if spans[clip.name][1]]
    if not clips:
        raise too_short(info)
    order: list[int] = np.random.default_rng(0).permutation(len(clips)).tolist()
    clips = [clips[index] for index in order]  # a shard holds recordings of many people
    source = PackedSource(
        info,
        fit_normalisation(Dataset(info, tuple(clips)), recordings.dataset.subjects),
        {spec.name: sample_type(clips, spec) for spec in info.modalities},
        recordings.stored,
        len({label for clip in clips for span in spans[clip.name][1] if (label := window_label(clip, *span)) >= 0}),
        (),
    )
    shards: list[Shard] = []
    done = 0
    for part in _by_size(clips, source.types, most_bytes):
        data = to_bytes(part, info, source.types)
        path = folder / shard_name(number, len(shards))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        steps = sum(spans[clip.name][0] for clip in part)
        windows = sum(len(spans[clip.name][1]) for clip in part)
        shards.append(Shard(len(data), zlib.crc32(data), windows, steps))
        done += len(part)
        progress(done, len(clips))
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
