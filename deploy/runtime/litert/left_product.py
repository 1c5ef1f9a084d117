"""A product with constants on the left in LiteRT, whose batched product takes no constant without a batch."""

from edgehar.deploy.runtime.litert.flatbuffer import LiteRTBuilder, Sizes
from edgehar.deploy.runtime.onnx_format.tensors import Array


def add_left_product(builder: LiteRTBuilder, rows: int, sizes: Sizes, weight: Array, output: int) -> None:
    """Add a product of constants (M, S) with each matrix (S, D) of a batch: a linear layer along S.

    Args:
        builder: the model.
        rows: tensor of the input, (N, S, D).
        sizes: its shape.
        weight: (M, S).
        output: tensor of the output, (N, M, D).
    """
    count, steps, width = sizes
    swap = builder.add_int32((0, 2, 1))
    columns = builder.add_operator("TRANSPOSE", [rows, swap], builder.add_tensor((count, width, steps)))
    product = builder.add_operator(
        "FULLY_CONNECTED", [columns, builder.add_floats(weight)], builder.add_tensor((count, width, len(weight))),
        "FullyConnectedOptions", keepNumDims=True,
    )  # fmt: skip
    builder.add_operator("TRANSPOSE", [product, swap], output)
