"""Hostile graphs: each replaces the head of a valid package, with corrected checksums."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgehar.deploy.runtime.onnx_format.protobuf import encode_field
from tests.deploy.hostile import HEAD, put


def model(nodes: list[Any], constants: dict[str, Any] | None = None, opset: int = 18, **more: Any) -> Any:
    """A head with these nodes, from "tokens" to "logits"."""
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B", 6, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *more.pop("imports", [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **more)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def original(path: Path) -> Any:
    return onnx.load(path / HEAD)


def external(path: Path) -> Any:
    """Weights in a file outside the package."""
    changed = original(path)
    tensor = changed.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return changed


def external_without_a_flag(path: Path) -> Any:
    changed = original(path)
    changed.graph.initializer[0].external_data.add(key="location", value="/dev/zero")
    return changed


def external_in_a_constant_node(_: Path) -> Any:
    tensor = TensorProto(data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    return model([node("Constant", "", "c", value=tensor), node("Add", "tokens c", "logits")])


def changed_tensor(**fields: Any) -> Callable[[Path], Any]:
    """Change fields of a weight."""

    def change(path: Path) -> Any:
        changed = original(path)
        tensor = changed.graph.initializer[0]
        for name, value in fields.items():
            tensor.ClearField(name)
            getattr(tensor, name).extend(value) if isinstance(value, list) else setattr(tensor, name, value)
        return changed

    return change


def branch(depth: int) -> Any:
    """Nested If operators."""
    inner = node("Identity", "tokens", f"out{depth}")
    for level in range(depth, 0, -1):
        output = helper.make_tensor_value_info(f"out{level}", TensorProto.FLOAT, None)
        body = helper.make_graph([inner], f"g{level}", [], [output])
        inner = node("If", "yes", f"out{level - 1}", then_branch=body, else_branch=body)
    return inner


def endless(_: Path) -> Any:
    """A Loop with 2^62 iterations."""
    state = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("go", 9))]
    body = helper.make_graph(
        [node("Identity", "go", "on")], "body", state, [helper.make_tensor_value_info("on", 9, [])]
    )
    loop = node("Loop", "most yes", "", body=body)
    return model([loop, node("Identity", "tokens", "logits")], {"most": np.int64(2**62), "yes": np.int64(1)})


def filler(kind: str, constants: dict[str, Any], inputs: str) -> Callable[[Path], Any]:
    """An operator that onnxruntime would fold to a huge constant while loading."""
    return lambda _: model([node(kind, inputs, "big"), node("Identity", "tokens", "logits")], constants)


def doubling(_: Path) -> Any:
    """Forty concatenations, each doubling the length."""
    nodes = [node("Concat", f"c{step} c{step}", f"c{step + 1}", axis=0) for step in range(40)]
    return model([*nodes, node("Identity", "tokens", "logits")], {"c0": np.zeros(1000, np.float32)})


def copies(_: Path) -> Any:
    """A hundred transposes of a constant of a million elements."""
    nodes = [node("Transpose", "c", f"c{step}", perm=[1, 0]) for step in range(100)]
    return model([*nodes, node("Tanh", "tokens", "logits")], {"c": np.zeros((1000, 1000), np.int8).astype(np.float16)})


def disguised(path: Path) -> bytes:
    """A valid graph and another one in a field whose number, truncated to 32 bits, is the graph's."""
    evil = model([node("If", "tokens", "logits")]).graph.SerializeToString()
    tag = (1 << 32) | (7 << 3 | 2)
    encoded = bytearray()
    while tag > 0x7F:
        encoded.append(tag & 0x7F | 0x80)
        tag >>= 7
    encoded.append(tag)
    size = encode_field(1, evil)[1:]  # length and content
    return (path / HEAD).read_bytes() + bytes(encoded) + size


def with_function(_: Path) -> Any:
    """A function that calls itself."""
    again = helper.make_function("own", "again", ["x"], ["y"], [node("again", "x", "y", domain="own")], [])
    return model([node("Identity", "tokens", "logits")], functions=[again])


def with_shape(path: Path) -> Any:
    changed = original(path)
    changed.graph.value_info.append(helper.make_tensor_value_info("q", TensorProto.FLOAT, [2**40, 2**40]))
    return changed


def with_sparse(path: Path) -> Any:
    changed = original(path)
    values, indices = (
        numpy_helper.from_array(np.ones(1, np.float32), "s"),
        numpy_helper.from_array(np.zeros(1, np.int64)),
    )
    changed.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**40]))
    return changed


GRAPHS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights outside": (external, "external data"),
    "weights outside without a flag": (external_without_a_flag, "external data"),
    "weights outside in a constant node": (external_in_a_constant_node, "'Constant'"),
    "unknown operator": (lambda _: model([node("Frobnicate", "tokens", "logits")]), "'Frobnicate'"),
    "operator without a name": (lambda _: model([node("", "tokens", "logits")]), "operator ''"),
    "random numbers": (lambda _: model([node("RandomNormal", "", "logits", shape=[10**9])]), "'RandomNormal'"),
    "operator of another domain": (
        lambda _: model(
            [node("Run", "tokens", "logits", domain="evil.example")], imports=[helper.make_opsetid("evil.example", 1)]
        ),
        "'evil.example'",
    ),
    "operator of a runtime's own": (
        lambda _: model([node("FusedMatMul", "tokens tokens", "logits", domain="com.microsoft")]),
        "'com.microsoft'",
    ),
    "branch": (lambda _: model([branch(1)], {"yes": np.int64(1)}), "'If'"),
    "branches in branches": (lambda _: model([branch(7)], {"yes": np.int64(1)}), "'If'"),
    "graph in a harmless operator": (
        lambda _: model([node("Add", "tokens tokens", "logits", body=branch(1).attribute[0].g)]),
        "graph within",
    ),
    "endless loop": (endless, "'Loop'"),
    "function that calls itself": (with_function, "functions"),
    "filled with a constant": (
        filler("ConstantOfShape", {"size": np.asarray([2**20, 2**14])}, "size"),
        "'ConstantOfShape'",
    ),
    "expanded": (filler("Expand", {"one": np.float32(1), "size": np.asarray([2**35])}, "one size"), "'Expand'"),
    "tiled": (filler("Tile", {"one": np.ones(1, np.float32), "size": np.asarray([2**35])}, "one size"), "'Tile'"),
    "range": (
        filler("Range", {"a": np.int64(0), "b": np.int64(2**35), "c": np.int64(1)}, "a b c"),
        "'Range'",
    ),
    "padded": (filler("Pad", {"x": np.ones(1, np.float32), "p": np.asarray([0, 2**35])}, "x p"), "'Pad'"),
    "outer product of constants": (
        filler("Mul", {"a": np.ones((300_000, 1), np.float32), "b": np.ones(300_000, np.float32)}, "a b"),
        "constants alone",
    ),
    "product of constants": (
        filler("MatMul", {"a": np.ones((500, 500), np.float32), "b": np.ones((500, 500), np.float32)}, "a b"),
        "constants alone",
    ),
    "doubled forty times": (doubling, "constants alone"),
    "hundred copies": (copies, "elements in constants"),
    "padding of a convolution": (
        lambda _: model(
            [node("Conv", "tokens w", "logits", pads=[2**30, 2**30])], {"w": np.ones((5, 6, 1), np.float32)}
        ),
        "'pads'",
    ),
    "weight of 10^18 numbers": (changed_tensor(dims=[10**9, 10**9]), "[1000000000, 1000000000]"),
    "weight of less than none": (changed_tensor(dims=[-1, 16]), "[-1, 16]"),
    "weight with more than it states": (changed_tensor(dims=[15, 16]), "does not hold"),
    "weight with less than it states": (changed_tensor(dims=[17, 16]), "does not hold"),
    "weight of nine dimensions": (changed_tensor(dims=[1] * 8 + [256]), "dimensions"),
    "weight of texts": (changed_tensor(string_data=[b"x"]), "strings"),
    "weight of an unknown type": (changed_tensor(data_type=99), "element type 99"),
    "value of 10^24 numbers": (with_shape, "value 'q'"),
    "sparse weights": (with_sparse, "sparse"),
    "opset of the future": (lambda _: model([node("Identity", "tokens", "logits")], opset=999), "opset"),
    "5,000 nodes": (
        lambda _: model([node("Identity", "tokens", f"n{number}") for number in range(5000)]),
        "5000 nodes",
    ),
    "input that nothing gives": (lambda _: model([node("Tanh", "ghost", "logits")]), "'ghost'"),
    "loop of nodes": (lambda _: model([node("Tanh", "b", "a"), node("Tanh", "a", "b")]), "'b'"),
    "value given twice": (lambda _: model([node("Tanh", "tokens", "logits")] * 2), "twice"),
    "two graphs": (lambda path: (path / HEAD).read_bytes() * 2, "twice"),
    "graph in disguise": (disguised, "no network needs"),
    "groups without end": (lambda _: b"\x0b" * 100_000, "field 1,"),
    "messages without end": (lambda _: b"\x3a\xff\xff\xff\xff\x0f" * 1000, "rejected"),
    "messages in messages": (lambda _: deep(2000), "rejected"),
    "no graph": (lambda _: b"\x08\x08", "rejected"),
}


def split_abort(_: Path) -> Any:
    """A Split into one part with two outputs; onnxruntime 1.23 writes beyond the end of a vector while loading."""
    nodes = [
        node("Split", "tokens", "a b", axis=1, num_outputs=1),
        node("ReduceMean", "b axes", "pooled", keepdims=0),
        node("MatMul", "pooled w", "logits"),
    ]
    return model(nodes, {"axes": np.asarray([1]), "w": np.zeros((16, 5), np.float32)})


def integer_overflow(_: Path) -> Any:
    """-2^63 / -1 as int64, which a processor answers with SIGFPE."""
    nodes = [
        node("Cast", "tokens", "whole", to=TensorProto.INT64),
        node("Mul", "whole zero", "zeros"),
        node("Add", "zeros least", "a"),
        node("Add", "zeros minus", "b"),
        node("Div", "a b", "quotient"),
        node("Cast", "quotient", "real", to=TensorProto.FLOAT),
        node("ReduceMean", "real axes", "pooled", keepdims=0),
        node("MatMul", "pooled w", "logits"),
    ]
    whole = {"zero": 0, "least": -(2**63), "minus": -1, "axes": [1]}
    constants: dict[str, Any] = {name: np.asarray(value, np.int64) for name, value in whole.items()}
    return model(nodes, constants | {"w": np.zeros((16, 5), np.float32)})


def without_output(path: Path) -> Any:
    changed = original(path)
    changed.graph.ClearField("output")
    return changed


def not_text(path: Path) -> bytes:
    """A name that is not UTF-8."""
    return (path / HEAD).read_bytes().replace(b"tokens", b"tok\xffns")


GRAPHS |= {
    "split into fewer parts than outputs": (split_abort, "'Split'"),
    "integers that overflow": (integer_overflow, "'Cast'"),
    "no output": (without_output, "0 outputs"),
    "name that is no text": (not_text, "not UTF-8"),
}


def deep(levels: int) -> bytes:
    """Nested graphs: in attributes of nodes of graphs."""
    data = b""
    for _ in range(levels):
        data = encode_field(7, encode_field(1, encode_field(5, encode_field(6, data))))
    return encode_field(1, 8) + encode_field(8, encode_field(2, 18)) + data


def make_graph(package: Path, name: str) -> None:
    """Replace the head by a hostile graph."""
    made = GRAPHS[name][0](package)
    put(package, HEAD, made if isinstance(made, bytes) else made.SerializeToString())
