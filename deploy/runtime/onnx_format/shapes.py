"""Shapes of the outputs of ONNX operators; a node that contradicts its inputs or attributes raises ValueError.

onnxruntime infers shapes too, but does not survive every contradiction. The batch size is None; all other sizes are
known.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import Attribute, Shape
from edgehar.deploy.runtime.onnx_format.tensors import Array

MIN_SCALE, MAX_SCALE = float(np.finfo(np.float32).tiny), 1e30
"""Limits of a quantisation scale: the quantiser writes normal numbers, and 127 times the scale must be finite."""


@dataclass(frozen=True)
class Value:
    """A value of a graph: element type, shape, and the numbers of a constant unless a node computes them."""

    element: int
    shape: Shape
    is_constant: bool = False
    array: Array | None = None


Inputs = list[Value]
Attributes = Mapping[str, Attribute]


def require(condition: bool, problem: str) -> None:
    """Raise ValueError with the problem unless the condition holds."""
    if not condition:
        raise ValueError(problem)


def _whole(attributes: Attributes, name: str, default: int) -> int:
    value = attributes.get(name, default)
    assert isinstance(value, int)
    return value


def _wholes(attributes: Attributes, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = attributes.get(name, default)
    assert isinstance(value, tuple)
    return value


def _numbers(value: Value) -> list[int]:
    """The numbers of a constant vector."""
    require(value.array is not None and len(value.shape) == 1, f"numbers of shape {value.shape}; expected a vector")
    assert value.array is not None
    return value.array.tolist()


def _axis(axis: int, shape: Shape) -> int:
    """Index from 0 of an axis whose size is known."""
    require(-len(shape) <= axis < len(shape), f"axis {axis} of {shape}")
    require(shape[axis] is not None, f"axis {axis} of {shape}, which is the batch")
    return axis % len(shape)


def _size(shape: Shape, axis: int) -> int:
    """The known size of an axis."""
    size = shape[_axis(axis, shape)]
    assert size is not None
    return size


def _replaced(shape: Shape, axis: int, *sizes: int) -> Shape:
    """A shape with other sizes in place of one axis."""
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def _broadcast_shapes(shapes: Iterable[Shape]) -> Shape:
    shapes = list(shapes)
    rank = max(map(len, shapes))
    result: list[int | None] = []
    for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        others = {size for size in sizes if size != 1}
        require(len(others) <= 1, f"shapes {' and '.join(map(str, shapes))}, which do not fit")
        result.append(others.pop() if others else 1)
    return tuple(result)


def same(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """The shape of the first input."""
    return [inputs[0].shape]


def broadcast(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Elementwise operators of two inputs."""
    return [_broadcast_shapes(value.shape for value in inputs)]


def softmax(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Softmax over the last axis."""
    shape = inputs[0].shape
    axis = _axis(_whole(attributes, "axis", -1), shape)
    require(axis == len(shape) - 1, f"axis {axis} of {shape}; expected the last")
    return [shape]


def layer_norm(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """LayerNormalization over the last axis."""
    shape = softmax(inputs, attributes, outputs)[0]
    sizes = [value.shape for value in inputs[1:]]
    require(all(size == shape[-1:] for size in sizes), f"weights {sizes} for {shape}")
    return [shape]


def matmul(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """MatMul and MatMulInteger; the zero points of the latter are one number, and one or one per column."""
    left, right = inputs[0].shape, inputs[1].shape
    require(min(len(left), len(right)) >= 2, f"factors {left} and {right}; expected matrices")
    require(_size(left, -1) == _size(right, -2), f"factors {left} and {right}, which do not fit")
    zero_points = [value.shape for value in inputs[2:]]
    usable = not zero_points or (zero_points[0] == () and zero_points[1] in ((), right[-1:]))
    require(usable, f"zero points {zero_points} for factors {left} and {right}")
    return [(*_broadcast_shapes((left[:-2], right[:-2])), left[-2], _size(right, -1))]


def gemm(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Gemm of rows with a weight matrix and a bias per column."""
    left, right = inputs[0].shape, inputs[1].shape
    require(len(left) == len(right) == 2, f"factors {left} and {right}; expected matrices")
    rows, columns = (_size(right, axis) for axis in ((1, 0) if _whole(attributes, "transB", 0) else (0, 1)))
    require(_size(left, 1) == rows, f"factors {left} and {right}, which do not fit")
    require(all(value.shape == (columns,) for value in inputs[2:]), f"a bias for {columns} columns")
    return [(left[0], columns)]


def convolution(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Conv over one axis that keeps its length."""
    source, weight = inputs[0].shape, inputs[1].shape
    require(len(source) == len(weight) == 3, f"input {source} and weights {weight}; expected three dimensions")
    filters, channels, kernel = (_size(weight, axis) for axis in range(3))
    require(_size(source, 1) == channels and kernel % 2 == 1, f"input {source} and weights {weight}, which do not fit")
    expected = {"kernel_shape": (kernel,), "pads": (kernel // 2,) * 2, "strides": (1,), "dilations": (1,)}
    defaults = expected | {"pads": (0, 0)}
    for name, sizes in expected.items():
        found = _wholes(attributes, name, defaults[name])
        require(found == sizes, f"{name} {found}; expected {sizes}, which keeps the length")
    require(all(value.shape == (filters,) for value in inputs[2:]), f"a bias for {filters} filters")
    return [(source[0], filters, _size(source, 2))]


def reduction(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """ReduceMean and ReduceMax over listed axes."""
    shape = inputs[0].shape
    axes = [_axis(axis, shape) for axis in _numbers(inputs[1])]
    require(len(set(axes)) == len(axes), f"axes {axes}, one of them twice")
    keep = _whole(attributes, "keepdims", 1)
    return [tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)]


def transpose(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Transpose with a given order."""
    shape, order = inputs[0].shape, _wholes(attributes, "perm", ())
    require(sorted(order) == list(range(len(shape))), f"order {order} of {len(shape)} axes")
    return [tuple(shape[axis] for axis in order)]


def reshape(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Reshape to (-1, sizes): a whole number of rows per element of the batch, or the reverse."""
    shape, (first, *sizes) = inputs[0].shape, _numbers(inputs[1])
    known = [size for size in shape if size is not None]
    require(len(known) == len(shape) - 1, f"shape {shape}; expected one axis of any size")
    require(
        first == -1 and all(size > 0 for size in sizes), f"sizes {[first, *sizes]}; expected -1, then sizes above 0"
    )
    large, small = sorted((math.prod(known), math.prod(sizes)), reverse=True)
    require(large % small == 0, f"sizes {[first, *sizes]} for {shape}, which do not fit")
    return [(None, *sizes)]


def concat(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Concat of values that differ in one axis only."""
    shapes = [value.shape for value in inputs]
    axis = _axis(_whole(attributes, "axis", 0), shapes[0])
    sizes = [_size(shape, axis) for shape in shapes]
    fit = all(_replaced(shape, axis, 1) == _replaced(shapes[0], axis, 1) for shape in shapes)
    require(fit, f"shapes {' and '.join(map(str, shapes))}, which do not fit")
    return [_replaced(shapes[0], axis, sum(sizes))]


def split(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Split into equal parts, one per output."""
    shape = inputs[0].shape
    axis = _axis(_whole(attributes, "axis", 0), shape)
    size, parts = _size(shape, axis), _whole(attributes, "num_outputs", 0)
    require(parts == outputs and size % parts == 0, f"num_outputs {parts} for {outputs} outputs of {size}")
    return [_replaced(shape, axis, size // parts)] * parts


def gather(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """Gather with constant indices."""
    shape, array = inputs[0].shape, inputs[1].array
    axis = _axis(_whole(attributes, "axis", 0), shape)
    size = _size(shape, axis)
    require(array is not None and bool(((-size <= array) & (array < size)).all()), f"an index beyond {size}")
    assert array is not None
    return [_replaced(shape, axis, *array.shape)]


def quantisation(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """QuantizeLinear and DequantizeLinear with one scale, or one per row or column of a constant matrix."""
    shape, scale, zero_point = (value.shape for value in inputs)
    scales = inputs[1].array
    usable = scales is not None and bool(((scales >= MIN_SCALE) & (scales <= MAX_SCALE)).all())
    require(usable, f"a scale beyond {MIN_SCALE:.3g} to {MAX_SCALE:g}")
    axis = _whole(attributes, "axis", 1)
    per_axis = inputs[0].is_constant and len(shape) == 2 and -2 <= axis < 2 and scale == (shape[axis],)
    require(scale == zero_point and (scale == () or per_axis), f"scales {scale}, zero points {zero_point} for {shape}")
    return [shape]


def dynamic_quantisation(inputs: Inputs, attributes: Attributes, outputs: int) -> list[Shape]:
    """DynamicQuantizeLinear: the values, their scale, their zero point."""
    return [inputs[0].shape, (), ()]
