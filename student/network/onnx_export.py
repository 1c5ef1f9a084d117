"""Export of a student's encoder and head as ONNX graphs."""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError
from edgehar.student.network.fused import FusedEncoder, FusedHead
from edgehar.student.network.model import StudentNetwork

OPSET = 18
"""Read by TensorRT 10 and by onnxruntime 1.18 and later."""

MAX_IR_VERSION = 10
"""Newest ONNX IR version that onnxruntime 1.18 reads."""


@contextmanager
def quiet_exporter() -> Generator[None, None, None]:
    """Suppress the exporter's log messages and warnings about its own internals (torchvision, deprecations)."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def strip_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove what runtimes ignore: inferred shapes, and the source line of each node."""
    graph = model.graph
    del graph.value_info[:]
    for entry in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del entry.metadata_props[:]
    return model


def export_onnx(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], output: str, rows: str) -> bytes:
    """Export a module as a graph with a dynamic first axis, named `rows`.

    Raises CheckpointError if the exporter does not keep to the opset or IR version.
    """
    dynamic = torch.export.Dim(rows, min=1)
    with quiet_exporter():
        program = torch.onnx.export(
            module.eval(),
            inputs,
            input_names=names,
            output_names=[output],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: dynamic},) if len(inputs) == 1 else (tuple({0: dynamic} for _ in inputs),),
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    opsets = {entry.domain: entry.version for entry in graph.opset_import}
    if opsets.get("", 0) != OPSET or graph.ir_version > MAX_IR_VERSION:
        raise CheckpointError(
            f"exported opset {opsets}, IR {graph.ir_version}; expected opset {OPSET}, IR up to {MAX_IR_VERSION}; "
            "install the versions of constraints.txt"
        )
    onnx.checker.check_model(graph, full_check=True)
    return strip_metadata(graph).SerializeToString()


def export_graphs(student: StudentNetwork, steps: tuple[Tensor, ...], tokens: Tensor) -> tuple[bytes, bytes]:
    """Encoder and head of a student as serialised ONNX graphs.

    Args:
        student: on the CPU.
        steps: example steps of every modality (N, P*G*F) and their validity (N, M), N above 1.
        tokens: example windows of tokens (B, S, D).
    """
    inputs = [*student.encoder.names, "valid"]
    encoder = export_onnx(FusedEncoder(student.encoder), steps, inputs, "token", "steps")
    return encoder, export_onnx(FusedHead(student.head), (tokens,), ["tokens"], "logits", "windows")
