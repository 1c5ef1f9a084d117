"""A checked ONNX graph as a LiteRT model of fixed batch size.

The model is made on the board from the very graph that was checked, so that a package holds no second copy of the
network and nothing unchecked is opened. Operators are chosen so that XNNPACK takes all of them.
"""

from math import isclose, prod, sqrt

import numpy as np

from edgehar.deploy.runtime.litert.dynamic_linear import join_dynamic_linears
from edgehar.deploy.runtime.litert.flatbuffer import LiteFile, Sizes
from edgehar.deploy.runtime.onnx_format.graph_view import Array, GraphView, Node
from edgehar.errors import ConfigError

ELEMENTWISE = {name: (name.upper(), f"{name}Options") for name in ("Add", "Sub", "Mul", "Div")}


def _axis(node: Node, axes: int) -> int:
    """The axis that a node works on, counted from the front."""
    axis = node.attributes.get("axis", 0)
    assert isinstance(axis, int)
    return axis % axes


class LiteModel:
    """Translates a graph, node by node.

    Args:
        view: the graph, float32 throughout but for linear layers with INT8 weights and ranges measured at run time.
        rows: size of its batch dimension.

    Attributes:
        shapes: name of a value -> its sizes.
        data: the LiteRT file.

    Raises ConfigError for an operator, or a use of one, that is in no such graph of ours.
    """

    def __init__(self, view: GraphView, rows: int) -> None:
        """Walk through the nodes."""
        view = join_dynamic_linears(view)
        self._view, self._file = view, LiteFile()
        self._makers, self._users = view.makers, view.users
        self._places: dict[str, int] = {}  # name of a value -> tensor
        self._folded = self._norms_to_fold()
        self.shapes: dict[str, Sizes] = {}
        for name, shape in view.inputs.items():
            self._value(name, tuple(rows if size is None else size for size in shape))
        done = set[str]()
        for node in view.nodes:
            if node.kind != "Constant" and not done.issuperset(node.outputs):
                done |= self._gelu(node) or self._convert(node)
        self.data = self._file.serialise(
            [self._places[name] for name in view.inputs], [self._places[name] for name in view.outputs]
        )

    def _refused(self, node: Node, why: str) -> ConfigError:
        return ConfigError(
            f"LiteRT: {node.kind} ({node}): {why}; expected an fp32 graph as edgehar exports it, or int8-dynamic; "
            "give --precision fp32 or int8-dynamic, or another provider"
        )

    def _value(self, name: str, sizes: Sizes) -> int:
        """The tensor of an input or of what a node gives."""
        self._places[name], self.shapes[name] = self._file.value(sizes, name), sizes
        return self._places[name]

    def _input(self, name: str) -> int:
        """The tensor of a value or a constant."""
        if name not in self._places:
            constant = self._view.constants[name]
            self._places[name], self.shapes[name] = self._file.floats(constant), constant.shape
        return self._places[name]

    def _unnamed(self, kind: str, inputs: list[int], sizes: Sizes, options: str = "", **settings: bool) -> int:
        """An operator whose output is no value of the graph."""
        return self._file.operator(kind, inputs, self._file.value(sizes), options, **settings)

    def _convert(self, node: Node) -> set[str]:
        """One node, or ConfigError; returns the names of what it gives."""
        if node.kind in ELEMENTWISE:
            kind, options = ELEMENTWISE[node.kind]
            places = [self._input(name) for name in node.inputs]
            sizes = np.broadcast_shapes(*(self.shapes[name] for name in node.inputs))
            self._file.operator(kind, places, self._value(node.outputs[0], sizes), options)
        elif hasattr(self, f"_{node.kind.lower()}"):
            getattr(self, f"_{node.kind.lower()}")(node)
        else:
            raise self._refused(node, "not among the operators that are translated")
        return set(node.outputs)

    def _last_axis(self, node: Node) -> Sizes:
        """Sizes of a node's input, whose last axis it must work on."""
        sizes = self.shapes[node.inputs[0]]
        if node.attributes.get("axis", -1) not in (-1, len(sizes) - 1):
            raise self._refused(node, "an axis that is not the last")
        return sizes

    def _number_or_name(self, name: str) -> float | str:
        """The value of a constant with one number; of anything else its name."""
        constant = self._view.constants.get(name)
        return name if constant is None or constant.size != 1 else float(constant.reshape(-1)[0])

    def _gelu(self, node: Node) -> set[str]:
        """The five nodes of x * (erf(x / sqrt 2) + 1) / 2 as one; empty if the node does not begin them."""
        if node.kind != "Div":
            return set()
        (values, divisor), seen, name = node.inputs, list[str](), node.outputs[0]
        number = self._number_or_name(divisor)
        if isinstance(number, str) or not isclose(number, sqrt(2), rel_tol=1e-6):
            return set()
        pattern: tuple[tuple[str, list[float | str]], ...] = (
            ("Erf", []), ("Add", [1.0]), ("Mul", [values]), ("Mul", [0.5])
        )  # fmt: skip
        for kind, beside in pattern:
            users = self._users[name]
            if len(users) != 1 or users[0].kind != kind:
                return set()
            if [self._number_or_name(other) for other in users[0].inputs if other != name] != beside:
                return set()
            seen.append(name)
            name = users[0].outputs[0]
        output = self._value(name, self.shapes[values])
        self._file.operator("GELU", [self._input(values)], output, "GeluOptions", approximate=False)
        return {*seen, name}

    def _norms_to_fold(self) -> dict[str, tuple[Array, Array]]:
        """Outputs of layer norms whose scale and shift go into the linear layers that read them, and these two."""
        constants = self._view.constants
        return {
            node.outputs[0]: (constants[node.inputs[1]], constants[node.inputs[2]])
            for node in self._view.nodes
            if node.kind == "LayerNormalization"
            and len(node.inputs) == 3
            and all(user.kind == "Gemm" and user.inputs[0] == node.outputs[0] for user in self._users[node.outputs[0]])
        }

    def _gemm(self, node: Node) -> None:
        rows, weight_name, *bias_name = node.inputs
        settings = node.attributes
        if settings.get("transA") or settings.get("alpha", 1.0) != 1 or settings.get("beta", 1.0) != 1:
            raise self._refused(node, "transA, alpha or beta")
        constants = self._view.constants
        bias = constants[bias_name[0]] if any(bias_name) else None
        weight = constants[weight_name] if settings.get("transB") else constants[weight_name].T  # (O, I)
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
        """A linear layer of weights (O, I); with scales (O,) they are int8, and rows are rounded one by one."""
        output = self._value(node.outputs[0], (*self.shapes[rows][:-1], len(weight)))
        weights = self._file.floats(weight) if scales is None else self._file.scaled(weight, scales)
        inputs = [self._input(rows), weights, *([] if bias is None else [self._file.floats(bias)])]
        self._file.operator(
            "FULLY_CONNECTED", inputs, output, "FullyConnectedOptions",
            keepNumDims=len(self.shapes[rows]) > 2, asymmetricQuantizeInputs=scales is not None,
        )  # fmt: skip

    def _matmul(self, node: Node) -> None:
        left, right = node.inputs
        if right in self._view.constants:
            self._linear(node, left, self._view.constants[right].T, None)
            return
        turned = self._turned(right)
        right = turned or right
        left_place, right_place = self._input(left), self._input(right)
        columns = self.shapes[right][-2 if turned else -1]
        output = self._value(node.outputs[0], (*self.shapes[left][:-1], columns))
        places = [left_place, right_place]
        self._file.operator("BATCH_MATMUL", places, output, "BatchMatMulOptions", adjX=False, adjY=bool(turned))

    def _turned(self, name: str) -> str:
        """What a value is the transpose of, last two axes exchanged; empty if it is none."""
        maker = self._makers.get(name)
        if maker is None or maker.kind != "Transpose":
            return ""
        order, axes = maker.attributes.get("perm"), len(self.shapes[maker.inputs[0]])
        return maker.inputs[0] if order == (*range(axes - 2), axes - 1, axes - 2) else ""

    def _transpose(self, node: Node) -> None:
        order, sizes = node.attributes.get("perm"), self.shapes[node.inputs[0]]
        if not isinstance(order, tuple):
            raise self._refused(node, "no order of the axes")
        turned = tuple(sizes[axis] for axis in order)
        self.shapes[node.outputs[0]] = turned
        if any(user.kind != "MatMul" or not self._turned(node.outputs[0]) for user in self._users[node.outputs[0]]):
            output = self._value(node.outputs[0], turned)
            self._file.operator(
                "TRANSPOSE", [self._input(node.inputs[0]), self._file.whole(order)], output, "TransposeOptions"
            )

    def _layernormalization(self, node: Node) -> None:
        name, sizes = node.inputs[0], self._last_axis(node)
        last, one = self._file.whole((len(sizes) - 1,)), (*sizes[:-1], 1)
        mean = self._unnamed("MEAN", [self._input(name), last], one, "ReducerOptions", keepDims=True)
        centred = self._unnamed("SUB", [self._input(name), mean], sizes, "SubOptions")
        square = self._unnamed("MUL", [centred, centred], sizes, "MulOptions")
        variance = self._unnamed("MEAN", [square, last], one, "ReducerOptions", keepDims=True)
        epsilon = self._file.floats(np.asarray([node.attributes.get("epsilon", 1e-5)]))
        deviation = self._unnamed("RSQRT", [self._unnamed("ADD", [variance, epsilon], one, "AddOptions")], one)
        if node.outputs[0] in self._folded:
            self._file.operator("MUL", [centred, deviation], self._value(node.outputs[0], sizes), "MulOptions")
            return
        normal = self._unnamed("MUL", [centred, deviation], sizes, "MulOptions")
        scaled = self._unnamed("MUL", [normal, self._input(node.inputs[1])], sizes, "MulOptions")
        self._file.operator(
            "ADD", [scaled, self._input(node.inputs[2])], self._value(node.outputs[0], sizes), "AddOptions"
        )

    def _softmax(self, node: Node) -> None:
        output = self._value(node.outputs[0], self._last_axis(node))
        self._file.operator("SOFTMAX", [self._input(node.inputs[0])], output, "SoftmaxOptions", beta=1.0)

    def _reshape(self, node: Node) -> None:
        sizes, asked = self.shapes[node.inputs[0]], self._view.constants[node.inputs[1]].reshape(-1).tolist()
        if not node.attributes.get("allowzero"):
            asked = [sizes[axis] if size == 0 else size for axis, size in enumerate(asked)]
        known = prod(size for size in asked if size != -1)
        reshaped = tuple(prod(sizes) // known if size == -1 else size for size in asked)
        output = self._value(node.outputs[0], reshaped)
        inputs = [self._input(node.inputs[0]), self._file.whole(reshaped)]
        self._file.operator("RESHAPE", inputs, output, "ReshapeOptions", newShape=list(reshaped))

    def _reducemean(self, node: Node) -> None:
        name, axes = node.inputs[0], node.attributes.get("axes", ())
        sizes = self.shapes[name]
        if len(node.inputs) > 1:
            axes = tuple(self._view.constants[node.inputs[1]].reshape(-1).tolist())
        if not isinstance(axes, tuple) or not axes:
            raise self._refused(node, "no axes")
        gone, keeps = {axis % len(sizes) for axis in axes}, bool(node.attributes.get("keepdims", 1))
        left = tuple(1 if axis in gone else size for axis, size in enumerate(sizes) if keeps or axis not in gone)
        output = self._value(node.outputs[0], left)
        inputs = [self._input(name), self._file.whole(tuple(sorted(gone)))]
        self._file.operator("MEAN", inputs, output, "ReducerOptions", keepDims=keeps)

    def _concat(self, node: Node) -> None:
        places = [self._input(name) for name in node.inputs]
        shapes = [self.shapes[name] for name in node.inputs]
        axis = _axis(node, len(shapes[0]))
        joined = tuple(
            sum(sizes[axis] for sizes in shapes) if place == axis else size for place, size in enumerate(shapes[0])
        )
        output = self._value(node.outputs[0], joined)
        self._file.operator("CONCATENATION", places, output, "ConcatenationOptions", axis=axis)

    def _split(self, node: Node) -> None:
        name, parts = node.inputs[0], len(node.outputs)
        sizes = self.shapes[name]
        axis = _axis(node, len(sizes))
        if len(node.inputs) > 1 or sizes[axis] % parts:
            raise self._refused(node, "parts of different sizes")
        part = tuple(size // parts if place == axis else size for place, size in enumerate(sizes))
        for number, output in enumerate(node.outputs):
            begin = tuple(number * part[axis] if place == axis else 0 for place in range(len(sizes)))
            inputs = [self._input(name), self._file.whole(begin), self._file.whole(part)]
            self._file.operator("SLICE", inputs, self._value(output, part), "SliceOptions")
