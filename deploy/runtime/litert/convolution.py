"""A convolution over one axis in LiteRT, which has two-dimensional ones with the channels last."""

from collections.abc import Mapping

import numpy as np

from edgehar.deploy.runtime.litert.flatbuffer import LiteRTBuilder, Sizes
from edgehar.deploy.runtime.onnx_format.tensors import Array

SAME = 0
"""Padding that keeps the length."""
DEFAULTS: dict[str, object] = {"pads": (0, 0), "strides": (1,), "dilations": (1,), "group": 1}
"""Attributes of ONNX's Conv over one axis where a node has none."""


def keeps_length(weight: Array, attributes: Mapping[str, object]) -> bool:
    """Whether a Conv with weights (O, C, k) is over one axis, dense, and its output as long as its input."""
    if weight.ndim != 3 or weight.shape[2] % 2 == 0:
        return False
    expected = DEFAULTS | {"pads": (weight.shape[2] // 2,) * 2}
    return all(attributes.get(name, default) == expected[name] for name, default in DEFAULTS.items())


def add_convolution(
    builder: LiteRTBuilder, rows: int, sizes: Sizes, weight: Array, bias: Array | None, output: int
) -> None:
    """Add a convolution that keeps the length.

    Args:
        builder: the model.
        rows: tensor of the input, (N, C, L).
        sizes: its shape.
        weight: (O, C, k).
        bias: (O,), or None for zeros.
        output: tensor of the output, (N, O, L).
    """
    count, channels, length = sizes
    swap = builder.add_int32((0, 2, 1))

    def reshaped(tensor: int, shape: Sizes) -> int:
        return builder.add_reshape(tensor, shape, builder.add_tensor(shape))

    frames = builder.add_operator("TRANSPOSE", [rows, swap], builder.add_tensor((count, length, channels)))
    image = reshaped(frames, (count, 1, length, channels))
    shift = np.zeros(len(weight)) if bias is None else bias
    layer = [builder.add_floats(weight.transpose(0, 2, 1)[:, None]), builder.add_floats(shift)]
    convolved = builder.add_operator(
        "CONV_2D", [image, *layer], builder.add_tensor((count, 1, length, len(weight))), "Conv2DOptions",
        padding=SAME, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1,
    )  # fmt: skip
    builder.add_operator("TRANSPOSE", [reshaped(convolved, (count, length, len(weight))), swap], output)
