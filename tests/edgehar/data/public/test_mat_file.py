"""MATLAB files: arrays as MATLAB stores them, and one DataError for each file that cannot be read."""

import contextlib
import io
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgehar.data.public.mat_file import HEADER_BYTES, read_mat
from edgehar.errors import DataError

DTYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


def mat_bytes(variables: dict[str, object], compressed: bool) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


def recompressed(data: bytes) -> bytes:
    """The variables of an uncompressed file in one compressed element, with a valid checksum."""
    packed = zlib.compress(data[HEADER_BYTES:])
    return data[:HEADER_BYTES] + struct.pack("<II", 15, len(packed)) + packed


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5))
    return draw(hnp.arrays(dtype, shape))


@settings(max_examples=60, deadline=None)
@given(array=arrays(), compressed=st.booleans())
def test_reads_the_array_that_was_written(array: np.ndarray, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        path.write_bytes(mat_bytes({"first": np.eye(2), "text": "other", "wanted": array}, compressed))
        read = read_mat(path, "wanted")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_double_stored_in_fewer_bytes_is_a_double(tmp_path: Path) -> None:
    data = bytearray(mat_bytes({"wanted": np.arange(15, dtype="i2").reshape(3, 5)}, False))
    data[HEADER_BYTES + 16] = 6  # MATLAB stores a double array of small whole numbers like this
    path = tmp_path / "x.mat"
    path.write_bytes(data)
    read = read_mat(path, "wanted")
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, np.arange(15.0).reshape(3, 5))


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_anywhere_is_a_data_error(tmp_path: Path, compressed: bool) -> None:
    whole = mat_bytes({"wanted": np.arange(15.0).reshape(3, 5)}, compressed)
    path = tmp_path / "x.mat"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"x\.mat: .*MATLAB 5"):
            read_mat(path, "wanted")


@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(HEADER_BYTES, 400),
    value=st.integers(0, 255),
    layout=st.sampled_from(["plain", "compressed", "recompressed"]),
)
def test_a_damaged_byte_raises_nothing_but_a_data_error(position: int, value: int, layout: str) -> None:
    data = bytearray(mat_bytes({"wanted": np.arange(15, dtype="i2").reshape(3, 5)}, layout == "compressed"))
    data[min(position, len(data) - 1)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        path.write_bytes(recompressed(bytes(data)) if layout == "recompressed" else data)
        with contextlib.suppress(DataError):
            read_mat(path, "wanted")


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=400))
def test_garbage_after_the_header_raises_nothing_but_a_data_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + content)
        with pytest.raises(DataError, match=r"x\.mat: "):
            read_mat(path, "wanted")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("number_type", [0, 8, 11, 200])
def test_an_undefined_number_type_is_refused(tmp_path: Path, number_type: int, compressed: bool) -> None:
    # scipy itself crashes on these
    data = bytearray(mat_bytes({"wanted": np.arange(15.0).reshape(3, 5)}, False))
    data[HEADER_BYTES + 56] = number_type
    path = tmp_path / "x.mat"
    path.write_bytes(recompressed(bytes(data)) if compressed else data)
    with pytest.raises(DataError, match=f"type {number_type}"):
        read_mat(path, "wanted")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"other": np.eye(2)}, "other"),
        ({"wanted": "text"}, "char"),
        ({"wanted": np.eye(2) * 1j}, "complex"),
        ({"wanted": {"field": 1}}, "struct"),
    ],
)
def test_the_error_names_what_was_found(tmp_path: Path, variables: dict[str, object], found: str) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(mat_bytes(variables, True))
    with pytest.raises(DataError, match=f"found .*{found}.*; expected"):
        read_mat(path, "wanted")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(200), r"a MATLAB 7\.3 file \(HDF5\)"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(99), r"a MATLAB 7\.3 file \(HDF5\)"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + bytes(99), "a big-endian MATLAB 5 file"),
        (b"%PDF-1.7".ljust(300), "no MATLAB file"),
    ],
    ids=["hdf5", "matlab 7.3", "big-endian", "pdf"],
)
def test_other_formats_are_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"found {found}; expected .*MATLAB 5 .*; save it in MATLAB with -v7"):
        read_mat(path, "wanted")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_named_as_such(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(mat_bytes({"wanted": np.arange(15.0).reshape(3, 5)}, compressed)[:-20])
    with pytest.raises(DataError, match=r"found a damaged or truncated file \(.+\); expected .*; fetch the file again"):
        read_mat(path, "wanted")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.mat"):
        read_mat(tmp_path / "absent.mat", "wanted")


def test_a_board_without_scipy_is_told_to_convert(tmp_path: Path) -> None:
    path = tmp_path / "Skeleton" / "a1_s1_t1_skeleton.mat"
    path.parent.mkdir()
    path.write_bytes(mat_bytes({"d_skel": np.zeros((20, 3, 4))}, True))
    program = "import sys; sys.modules['scipy'] = None; from edgehar.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "data", "info", "utd-mhad", "--root", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "edgehar data convert" in run.stderr
    assert "pip install 'edgehar[train]'" in run.stderr
    assert run.stderr.count("\n") == 1
