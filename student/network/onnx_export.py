"""Export of a student's encoder and head as ONNX graphs."""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import onnx
import torch
from onnx.utils import Extractor
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


class _EncoderAndHead(nn.Module):
    """Both parts side by side, without a connection."""

    def __init__(self, student: StudentNetwork) -> None:
        super().__init__()
        self.encoder, self.head = FusedEncoder(student.encoder), FusedHead(student.head)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (N, D) of steps, and logits (B, K) of other windows of tokens."""
        return self.encoder(*inputs[:-1]), self.head(inputs[-1])


def _export(student: StudentNetwork, inputs: tuple[Tensor, ...], names: list[str]) -> onnx.ModelProto:
    """One graph of both parts.

    Raises CheckpointError if the exporter does not keep to the opset or IR version.
    """
    rows, windows = {0: torch.export.Dim("steps", min=1)}, {0: torch.export.Dim("windows", min=1)}
    with quiet_exporter():
        program = torch.onnx.export(
            _EncoderAndHead(student).eval(),
            inputs,
            input_names=names,
            output_names=["token", "logits"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=((*(rows for _ in inputs[1:]), windows),),
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
    return graph


def export_graphs(student: StudentNetwork, steps: tuple[Tensor, ...], tokens: Tensor) -> tuple[bytes, bytes]:
    """Encoder and head of a student as serialised ONNX graphs, each with a dynamic first axis.

    One call of the exporter for both takes two thirds of the time of two calls.

    Args:
        student: on the CPU.
        steps: example steps of every modality (N, P*G*F) and their validity (N, M), N above 1.
        tokens: example windows of tokens (B, S, D).

    Raises CheckpointError if the exporter does not keep to the opset or IR version.
    """
    names = [*student.encoder.names, "valid"]
    parts = Extractor(_export(student, (*steps, tokens), [*names, "tokens"]))
    graphs = parts.extract_model(names, ["token"]), parts.extract_model(["tokens"], ["logits"])
    for graph in graphs:
        onnx.checker.check_model(graph, full_check=True)
    encoder, head = (strip_metadata(graph).SerializeToString() for graph in graphs)
    return encoder, head
