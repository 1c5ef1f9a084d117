"""The list of a folder's shards, shards.json: what each data set declares, who was recorded, and the size of each file.

The folder is local or in an object store (s3://bucket/folder and other addresses that Arrow's file systems know).
"""

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgehar import __version__
from edgehar.data.pretraining import window_hours
from edgehar.data.registry import SHARDS_NAME
from edgehar.data.shards.arrow import arrow
from edgehar.data.splits import people_in
from edgehar.errors import DataError
from edgehar.files.atomic import digest_of
from edgehar.files.strict_json import strict_json
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.preprocess import Normalisation

FORMAT, FORMAT_VERSION = "edgehar-shards", 1
Item = TypeVar("Item")

CURE = "copy the shard again, or pack the recordings again"


def windows_bytes(info: DatasetInfo, steps: int, windows: int) -> int:
    """Memory of windows: features of each step in single precision, validity; three numbers for each window."""
    return steps * sum(4 * spec.patch * spec.groups * spec.features + 1 for spec in info.modalities) + windows * 24


def groups_by_size(items: Iterable[Item], size_of: Callable[[Item], float], most: float) -> list[list[Item]]:
    """Consecutive items in groups of at most this size in all, or of one that is larger."""
    groups: list[list[Item]] = []
    size = 0.0
    for item in items:
        more = size_of(item)
        if not groups or size + more > most:
            groups.append([])
            size = 0.0
        groups[-1].append(item)
        size += more
    return groups


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        size: in bytes.
        checksum: CRC-32 of these bytes.
        windows: windows of its recordings.
        steps: steps of its recordings.
    """

    size: int
    checksum: int
    windows: int
    steps: int


@dataclass(frozen=True)
class PackedSource:
    """One packed data set.

    Attributes:
        info: its sensors, labels and window.
        normalisation: scales of its recordings.
        types: modality -> type of its samples, float16 or float32.
        stored: data set, split and people, see `edgehar.data.pretraining`.
        classes: number of labels that windows have.
        shards: its files, in the order of their numbers.
    """

    info: DatasetInfo
    normalisation: Normalisation
    types: dict[str, str]
    stored: dict[str, Any]
    classes: int
    shards: tuple[Shard, ...]

    @property
    def people(self) -> int:
        """Number of people."""
        return len(people_in(self.stored["train_subjects"]))

    @property
    def windows(self) -> int:
        """Number of windows N."""
        return sum(shard.windows for shard in self.shards)

    @property
    def hours(self) -> float:
        """Duration of the recordings."""
        return window_hours(self.info, self.windows)

    def bytes_of(self, shard: Shard) -> int:
        """Memory that the windows of a shard take."""
        return windows_bytes(self.info, shard.steps, shard.windows)

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        return {
            "info": self.info.to_json(),
            "normalisation": self.normalisation.to_json(),
            "types": self.types,
            "stored": self.stored,
            "classes": self.classes,
            "shards": [[shard.size, shard.checksum, shard.windows, shard.steps] for shard in self.shards],
        }

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "PackedSource":
        """A source from its JSON form; raises DataError, KeyError, TypeError or ValueError for another structure."""
        source = PackedSource(
            DatasetInfo.from_json(entry["info"]),
            Normalisation.from_json(entry["normalisation"]),
            {str(name): str(kind) for name, kind in entry["types"].items()},
            dict(entry["stored"]),
            int(entry["classes"]),
            tuple(Shard(*map(int, shard)) for shard in entry["shards"]),
        )
        specs = source.info.modalities
        if set(source.types) != {spec.name for spec in specs} or not set(source.types.values()) <= {
            "float16",
            "float32",
        }:
            raise DataError(f"types: found {source.types}, expected float16 or float32 for each sensor")
        if not all(source.normalisation.is_usable(spec) for spec in specs):
            raise DataError("normalisation: expected finite scales above 0 for each sensor")
        if not source.shards or min(min(shard.size, shard.windows, shard.steps) for shard in source.shards) < 1:
            raise DataError("shards: expected one or more, of numbers above 0")
        lacking = {"data", "name", "split", "train_subjects", "train_recordings"} - set(source.stored)
        if lacking or not isinstance(source.stored["train_subjects"], list):
            raise DataError(f"stored: found no {', '.join(sorted(lacking)) or 'people'}, expected the data set's")
        return source


def shard_name(source: int, number: int) -> str:
    """File of a shard within the folder."""
    return f"{source}/{number:06d}.parquet"


class ShardFolder:
    """A folder of shards.

    Attributes:
        name: the folder as given.
        sources: the packed data sets.
        frame_rate: frames per second for which they were packed.
        fingerprint: changes with the contents.
    """

    def __init__(self, name: str) -> None:
        """Read the list and check that every file is there.

        Raises DataError if the list is damaged or of another version, or a file is missing or of another size.
        """
        self._arrow = arrow()
        files = self._arrow.fs
        self.name = name
        if is_address(name):
            try:
                self._files, self._root = files.FileSystem.from_uri(name)
            except (OSError, ValueError) as problem:  # pyarrow's own errors are among these
                raise DataError(f"{name}: no such store ({problem}); correct the address") from None
        else:
            self._files, self._root = files.LocalFileSystem(), str(Path(name).resolve())
        text = self._read(SHARDS_NAME)
        self.fingerprint = digest_of(text.decode(errors="replace"))
        try:
            entry = strict_json(text)
            if entry["format"] != FORMAT or entry["format_version"] != FORMAT_VERSION:
                raise DataError(
                    f"format {entry['format']!r}, version {entry['format_version']!r}; expected {FORMAT}, 1"
                )
            self.frame_rate = float(entry["frame_rate"])
            self.sources = [PackedSource.from_json(source) for source in entry["sources"]]
            if not self.sources:
                raise DataError("found no data set, expected one or more")
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as problem:
            raise DataError(
                f"{name}/{SHARDS_NAME}: damaged or of another version ({problem}); pack the recordings again"
            ) from None
        self._check_files()

    def _check_files(self) -> None:
        for number, source in enumerate(self.sources):
            selector = self._arrow.fs.FileSelector(f"{self._root}/{number}", allow_not_found=True)
            sizes: dict[str, int] = {info.base_name: info.size for info in self._files.get_file_info(selector)}
            for index, shard in enumerate(source.shards):
                name = shard_name(number, index)
                size = sizes.get(name.partition("/")[2])
                if size != shard.size:
                    found = "no such file" if size is None else f"{size} bytes"
                    raise DataError(f"{self.name}/{name}: {found}, expected {shard.size} bytes; {CURE}")

    def _read(self, name: str) -> bytes:
        try:
            with self._files.open_input_stream(f"{self._root}/{name}") as stream:
                return stream.read()
        except FileNotFoundError:
            raise DataError(
                f"{self.name}/{name}: no such file; expected shards; make them with: edgehar data pack"
            ) from None
        except OSError as problem:
            raise DataError(
                f"{self.name}/{name}: cannot be read ({problem}); check the store; the same command resumes"
            ) from None

    def read(self, source: int, number: int) -> bytes:
        """The bytes of a shard; raises DataError if they cannot be read, or are others than were packed."""
        name, shard = shard_name(source, number), self.sources[source].shards[number]
        data = self._read(name)
        if zlib.crc32(data) != shard.checksum:
            raise DataError(
                f"{self.name}/{name}: damaged, or another shard (checksum {zlib.crc32(data):08x}, expected "
                f"{shard.checksum:08x}); {CURE}"
            )
        return data


def is_address(name: str) -> bool:
    """Whether data is the address of a folder in a store, such as s3://bucket/folder."""
    return "://" in name


def is_shards(name: str) -> bool:
    """Whether data is a folder of shards."""
    return is_address(name) or (Path(name) / SHARDS_NAME).is_file()


def index_text(sources: list[PackedSource], frame_rate: float) -> str:
    """The contents of shards.json."""
    entry = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "edgehar": __version__,
        "frame_rate": frame_rate,
        "sources": [source.to_json() for source in sources],
    }
    return json.dumps(entry, ensure_ascii=False) + "\n"
