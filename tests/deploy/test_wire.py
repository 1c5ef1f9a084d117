"""The bytes of the format: what is written without `onnx` is what `onnx` reads, and damage is noticed."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.deploy.runtime.onnx_format.protobuf import (
    field,
    fields,
    matmul_model,
    message,
    number_of,
    numbers,
    rules,
    text,
    texts,
)

RULES = rules(number=(1,), text=(2,), numbers=(3,), texts=(4,))


def test_a_product_written_without_onnx_is_one_onnx_reads() -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = matmul_model(weight, 4)
    onnx.checker.check_model(onnx.load_from_string(data))
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    left = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_allclose(np.asarray(session.run(None, {"left": left})[0]), left @ weight)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=300), st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_what_is_written_is_read(number: int, content: bytes, several: list[int]) -> None:
    data = field(1, number) + field(2, content) + b"".join(field(3, value) for value in several)
    found = message(data, RULES)
    assert number_of(found, 1) == number
    assert text(found, 2) == content
    assert [value % 2**64 for value in numbers(found, 3)] == several
    assert texts(found, 4) == []
    assert list(fields(data))[:2] == [(1, number), (2, content)]


def test_numbers_may_be_packed_and_are_signed() -> None:
    packed = field(3, b"\x01" + b"\xff" * 9 + b"\x01")
    assert numbers(message(packed, RULES), 3) == [1, -1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (field(5, 1), "field 5"),
        (field(1, 1) + field(1, 2), "field 1 twice"),
        (field(2, "abc")[:-1], "beyond the end"),
        (b"\x08" + b"\xff" * 12, "64 bits"),
    ],
)
def test_other_messages_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        message(data, RULES)
