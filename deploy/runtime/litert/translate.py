"""Translates a checked ONNX graph to a LiteRT model of fixed batch size.

The board translates the graph that it has checked, so that a package holds no second copy of the network and no
unchecked file is opened. Only operators that XNNPACK supports are used.
"""

from math import isclose, prod, sqrt

import numpy as np

from edgehar.deploy.runtime.litert.convolution import add_convolution, keeps_length
from edgehar.deploy.runtime.litert.dynamic_linear import fuse_dynamic_linears
from edgehar.deploy.runtime.litert.flatbuffer import LiteRTBuilder, Sizes
from edgehar.deploy.runtime.litert.left_product import add_left_product
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node
from edgehar.deploy.runtime.onnx_format.tensors import Array
from edgehar.errors import ConfigError

ELEMENTWISE = {name: (name.upper(), f"{name}Options") for name in ("Add", "Sub", "Mul", "Div", "Abs")}
ELEMENTWISE["Sqrt"] = ("SQRT", "")
REDUCTIONS = {"ReduceMean": "MEAN", "ReduceMax": "REDUCE_MAX"}


def _axis(node: Node, axes: int) -> int:
    """The axis attribute of a node, as an index from 0."""
    axis = node.attributes.get("axis", 0)
    assert isinstance(axis, int)
    return axis % axes


class LiteRTTranslator:
    """Translates a graph, node by node.

    Args:
        view: the graph: float32, except for linear layers with INT8 weights that are quantised dynamically.
        rows: size of the batch dimension.

    Attributes:
        shapes: name of a value -> its shape.
        data: the LiteRT file.

    Raises ConfigError for an operator or an attribute that is not translated.
    """

    def __init__(self, view: GraphView, rows: int) -> None:
        """Translate the nodes in order."""
        view = fuse_dynamic_linears(view)
        self._view, self._builder = view, LiteRTBuilder()
        self._producers, self._consumers = view.producers, view.consumers
        self._tensors: dict[str, int] = {}  # name of a value -> index of its tensor
        self._folded = self._foldable_norms()
        self.shapes: dict[str, Sizes] = {}
        for name, shape in view.inputs.items():
            self._value(name, tuple(rows if size is None else size for size in shape))
        done = set[str]()
        for node in view.nodes:
            if node.op_type != "Constant" and not done.issuperset(node.outputs):
                done |= self._gelu(node) or self._sign(node) or self._convert(node)
        self.data = self._builder.serialise(
            [self._tensors[name] for name in view.inputs], [self._tensors[name] for name in view.outputs]
        )

    def _unsupported(self, node: Node, why: str) -> ConfigError:
        return ConfigError(
            f"LiteRT: {node.op_type} ({node}): {why}; expected an fp32 or int8-dynamic graph from edgehar export; "
            "choose --precision fp32 or int8-dynamic, or another provider"
        )

    def _value(self, name: str, sizes: Sizes) -> int:
        """Add the tensor of an input or of a node's output."""
        self._tensors[name], self.shapes[name] = self._builder.add_tensor(sizes, name), sizes
        return self._tensors[name]

    def _input(self, name: str) -> int:
        """The tensor of a value; a constant is added on first use."""
        if name not in self._tensors:
            constant = self._view.constants[name]
            self._tensors[name], self.shapes[name] = self._builder.add_floats(constant), constant.shape
        return self._tensors[name]

    def _inner_operator(self, kind: str, inputs: list[int], sizes: Sizes, options: str = "", **settings: bool) -> int:
        """Add an operator whose output is no value of the graph."""
        return self._builder.add_operator(kind, inputs, self._builder.add_tensor(sizes), options, **settings)

    def _convert(self, node: Node) -> set[str]:
        """Translate one node; returns its outputs."""
        if node.op_type in ELEMENTWISE:
            kind, options = ELEMENTWISE[node.op_type]
            inputs = [self._input(name) for name in node.inputs]
            sizes = np.broadcast_shapes(*(self.shapes[name] for name in node.inputs))
            self._builder.add_operator(kind, inputs, self._value(node.outputs[0], sizes), options)
        elif node.op_type in REDUCTIONS:
            self._reduce(node, REDUCTIONS[node.op_type])
        elif hasattr(self, f"_{node.op_type.lower()}"):
            getattr(self, f"_{node.op_type.lower()}")(node)
        else:
            raise self._unsupported(node, "the operator is not translated")
        return set(node.outputs)

    def _last_axis(self, node: Node) -> Sizes:
        """Shape of a node's input; raises ConfigError unless the node's axis is the last."""
        sizes = self.shapes[node.inputs[0]]
        if node.attributes.get("axis", -1) not in (-1, len(sizes) - 1):
            raise self._unsupported(node, "the axis is not the last one")
        return sizes

    def _number_or_name(self, name: str) -> float | str:
        """The number in a constant of one element; else the value's name."""
        constant = self._view.constants.get(name)
        return name if constant is None or constant.size != 1 else float(constant.reshape(-1)[0])

    def _gelu(self, node: Node) -> set[str]:
        """Translate a GELU, x * (erf(x / sqrt 2) + 1) / 2; returns its nodes' outputs, empty if there is none."""
        if node.op_type != "Div":
            return set()
        (values, divisor), inner, name = node.inputs, list[str](), node.outputs[0]
        number = self._number_or_name(divisor)
        if isinstance(number, str) or not isclose(number, sqrt(2), rel_tol=1e-6):
            return set()
        pattern: tuple[tuple[str, list[float | str]], ...] = (
            ("Erf", []), ("Add", [1.0]), ("Mul", [values]), ("Mul", [0.5])
        )  # fmt: skip
        for op_type, others in pattern:
            consumers = self._consumers[name]
            if len(consumers) != 1 or consumers[0].op_type != op_type:
                return set()
            if [self._number_or_name(other) for other in consumers[0].inputs if other != name] != others:
                return set()
            inner.append(name)
            name = consumers[0].outputs[0]
        output = self._value(name, self.shapes[values])
        self._builder.add_operator("GELU", [self._input(values)], output, "GeluOptions", approximate=False)
        return {*inner, name}

    def _sign(self, node: Node) -> set[str]:
        """Translate Cast(absolute values > 0), as of lost joints; returns the outputs, empty if there is none."""
        if node.op_type != "Greater" or self._number_or_name(node.inputs[1]) != 0:
            return set()
        consumers, source = self._consumers[node.outputs[0]], node.inputs[0]
        while source in self._producers and self._producers[source].op_type in ("Reshape", "ReduceMax"):
            source = self._producers[source].inputs[0]
        absolute = source in self._producers and self._producers[source].op_type == "Abs"
        if not absolute or len(consumers) != 1 or consumers[0].op_type != "Cast":
            return set()
        name = consumers[0].outputs[0]
        output = self._value(name, self.shapes[node.inputs[0]])
        self._builder.add_operator("SIGN", [self._input(node.inputs[0])], output)
        return {*node.outputs, name}

    def _foldable_norms(self) -> dict[str, tuple[Array, Array]]:
        """Output of a layer norm -> its scale and shift, where only linear layers read it and can absorb them."""
        constants = self._view.constants
        return {
            node.outputs[0]: (constants[node.inputs[1]], constants[node.inputs[2]])
            for node in self._view.nodes
            if node.op_type == "LayerNormalization"
            and len(node.inputs) == 3
            and all(
                consumer.op_type == "Gemm" and consumer.inputs[0] == node.outputs[0]
                for consumer in self._consumers[node.outputs[0]]
            )
        }

    def _gemm(self, node: Node) -> None:
        rows, weight_name, *bias_name = node.inputs
        attributes = node.attributes
        if attributes.get("transA") or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
            raise self._unsupported(node, "transA, alpha or beta is set")
        constants = self._view.constants
        bias = constants[bias_name[0]] if any(bias_name) else None
        weight = constants[weight_name] if attributes.get("transB") else constants[weight_name].T  # (O, I)
        if rows in self._folded:
            scale, shift = self._folded[rows]
            bias, weight = weight @ shift + (0 if bias is None else bias), weight * scale
        self._linear(node, rows, weight, bias)

    def _dynamiclinear(self, node: Node) -> None:
        rows, weight_name, scale_name, bias_name = node.inputs
        constants = self._view.constants
        weight = constants[weight_name].T  # (O, I)
        self._linear(node, rows, weight, constants.get(bias_name), np.broadcast_to(constants[scale_name], len(weight)))

    def _linear(self, node: Node, rows: str, weight: Array, bias: Array | None, scales: Array | None = None) -> None:
        """Add a linear layer with weights (O, I); with scales (O,) they are int8 and rows are quantised dynamically."""
        output = self._value(node.outputs[0], (*self.shapes[rows][:-1], len(weight)))
        weights = self._builder.add_floats(weight) if scales is None else self._builder.add_quantised(weight, scales)
        inputs = [self._input(rows), weights, *([] if bias is None else [self._builder.add_floats(bias)])]
        self._builder.add_operator(
            "FULLY_CONNECTED", inputs, output, "FullyConnectedOptions",
            keepNumDims=len(self.shapes[rows]) > 2, asymmetricQuantizeInputs=scales is not None,
        )  # fmt: skip

    def _matmul(self, node: Node) -> None:
        (left, right), constants, shapes = node.inputs, self._view.constants, self.shapes
        if right in constants:
            self._linear(node, left, constants[right].T, None)
        elif left in constants and len(shapes[right]) == 3:
            output = self._value(node.outputs[0], (shapes[right][0], len(constants[left]), shapes[right][2]))
            add_left_product(self._builder, self._input(right), shapes[right], constants[left], output)
        else:
            transposed = self._transposed_value(right)
            right = transposed or right
            inputs, options = [self._input(left), self._input(right)], {"adjX": False, "adjY": bool(transposed)}
            output = self._value(node.outputs[0], (*shapes[left][:-1], shapes[right][-2 if transposed else -1]))
            self._builder.add_operator("BATCH_MATMUL", inputs, output, "BatchMatMulOptions", **options)

    def _transposed_value(self, name: str) -> str:
        """The value whose last two axes a Transpose swaps to give this one; empty if there is none."""
        producer = self._producers.get(name)
        if producer is None or producer.op_type != "Transpose":
            return ""
        order, axes = producer.attributes.get("perm"), len(self.shapes[producer.inputs[0]])
        return producer.inputs[0] if order == (*range(axes - 2), axes - 1, axes - 2) else ""

    def _transpose(self, node: Node) -> None:
        order, sizes = node.attributes.get("perm"), self.shapes[node.inputs[0]]
        if not isinstance(order, tuple):
            raise self._unsupported(node, "perm is missing")
        transposed = tuple(sizes[axis] for axis in order)
        self.shapes[node.outputs[0]] = transposed
        consumers = self._consumers[node.outputs[0]]
        if any(user.op_type != "MatMul" or not self._transposed_value(node.outputs[0]) for user in consumers):
            output = self._value(node.outputs[0], transposed)
            self._builder.add_operator(
                "TRANSPOSE", [self._input(node.inputs[0]), self._builder.add_int32(order)], output, "TransposeOptions"
            )

    def _layernormalization(self, node: Node) -> None:
        name, sizes = node.inputs[0], self._last_axis(node)
        last, one = self._builder.add_int32((len(sizes) - 1,)), (*sizes[:-1], 1)
        mean = self._inner_operator("MEAN", [self._input(name), last], one, "ReducerOptions", keepDims=True)
        centred = self._inner_operator("SUB", [self._input(name), mean], sizes, "SubOptions")
        square = self._inner_operator("MUL", [centred, centred], sizes, "MulOptions")
        variance = self._inner_operator("MEAN", [square, last], one, "ReducerOptions", keepDims=True)
        epsilon = self._builder.add_floats(np.asarray([node.attributes.get("epsilon", 1e-5)]))
        positive = self._inner_operator("ADD", [variance, epsilon], one, "AddOptions")
        inverse = self._inner_operator("RSQRT", [positive], one)
        if node.outputs[0] in self._folded:
            self._builder.add_operator("MUL", [centred, inverse], self._value(node.outputs[0], sizes), "MulOptions")
            return
        normal = self._inner_operator("MUL", [centred, inverse], sizes, "MulOptions")
        scaled = self._inner_operator("MUL", [normal, self._input(node.inputs[1])], sizes, "MulOptions")
        self._builder.add_operator(
            "ADD", [scaled, self._input(node.inputs[2])], self._value(node.outputs[0], sizes), "AddOptions"
        )

    def _softmax(self, node: Node) -> None:
        output = self._value(node.outputs[0], self._last_axis(node))
        self._builder.add_operator("SOFTMAX", [self._input(node.inputs[0])], output, "SoftmaxOptions", beta=1.0)

    def _reshape(self, node: Node) -> None:
        sizes, target = self.shapes[node.inputs[0]], self._view.constants[node.inputs[1]].reshape(-1).tolist()
        if not node.attributes.get("allowzero"):
            target = [sizes[axis] if size == 0 else size for axis, size in enumerate(target)]
        given = prod(size for size in target if size != -1)
        reshaped = tuple(prod(sizes) // given if size == -1 else size for size in target)
        self._builder.add_reshape(self._input(node.inputs[0]), reshaped, self._value(node.outputs[0], reshaped))

    def _conv(self, node: Node) -> None:
        name, weight_name, *bias_name = node.inputs
        weight, sizes = self._view.constants[weight_name], self.shapes[name]
        if not keeps_length(weight, node.attributes):
            raise self._unsupported(node, "not a convolution over one axis that keeps its length")
        bias = self._view.constants[bias_name[0]] if bias_name else None
        output = self._value(node.outputs[0], (sizes[0], len(weight), sizes[2]))
        add_convolution(self._builder, self._input(name), sizes, weight, bias, output)

    def _reduce(self, node: Node, kind: str) -> None:
        name, axes = node.inputs[0], node.attributes.get("axes", ())
        sizes = self.shapes[name]
        if len(node.inputs) > 1:
            axes = tuple(self._view.constants[node.inputs[1]].reshape(-1).tolist())
        if not isinstance(axes, tuple) or not axes:
            raise self._unsupported(node, "the axes are missing")
        reduced, keepdims = {axis % len(sizes) for axis in axes}, bool(node.attributes.get("keepdims", 1))
        kept = [1 if axis in reduced else size for axis, size in enumerate(sizes) if keepdims or axis not in reduced]
        output = self._value(node.outputs[0], tuple(kept))
        inputs = [self._input(name), self._builder.add_int32(tuple(sorted(reduced)))]
        self._builder.add_operator(kind, inputs, output, "ReducerOptions", keepDims=keepdims)

    def _concat(self, node: Node) -> None:
        inputs = [self._input(name) for name in node.inputs]
        shapes = [self.shapes[name] for name in node.inputs]
        axis = _axis(node, len(shapes[0]))
        total = sum(sizes[axis] for sizes in shapes)
        shape = tuple(total if other == axis else size for other, size in enumerate(shapes[0]))
        output = self._value(node.outputs[0], shape)
        self._builder.add_operator("CONCATENATION", inputs, output, "ConcatenationOptions", axis=axis)

    def _split(self, node: Node) -> None:
        name, parts = node.inputs[0], len(node.outputs)
        sizes = self.shapes[name]
        axis = _axis(node, len(sizes))
        if len(node.inputs) > 1 or sizes[axis] % parts:
            raise self._unsupported(node, "the parts differ in size")
        part = tuple(size // parts if other == axis else size for other, size in enumerate(sizes))
        for index, output in enumerate(node.outputs):
            begin = tuple(index * part[axis] if other == axis else 0 for other in range(len(sizes)))
            inputs = [self._input(name), self._builder.add_int32(begin), self._builder.add_int32(part)]
            self._builder.add_operator("SLICE", inputs, self._value(output, part), "SliceOptions")
