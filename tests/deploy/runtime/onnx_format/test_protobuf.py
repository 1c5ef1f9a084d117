"""Tests of the protocol buffer wire format."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.deploy.runtime.onnx_format.protobuf import (
    allow_fields,
    blob,
    blobs,
    decode_fields,
    decode_message,
    encode_field,
    integer,
    integers,
    matmul_model,
)

ALLOWED = allow_fields(integer=(1,), blob=(2,), integers=(3,), blobs=(4,))


def test_matmul_model_is_valid_onnx() -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = matmul_model(weight)
    onnx.checker.check_model(onnx.load_from_string(data))
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    left = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_allclose(np.asarray(session.run(None, {"left": left})[0]), left @ weight)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=300), st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_encoded_fields_are_decoded(number: int, content: bytes, several: list[int]) -> None:
    data = encode_field(1, number) + encode_field(2, content) + b"".join(encode_field(3, value) for value in several)
    found = decode_message(data, ALLOWED)
    assert integer(found, 1) == number
    assert blob(found, 2) == content
    assert [value % 2**64 for value in integers(found, 3)] == several
    assert blobs(found, 4) == []
    assert list(decode_fields(data))[:2] == [(1, number), (2, content)]


def test_packed_integers_are_decoded_as_signed() -> None:
    packed = encode_field(3, b"\x01" + b"\xff" * 9 + b"\x01")
    assert integers(decode_message(packed, ALLOWED), 3) == [1, -1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_field(5, 1), "field 5"),
        (encode_field(1, 1) + encode_field(1, 2), "field 1 twice"),
        (encode_field(2, "abc")[:-1], "beyond the end"),
        (b"\x08" + b"\xff" * 12, "64 bits"),
    ],
)
def test_invalid_messages_are_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_message(data, ALLOWED)
