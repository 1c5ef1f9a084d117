"""Changes the structure of an ONNX graph at random: attributes, inputs, outputs, types, shapes, numbers, names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

WHOLES = (-(2**63), -(2**31), -65537, -8, -2, -1, 0, 1, 2, 3, 7, 16, 65536, 2**31 - 1, 2**31, 2**62, 2**63 - 1)
REALS = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 1e-45, 1e-38, 0.5, 1e30, 3e38)
TEXTS = (b"", b"VALID", b"SAME_UPPER", b"NOTSET", b"constant", b"\xff")
ATTRIBUTES = (
    "axis", "axes", "num_outputs", "to", "perm", "keepdims", "group", "pads", "auto_pad", "kernel_shape", "dilations",
    "strides", "allowzero", "alpha", "beta", "transA", "transB", "epsilon", "stash_type", "noop_with_empty_axes",
    "saturate", "block_size", "value", "sizes",
)  # fmt: skip
OPERATORS = (
    "Split", "Squeeze", "Unsqueeze", "Slice", "Gather", "Concat", "Reshape", "Transpose", "Div", "Mod", "Pow", "Cast",
    "Conv", "ConvInteger", "Gemm", "MatMul", "MatMulInteger", "LayerNormalization", "Softmax", "ReduceMean",
    "ReduceMax", "Greater", "Erf", "Abs", "Sqrt", "Tanh", "QuantizeLinear", "DequantizeLinear",
    "DynamicQuantizeLinear", "MaxPool", "Pad", "Loop",
)  # fmt: skip
WRONG_NAMES = ("", "\u202e", "a\nb", "x" * 5000, "\0")
Generator = np.random.Generator
Mutation = Callable[[Any, Generator], None]


def _one(generator: Generator, values: Any) -> Any:
    """One of the values, without numpy's conversion; None if there is none."""
    values = list(values)
    return values[int(generator.integers(len(values)))] if values else None


def _attribute(model: Any, generator: Generator) -> tuple[Any, Any]:
    """A node with attributes, and one of them."""
    node = _one(generator, (node for node in model.graph.node if node.attribute))
    return node, None if node is None else _one(generator, node.attribute)


def attribute_value(model: Any, generator: Generator) -> None:
    """Another number, list or text."""
    _, attribute = _attribute(model, generator)
    if attribute is None:
        return
    attribute.i, attribute.f = _one(generator, WHOLES), _one(generator, REALS)
    attribute.s = _one(generator, TEXTS)
    values = list(attribute.ints) or [0]
    values[int(generator.integers(len(values)))] = _one(generator, WHOLES)
    del attribute.ints[:]
    attribute.ints.extend(_one(generator, (values, values[:-1], [*values, 1], values * 9, values[::-1])))
    fields = {1: "f", 2: "i", 3: "s", 7: "ints"}
    for kind, name in fields.items():
        if kind != attribute.type:
            attribute.ClearField(name)


def attribute_kind(model: Any, generator: Generator) -> None:
    """Another type, mostly without its value."""
    _, attribute = _attribute(model, generator)
    if attribute is not None:
        attribute.type = int(generator.integers(0, 15))


def attribute_removed(model: Any, generator: Generator) -> None:
    """One attribute less."""
    node, attribute = _attribute(model, generator)
    if node is not None:
        node.attribute.remove(attribute)


def attribute_twice(model: Any, generator: Generator) -> None:
    """One attribute twice, with two numbers."""
    node, attribute = _attribute(model, generator)
    if node is not None:
        node.attribute.append(attribute)
        node.attribute[-1].i = _one(generator, WHOLES)


def attribute_added(model: Any, generator: Generator) -> None:
    """One attribute more, known or not to the operator."""
    node = _one(generator, model.graph.node)
    value = _one(generator, (_one(generator, WHOLES), _one(generator, REALS), [_one(generator, WHOLES)] * 2, "text"))
    if node is not None:
        node.attribute.append(helper.make_attribute(_one(generator, ATTRIBUTES), value))


def _values(model: Any) -> list[str]:
    graph = model.graph
    names = [entry.name for entry in (*graph.input, *graph.initializer)]
    return [*names, *(name for node in graph.node for name in node.output)]


def _changed_names(names: Any, known: list[str], generator: Generator) -> None:
    """Drop, add, exchange, repeat or blank one name of a list."""
    listed = list(names)
    index = int(generator.integers(len(listed) + 1))
    other = _one(generator, known) or ""
    match int(generator.integers(5)):
        case 0:
            del listed[index : index + 1]
        case 1:
            listed.insert(index, other)
        case 2:
            listed[index : index + 1] = [other]
        case 3:
            listed = listed[::-1]
        case _:
            listed[index : index + 1] = [""]
    del names[:]
    names.extend(listed)


def inputs(model: Any, generator: Generator) -> None:
    """Other inputs of a node."""
    node = _one(generator, model.graph.node)
    if node is not None:
        _changed_names(node.input, _values(model), generator)


def outputs(model: Any, generator: Generator) -> None:
    """Other outputs of a node, or of the graph."""
    node = _one(generator, model.graph.node)
    if generator.random() < 0.2 and len(model.graph.output):
        changed = list(model.graph.output) * int(generator.integers(0, 3))
        del model.graph.output[:]
        model.graph.output.extend(changed)
    elif node is not None:
        _changed_names(node.output, [*_values(model), "extra"], generator)


def operator(model: Any, generator: Generator) -> None:
    """Another operator or domain with the same inputs."""
    node = _one(generator, model.graph.node)
    if node is not None:
        node.op_type = _one(generator, OPERATORS)
        node.domain = _one(generator, ("", "", "", "ai.onnx", "com.microsoft", "ai.onnx.ml"))


def described_value(model: Any, generator: Generator) -> None:
    """Another element type or shape of an input or output, or an inner value described as it is not."""
    graph = model.graph
    if generator.random() < 0.3:
        kind = int(generator.integers(0, 24))
        size = [_one(generator, WHOLES) for _ in range(int(generator.integers(4)))]
        name = _one(generator, _values(model)) or "x"
        graph.value_info.append(helper.make_tensor_value_info(name, kind, size))
        return
    value = _one(generator, (*graph.input, *graph.output))
    if value is None:
        return
    dimension = _one(generator, value.type.tensor_type.shape.dim)
    if generator.random() < 0.3 or dimension is None:
        value.type.tensor_type.elem_type = int(generator.integers(0, 24))
    else:
        dimension.dim_value = _one(generator, WHOLES)


def constant_header(model: Any, generator: Generator) -> None:
    """Another shape or element type of a constant, which its numbers contradict."""
    tensor = _one(generator, model.graph.initializer)
    if tensor is None:
        return
    if generator.random() < 0.3:
        tensor.data_type = int(generator.integers(0, 24))
    elif len(tensor.dims):
        tensor.dims[int(generator.integers(len(tensor.dims)))] = _one(generator, WHOLES)
    else:
        tensor.dims.append(_one(generator, WHOLES))


def _replaced(model: Any, generator: Generator, change: Callable[[Any], Any]) -> None:
    tensor = _one(generator, model.graph.initializer)
    if tensor is None:
        return
    try:
        array = change(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), tensor.name))
    except (TypeError, ValueError, KeyError, IndexError):
        pass  # an earlier mutation left a constant that cannot be read


def constant_shape(model: Any, generator: Generator) -> None:
    """A constant with another shape that its numbers fill."""

    def change(array: Any) -> Any:
        flat = array.reshape(-1)
        forms = (array.T, flat, array[None], array[..., None], flat[:1], flat[:0], flat[:1].reshape(()), array[:-1])
        return _one(generator, (*forms, np.concatenate([array, array])))

    _replaced(model, generator, change)


def constant_type(model: Any, generator: Generator) -> None:
    """A constant with another element type that its numbers have."""
    kinds = ("f4", "f2", "f8", "i1", "u1", "i2", "i4", "i8", "?", "c8")
    with np.errstate(all="ignore"):
        _replaced(model, generator, lambda array: array.astype(_one(generator, kinds)))


def constant_numbers(model: Any, generator: Generator) -> None:
    """Other numbers in a constant: one, or all."""

    def change(array: Any) -> Any:
        array = array.copy()
        values = WHOLES if array.dtype.kind in "iub" else REALS
        limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else None
        value = _one(generator, values)
        value = value if limits is None else min(max(value, limits.min), limits.max)
        array.reshape(-1)[slice(None) if generator.random() < 0.3 else int(generator.integers(max(array.size, 1)))] = (
            value
        )
        return array

    with np.errstate(all="ignore"):
        _replaced(model, generator, change)


def version(model: Any, generator: Generator) -> None:
    """Another opset, IR version or domain."""
    if generator.random() < 0.5:
        model.opset_import[0].version = int(generator.integers(0, 30))
    elif generator.random() < 0.5:
        model.ir_version = int(generator.integers(0, 20))
    else:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def names(model: Any, generator: Generator) -> None:
    """An unusable or repeated name of a node, a constant or an input."""
    entry = _one(generator, (*model.graph.node, *model.graph.initializer, *model.graph.input))
    if entry is not None:
        entry.name = _one(generator, (*WRONG_NAMES, _one(generator, _values(model)) or ""))


def nodes(model: Any, generator: Generator) -> None:
    """A node less, twice, or in another place."""
    if not len(model.graph.node):
        return
    listed = list(model.graph.node)
    index, place = (int(generator.integers(len(listed))) for _ in range(2))
    node = listed[index] if generator.random() < 0.3 else listed.pop(index)
    if generator.random() < 0.7:
        listed.insert(place, node)
    del model.graph.node[:]
    model.graph.node.extend(listed)


MUTATIONS: tuple[Mutation, ...] = (
    attribute_value, attribute_kind, attribute_removed, attribute_twice, attribute_added, inputs, outputs, operator,
    described_value, constant_header, constant_shape, constant_type, constant_numbers, version, names, nodes,
)  # fmt: skip


def mutated(data: bytes, generator: Generator) -> tuple[bytes, str]:
    """A copy of a graph with one to three mutations, and their names."""
    model: Any = onnx.load_from_string(data)
    chosen = [_one(generator, MUTATIONS) for _ in range(int(generator.choice([1, 1, 2, 3])))]
    for mutation in chosen:
        mutation(model, generator)
    changed = model.SerializeToString()
    if generator.random() < 0.02:  # a name that is no text
        changed = changed.replace(model.graph.node[0].name.encode() or b"MatMul", b"\xff\xfe", 1)
    return changed, ", ".join(mutation.__name__ for mutation in chosen)
