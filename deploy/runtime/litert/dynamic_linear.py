"""A linear layer with INT8 weights and ranges measured at run time is six nodes of an ONNX graph; here they are one."""

from dataclasses import replace

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node

DYNAMIC_LINEAR = "DynamicLinear"


def _only_user(view: GraphView, node: Node, kind: str) -> Node | None:
    """The one node that reads what a node gives, if it is of this kind."""
    users = view.users[node.outputs[0]]
    return users[0] if len(users) == 1 and users[0].kind == kind else None


def _beside(node: Node, name: str) -> str:
    """The other input of a node with two."""
    return node.inputs[1 - node.inputs.index(name)]


def _layer(view: GraphView, product: Node) -> tuple[Node, set[str]] | None:
    """One node for the layer around a MatMulInteger, and the values inside it; None if there is no such layer."""
    rows, weight, zero, weight_zero = (*product.inputs, "", "")[:4]
    ranges, cast = view.makers.get(rows), _only_user(view, product, "Cast")
    scaled = None if cast is None else _only_user(view, cast, "Mul")
    if ranges is None or ranges.kind != "DynamicQuantizeLinear" or cast is None or scaled is None:
        return None
    scales = _beside(scaled, cast.outputs[0])
    both, scale = view.makers.get(scales), ranges.outputs[1]
    if both is None or both.kind != "Mul" or scale not in both.inputs or zero != ranges.outputs[2]:
        return None
    weight_scale = _beside(both, scale)
    constants = view.constants
    if weight not in constants or constants[weight].dtype != np.int8 or np.any(constants.get(weight_zero, 0)):
        return None
    if weight_scale not in constants:
        return None
    last, bias = _only_user(view, scaled, "Add"), ""
    if last is not None:
        bias = _beside(last, scaled.outputs[0])
    if last is None or bias not in constants or constants[bias].ndim != 1:
        last, bias = scaled, ""
    inside = {*product.outputs, *cast.outputs, *scaled.outputs, scales} - {*last.outputs}
    inputs = (ranges.inputs[0], weight, weight_scale, bias)
    return Node(DYNAMIC_LINEAR, product.name, inputs, last.outputs), inside


def join_dynamic_linears(view: GraphView) -> GraphView:
    """The graph with every such layer as one node of kind `DYNAMIC_LINEAR`, and the rest as it was.

    The node's inputs are rows (..., I), the weight (I, O) of int8, its scale or scales (O,), and the bias (O,) or
    "". What it computes is rows @ (weight * scale) + bias; how the rows are rounded is the runtime's choice.
    """
    joined, gone = dict[str, Node](), set[str]()
    for node in view.nodes:
        found = _layer(view, node) if node.kind == "MatMulInteger" else None
        if found is not None:
            joined[found[0].outputs[0]] = found[0]
            gone |= found[1]
    # Of ranges nothing is left once no other node reads them.
    for node in view.nodes:
        if node.kind == "DynamicQuantizeLinear":
            readers = [user for name in node.outputs for user in view.users[name]]
            gone |= set(node.outputs) if all(gone.issuperset(user.outputs) for user in readers) else set[str]()
    nodes = [joined.get(node.outputs[0], node) for node in view.nodes if not gone.issuperset(node.outputs)]
    return replace(view, nodes=tuple(nodes))
