"""Shards: the windows of the recordings, each once per epoch, and errors for files that are not as packed."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgehar.cli import main
from edgehar.data.pretraining import training_recordings
from edgehar.data.registry import DataOptions
from edgehar.data.shards.index import PackedSource, ShardFolder
from edgehar.data.shards.table import sample_type
from edgehar.data.shards.windows import epoch_of
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Clip
from edgehar.signals.windows import cut, fit_normalisation
from tests.edgehar.data.shards.packed import CLIPS, CONTINUOUS, SPECS, dataset, packed, windows_of


def rows_of(features: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """All numbers of each window."""
    return np.concatenate([array.reshape(len(array), -1) for array in features.values()], 1).astype(np.float64)


@pytest.mark.parametrize("window", [CONTINUOUS, CLIPS], ids=["continuous", "clips"])
def test_an_epoch_has_the_windows_of_the_recordings(tmp_path: Path, window: Any):
    folder = packed(tmp_path, dataset(window), shard_mb=0.005)
    trained = training_recordings(DataOptions(str(tmp_path / "mine"), split="all", frame_rate=50)).dataset
    expected = cut(trained.clips, trained.info, fit_normalisation(trained, trained.subjects))
    windows = windows_of(folder)
    assert len(folder.sources[0].shards) > 2
    assert folder.sources[0].people == 4
    assert len(windows) == len(expected)
    features, valid, label = windows.batch(0, len(windows))
    assert {name: array.shape for name, array in features.items()} == {
        name: array.shape for name, array in expected.features.items()
    }
    assert {name: int(array.sum()) for name, array in valid.items()} == {
        name: int(array.sum()) for name, array in expected.valid.items()
    }
    found, wanted = rows_of(features), rows_of(expected.features)
    nearest = (np.square(wanted).sum(1) - 2 * found @ wanted.T).argmin(1)
    assert sorted(nearest.tolist()) == list(range(len(expected)))
    np.testing.assert_allclose(found, wanted[nearest], atol=0.05)  # half precision
    assert label.tolist() == expected.label[nearest].tolist()


def test_the_order_changes_with_epoch_and_seed_and_needs_no_history(tmp_path: Path):
    folder = packed(tmp_path, dataset(CONTINUOUS, each=4), shard_mb=0.001)
    size = 7
    count = len(windows_of(folder))

    def batches(numbers: range, seed: int = 0, memory_mb: float = 0.2) -> list[bytes]:
        windows = windows_of(folder, memory_mb, seed)
        return [windows.batch(number, size)[0]["watch"].tobytes() for number in numbers]

    def single(start: int, seed: int = 0) -> list[bytes]:
        windows = windows_of(folder, 0.2, seed)
        return [windows.batch(number, 1)[0]["watch"].tobytes() for number in range(start, start + count)]

    source = folder.sources[0]
    assert len(epoch_of(source, 1e5, (0,)).groups) > 3
    everything = batches(range(2 * count // size))
    resumed = count // size - 3
    assert batches(range(resumed, 2 * count // size)) == everything[resumed:]  # over the end of an epoch
    first, second, other = single(0), single(count), single(0, seed=1)
    assert sorted(first) == sorted(second) == sorted(other)
    assert len({*map(tuple, (first, second, other))}) == 3


def test_a_shard_that_does_not_fit_twice_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"mine: a shard takes .* raise --memory-mb, or pack .* --shard-mb"):
        windows_of(packed(tmp_path, dataset(CONTINUOUS)), memory_mb=0.01)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(("change", "found"), [(_truncated, r"\d+ bytes, expected"), (_removed, "no such file")])
def test_a_shard_of_another_size_is_found_at_the_start(tmp_path: Path, change: Callable[[Path], None], found: str):
    folder = packed(tmp_path, dataset(CONTINUOUS))
    change(tmp_path / "shards" / "0" / "000001.parquet")
    with pytest.raises(DataError, match=f"0/000001.parquet: {found}"):
        ShardFolder(folder.name)


def test_a_damaged_byte_or_another_shard_is_found(tmp_path: Path):
    folder = packed(tmp_path, dataset(CONTINUOUS))
    path, other = (tmp_path / "shards" / "0" / f"00000{number}.parquet" for number in (1, 0))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    for content in (bytes(damaged), other.read_bytes()):
        path.write_bytes(content)
        windows = windows_of(folder)
        with pytest.raises(DataError, match=r"shards/0/000001\.parquet: damaged, or another shard .*; copy the shard"):
            windows.batch(0, len(windows))


def test_shards_of_other_sensors_are_an_error(tmp_path: Path):
    folder = packed(tmp_path, dataset(CONTINUOUS))
    windows = windows_of(folder)
    windows.source = replace(windows.source, types={"watch": "float32", "strap": "float16"})
    with pytest.raises(DataError, match=r"mine, shard \d: found the columns recording, .*; pack the recordings again"):
        windows.batch(0, 1)


@pytest.mark.parametrize("text", ["{}", "[1]", '{"format": "edgehar-shards", "format_version": 2}', '{"for'])
def test_a_list_that_is_no_list_of_shards_is_an_error(tmp_path: Path, text: str):
    folder = packed(tmp_path, dataset(CLIPS))
    (tmp_path / "shards" / "shards.json").write_text(text)
    with pytest.raises(DataError, match=r"shards\.json: damaged or of another version .*; pack the recordings again"):
        ShardFolder(folder.name)


def test_half_precision_where_it_is_enough(tmp_path: Path):
    still = Clip("r", "s", "1", {"watch": np.full((200, 6), 1013.0, np.float32)}, {"watch": np.ones(200, bool)})
    moving = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)

    def of(values: NDArray[np.float32]) -> str:
        return sample_type([replace(still, signals={"watch": values})], SPECS[0])

    assert of(moving) == of(9.81 + moving) == "float16"
    assert of(1013 + 0.1 * moving) == "float32"  # a barometer in hPa
    assert of(70_000 * moving) == "float32"


def test_only_training_people_are_packed_and_the_list_names_them(tmp_path: Path):
    source: PackedSource = packed(tmp_path, dataset(CONTINUOUS), split="odd-even").sources[0]
    assert source.stored["train_subjects"] == ["s1", "s3"]
    assert (source.stored["name"], source.stored["split"]) == ("mine", "odd-even")
    assert source.people == 2


def test_long_recordings_are_packed_in_parts(tmp_path: Path):
    folder = packed(tmp_path, dataset(CONTINUOUS, people=2, seconds=700.0, each=1), shard_mb=0.1)
    assert len(folder.sources[0].shards) == 4
    assert folder.sources[0].windows == 4 * ((int(350 / 0.16 + 1e-9) - 4) // 2 + 1)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    packed(tmp_path, dataset(CLIPS), dataset(CONTINUOUS, name="other"))
    words = ["data", "pack", "--data", f"{tmp_path}/mine,{tmp_path}/other", "--out", str(tmp_path / "again")]
    assert main([*words, "--split", "all"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mine: 4 people, ")
    assert "\nother: 4 people, " in out
    assert main(words) == 2
    assert "not empty; expected a new or empty folder" in capsys.readouterr().err
    assert main(["data", "info", str(tmp_path / "again")]) == 2
    assert "shards, which only edgehar pretrain reads; expected" in capsys.readouterr().err


READ_AN_EPOCH = """
import resource, sys
from edgehar.data.shards.index import ShardFolder
from edgehar.data.shards.table import from_bytes
from edgehar.data.shards.windows import ShardWindows

folder = ShardFolder(sys.argv[1])
source = folder.sources[0]
sum(1 for _ in from_bytes(folder.read(0, 0), source.info, source.types))  # the memory of pyarrow itself
windows = ShardWindows(source, lambda number: folder.read(0, number), (0,), 1e6 * float(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
labels = [windows.batch(number, 16)[2] for number in range(len(windows) // 16)]
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
"""


def test_windows_that_do_not_fit_into_the_memory_are_read_within_it(tmp_path: Path):
    # 800 frames per second: few samples make many megabytes of windows.
    folder = packed(tmp_path, dataset(CONTINUOUS, seconds=50.0, each=6), frame_rate=800.0)
    source, memory_mb = folder.sources[0], 8
    assert sum(map(source.bytes_of, source.shards)) > 5 * 1e6 * memory_mb
    command = [sys.executable, "-c", READ_AN_EPOCH, folder.name, str(memory_mb)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.25 * memory_mb


def test_timestamps_a_little_before_the_end_of_a_step(tmp_path: Path):
    # Half a microsecond less than 12 steps: as many steps when packed and when read.
    whole = dataset(CONTINUOUS, each=1, gaps=False)

    def ending(clip: Clip, end_s: float) -> Clip:
        times_s = {name: each * end_s / each[-1] for name, each in clip.times_s.items()}
        return replace(clip, times_s=times_s, segments=())

    clips = tuple(ending(clip, 1.92 - 4e-7) for clip in whole.clips)
    folder = packed(tmp_path, replace(whole, clips=clips))
    assert windows_of(folder).batch(0, 4)[2].shape == (4,)
