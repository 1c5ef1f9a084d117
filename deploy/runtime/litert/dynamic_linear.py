"""Fuses dynamically quantised linear layers: six ONNX nodes become one."""

from dataclasses import replace

import numpy as np

from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Node

DYNAMIC_LINEAR = "DynamicLinear"


def _only_consumer(view: GraphView, node: Node, op_type: str) -> Node | None:
    """The only node that reads a node's output, if it has this operator."""
    consumers = view.consumers[node.outputs[0]]
    return consumers[0] if len(consumers) == 1 and consumers[0].op_type == op_type else None


def _other_input(node: Node, name: str) -> str:
    """The other one of a node's two inputs."""
    return node.inputs[1 - node.inputs.index(name)]


def _fused_layer(view: GraphView, product: Node) -> tuple[Node, set[str]] | None:
    """One node for the layer around a MatMulInteger, and the layer's inner values; None if the nodes are no layer."""
    rows, weight, rows_zero, weight_zero = (*product.inputs, "", "")[:4]
    quantiser, cast = view.producers.get(rows), _only_consumer(view, product, "Cast")
    scaled = None if cast is None else _only_consumer(view, cast, "Mul")
    if quantiser is None or quantiser.op_type != "DynamicQuantizeLinear" or cast is None or scaled is None:
        return None
    total_scale = _other_input(scaled, cast.outputs[0])
    scale_node, rows_scale = view.producers.get(total_scale), quantiser.outputs[1]
    if scale_node is None or scale_node.op_type != "Mul" or rows_scale not in scale_node.inputs:
        return None
    weight_scale = _other_input(scale_node, rows_scale)
    constants = view.constants
    if weight not in constants or constants[weight].dtype != np.int8 or np.any(constants.get(weight_zero, 0)):
        return None
    if weight_scale not in constants or rows_zero != quantiser.outputs[2]:
        return None
    last, bias = _only_consumer(view, scaled, "Add"), ""
    if last is not None:
        bias = _other_input(last, scaled.outputs[0])
    if last is None or bias not in constants or constants[bias].ndim != 1:
        last, bias = scaled, ""
    inner = {*product.outputs, *cast.outputs, *scaled.outputs, total_scale} - {*last.outputs}
    inputs = (quantiser.inputs[0], weight, weight_scale, bias)
    return Node(DYNAMIC_LINEAR, product.name, inputs, last.outputs), inner


def fuse_dynamic_linears(view: GraphView) -> GraphView:
    """The graph with every dynamically quantised linear layer as one node of operator `DYNAMIC_LINEAR`.

    The node's inputs are rows (..., I), the int8 weight (I, O), its scale or scales (O,), and the bias (O,) or "". It
    computes rows @ (weight * scale) + bias; the runtime chooses how the rows are quantised.
    """
    fused, removed = dict[str, Node](), set[str]()
    for node in view.nodes:
        layer = _fused_layer(view, node) if node.op_type == "MatMulInteger" else None
        if layer is not None:
            fused[layer[0].outputs[0]] = layer[0]
            removed |= layer[1]
    # A DynamicQuantizeLinear goes once no remaining node reads it.
    for node in view.nodes:
        if node.op_type == "DynamicQuantizeLinear":
            consumers = [consumer for name in node.outputs for consumer in view.consumers[name]]
            unused = all(removed.issuperset(consumer.outputs) for consumer in consumers)
            removed |= set(node.outputs) if unused else set[str]()
    nodes = [fused.get(node.outputs[0], node) for node in view.nodes if not removed.issuperset(node.outputs)]
    return replace(view, nodes=tuple(nodes))
