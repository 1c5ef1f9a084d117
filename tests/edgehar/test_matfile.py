"""The MATLAB reader agrees with scipy, and refuses what it cannot read with one DataError."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgehar.data.matlab5 import read_mat
from edgehar.errors import DataError

DTYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


def mat_bytes(variables: dict[str, object], compressed: bool) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5))
    return draw(hnp.arrays(dtype, shape))


@settings(max_examples=60, deadline=None)
@given(array=arrays(), compressed=st.booleans())
def test_reads_what_scipy_writes(array: np.ndarray, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        path.write_bytes(mat_bytes({"first": np.eye(2), "text": "other", "wanted": array}, compressed))
        read = read_mat(path, "wanted")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("compressed", [False, True])
def test_cut_off_anywhere_is_a_data_error(tmp_path: Path, compressed: bool) -> None:
    whole = mat_bytes({"wanted": np.arange(15.0).reshape(3, 5)}, compressed)
    path = tmp_path / "x.mat"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="expected a little-endian MATLAB 5 file"):
            read_mat(path, "wanted")


@settings(max_examples=300, deadline=None)
@given(position=st.integers(128, 400), value=st.integers(0, 255), compressed=st.booleans())
def test_a_damaged_byte_is_read_or_refused_never_another_error(position: int, value: int, compressed: bool) -> None:
    data = bytearray(mat_bytes({"wanted": np.arange(15, dtype="i2").reshape(3, 5)}, compressed))
    data[min(position, len(data) - 1)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            read_mat(path, "wanted")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"other": np.eye(2)}, "the variables other, no 'wanted'"),
        ({"wanted": "text"}, "char array"),
        ({"wanted": np.eye(2) * 1j}, "complex array"),
        ({"wanted": {"field": 1}}, "struct array"),
    ],
)
def test_says_what_was_found(tmp_path: Path, variables: dict[str, object], found: str) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(mat_bytes(variables, True))
    with pytest.raises(DataError, match=found):
        read_mat(path, "wanted")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(99), "HDF5"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + bytes(99), "where the version belongs"),
        (b"", "0 bytes"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=found):
        read_mat(path, "wanted")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_mat(tmp_path / "absent.mat", "wanted")


def test_equals_scipy_on_real_files(data_root: Path) -> None:
    folder = data_root / "utd-mhad"
    for path in sorted(folder.glob("*/a1_s1_t*.mat")) + sorted(folder.glob("*/a27_s8_t1_*.mat")):
        kind = path.stem.rsplit("_", 1)[1]
        variable = {"skeleton": "d_skel", "inertial": "d_iner", "depth": "d_depth"}[kind]
        expected = scipy.io.loadmat(path, mat_dtype=True)[variable]
        read = read_mat(path, variable)
        assert read.dtype == expected.dtype
        np.testing.assert_array_equal(read, expected)
