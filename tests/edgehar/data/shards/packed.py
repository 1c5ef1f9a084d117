"""Small data sets to pack, and their shards."""

from pathlib import Path

import numpy as np

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.data.shards.index import ShardFolder
from edgehar.data.shards.pack import PackOptions, pack
from edgehar.data.shards.windows import ShardWindows
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

SPECS = (ModalitySpec("watch", 6, "g and deg/s", 50, 8), ModalitySpec("strap", 2, "V", 25, 4, group=1))
CONTINUOUS = WindowSpec("sliding", 4, 0.16, 2)
CLIPS = WindowSpec("clip", 4, 0.16)


def dataset(
    window: WindowSpec, people: int = 4, seconds: float = 12.0, each: int = 2, name: str = "mine", gaps: bool = True
) -> Dataset:
    """Random recordings; with `gaps` some lack a sensor or samples."""
    random = np.random.default_rng(0)
    clips: list[Clip] = []
    for number in range(people * each):
        counts = {spec.name: int(spec.rate_hz * seconds) for spec in SPECS[: 1 + (number % 2 or not gaps)]}
        signals = {
            spec.name: random.standard_normal((counts[spec.name], spec.channels)).astype(np.float32).cumsum(0)
            for spec in SPECS
            if spec.name in counts
        }
        valid = {modality: np.arange(count) % 50 < 50 - gaps * number for modality, count in counts.items()}
        times_s = {spec.name: np.arange(counts[spec.name]) / spec.rate_hz for spec in SPECS if spec.name in counts}
        continuous = window.kind == "sliding"
        clips.append(
            Clip(f"r{number}", f"s{number % people + 1}", str(number), signals, valid,
                 None if continuous or number == 3 else number % 2,
                 times_s if continuous else {},
                 (Segment(0.0, 4.0, 0), Segment(5.0, seconds, number % 2)) if continuous else ())
        )  # fmt: skip
    return Dataset(DatasetInfo(name, SPECS, ("walk", "rest"), window, "me, 2026", "CC0"), tuple(clips))


def packed(
    folder: Path, *datasets: Dataset, shard_mb: float = 0.03, split: str = "all", frame_rate: float | None = None
) -> ShardFolder:
    """Write data sets as recordings and pack them."""
    for one in datasets:
        if not (folder / one.info.name).exists():
            recordings.write(one, folder / one.info.name)
    data = DataOptions(",".join(str(folder / one.info.name) for one in datasets), split=split, frame_rate=frame_rate)
    pack(PackOptions(str(folder / "shards"), shard_mb, data), lambda done, count: None)
    return ShardFolder(str(folder / "shards"))


def windows_of(folder: ShardFolder, memory_mb: float = 1.0, seed: int = 0, source: int = 0) -> ShardWindows:
    """The windows of a packed data set."""
    return ShardWindows(
        folder.sources[source], lambda number: folder.read(source, number), (seed, source), 1e6 * memory_mb
    )
