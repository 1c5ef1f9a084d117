"""Recordings as the rows of a Parquet file (extra `shards`: pyarrow), which other programs can read, too.

A row is one recording. Its columns: recording, subject, trial, label (empty: none), segments, and for each sensor its
samples (T * C numbers, time before channels), SENSOR:valid (empty: all) and SENSOR:time_us (empty: without timestamps).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.data.shards.arrow import arrow
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, DatasetInfo, Segment, Times
from edgehar.signals.modality import ModalitySpec

DESCRIBED = ("recording", "subject", "trial", "label", "segments")
MICROSECONDS = 1e6
MOST_HALF_ERROR = 0.05
"""Largest error of half precision in the changes from sample to sample, relative to their root-mean-square."""

Scalar = TypeVar("Scalar", bound=np.generic)


def sample_type(clips: Sequence[Clip], spec: ModalitySpec) -> str:
    """`float16`, or `float32` if half precision would change a sensor's movements noticeably."""
    error = change = 0.0
    for clip in clips:
        if spec.name not in clip.signals:
            continue
        values = clip.signals[spec.name][clip.valid[spec.name]]
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            return "float32"
        moved = np.diff(values, axis=0)
        lost = np.diff(values.astype(np.float16).astype(np.float32), axis=0) - moved
        change += float(np.square(np.nan_to_num(moved), dtype=np.float64).sum())
        error += float(np.square(np.nan_to_num(lost), dtype=np.float64).sum())
    return "float16" if error <= MOST_HALF_ERROR**2 * change else "float32"


def with_rounded_times(clip: Clip) -> Clip:
    """A recording with the timestamps that its row has, in whole microseconds."""
    return replace(clip, times_s={name: _whole(times_s) / MICROSECONDS for name, times_s in clip.times_s.items()})


def _whole(times_s: Times) -> NDArray[np.int64]:
    return np.rint(times_s * MICROSECONDS).astype(np.int64)


def schema_of(info: DatasetInfo, types: Mapping[str, str]) -> Any:
    """The Arrow schema of a shard of these sensors, whose samples have these types."""
    pyarrow = arrow()

    segment = pyarrow.struct([("start_s", pyarrow.float64()), ("end_s", pyarrow.float64()), ("label", pyarrow.int32())])
    fields = [
        ("recording", pyarrow.string()),
        ("subject", pyarrow.string()),
        ("trial", pyarrow.string()),
        ("label", pyarrow.int32()),
        ("segments", pyarrow.list_(segment)),
    ]
    for spec in info.modalities:
        samples = pyarrow.float16() if types[spec.name] == "float16" else pyarrow.float32()
        fields += [
            (spec.name, pyarrow.list_(samples)),
            (f"{spec.name}:valid", pyarrow.list_(pyarrow.bool_())),
            (f"{spec.name}:time_us", pyarrow.list_(pyarrow.int64())),
        ]
    return pyarrow.schema(fields)


def _lists(arrays: Sequence[NDArray[Any] | None], dtype: Any) -> Any:
    """A column of lists; None is an empty entry."""
    pyarrow = arrow()

    ends = np.cumsum([0, *(0 if array is None else array.size for array in arrays)])
    values = [array.ravel() for array in arrays if array is not None]
    return pyarrow.ListArray.from_arrays(
        pyarrow.array(ends.astype(np.int32)),
        pyarrow.array(np.concatenate(values) if values else np.zeros(0, dtype), from_pandas=False),
        mask=pyarrow.array([array is None for array in arrays]),
    )


def to_bytes(clips: Sequence[Clip], info: DatasetInfo, types: Mapping[str, str]) -> bytes:
    """A Parquet file of these recordings."""
    pyarrow = arrow()

    schema = schema_of(info, types)
    segments = [
        [{"start_s": span.start_s, "end_s": span.end_s, "label": span.label} for span in clip.segments]
        for clip in clips
    ]
    columns: list[Any] = [
        pyarrow.array([clip.name for clip in clips]),
        pyarrow.array([clip.subject for clip in clips]),
        pyarrow.array([clip.trial for clip in clips]),
        pyarrow.array([clip.label for clip in clips], pyarrow.int32()),
        pyarrow.array(segments, schema.field("segments").type),
    ]
    encodings: dict[str, str] = {}
    for spec in info.modalities:
        name, samples = spec.name, np.dtype(types[spec.name])
        signals = [clip.signals.get(name) for clip in clips]
        valid = [clip.valid.get(name) for clip in clips]
        times = [clip.times_s.get(name) for clip in clips]
        columns += [
            _lists([None if values is None else values.astype(samples) for values in signals], samples),
            _lists([None if flags is None or flags.all() else flags for flags in valid], np.bool_),
            _lists([None if at is None else _whole(at) for at in times], np.int64),
        ]
        encodings |= {
            f"{name}.list.element": "BYTE_STREAM_SPLIT",
            f"{name}:time_us.list.element": "DELTA_BINARY_PACKED",
        }
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_arrays(columns, schema=schema), sink, compression="zstd", use_dictionary=False,
        column_encoding=encodings, row_group_size=max(len(clips), 1),
    )  # fmt: skip
    return sink.getvalue().to_pybytes()


def _arrays(column: Any) -> Callable[[int], NDArray[Any] | None]:
    """The list of a row as an array, or None where it is empty."""
    lists = column.combine_chunks()
    ends, values = lists.offsets.to_numpy(), lists.values.to_numpy(zero_copy_only=False)
    absent = lists.is_null().to_numpy(zero_copy_only=False)
    return lambda row: None if absent[row] else values[ends[row] : ends[row + 1]]


def _of_length(values: NDArray[Scalar], length: int, name: str) -> NDArray[Scalar]:
    if len(values) != length:
        raise DataError(f"{name} has {len(values)} entries, expected {length}")
    return values


def from_bytes(data: bytes, info: DatasetInfo, types: Mapping[str, str]) -> Iterator[Clip]:
    """Inverse of `to_bytes`, one recording at a time; raises DataError for a file of other sensors."""
    pyarrow = arrow()

    schema = schema_of(info, types)
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(data), use_threads=False)
    except (pyarrow.ArrowException, OSError) as problem:
        raise DataError(f"no Parquet file that can be read ({problem})") from None
    if not table.schema.equals(schema):
        raise DataError(f"found the columns {', '.join(table.schema.names)}, expected {', '.join(schema.names)}")
    texts: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in DESCRIBED}
    of = {field.name: _arrays(table.column(field.name)) for field in schema if field.name not in texts}
    for row in range(len(texts["recording"])):
        clip = Clip(texts["recording"][row], texts["subject"][row], texts["trial"][row], {}, {}, texts["label"][row])
        for spec in info.modalities:
            samples, valid, time_us = (of[spec.name + part](row) for part in ("", ":valid", ":time_us"))
            if samples is None:
                continue
            length = len(samples) // spec.channels
            _of_length(samples, length * spec.channels, spec.name)
            clip.signals[spec.name] = samples.astype(np.float32).reshape(length, spec.channels)
            clip.valid[spec.name] = np.ones(length, bool) if valid is None else _of_length(valid, length, spec.name)
            if time_us is not None:
                clip.times_s[spec.name] = _of_length(time_us, length, spec.name) / MICROSECONDS
        yield Clip(
            clip.name, clip.subject, clip.trial, clip.signals, clip.valid, clip.label, clip.times_s,
            tuple(Segment(**span) for span in texts["segments"][row]),
        )  # fmt: skip
