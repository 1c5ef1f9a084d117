"""What a network costs: multiply-adds; of a student also bytes of its graphs, or milliseconds of onnxruntime."""

import copy
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import export_graphs
from edgehar.student.windows import Inputs
from edgehar.teacher.network.layers import count_macs

WARM_UP, RUNS = 50, 200


def on_a_board(student: StudentNetwork, window: Inputs) -> tuple[bytes, bytes, dict[str, Tensor]]:
    """Encoder and head as an edge package holds them, and the encoder's inputs for one window."""
    features, valid = window
    steps = {name: features[name][0].flatten(1).cpu() for name in student.encoder.names}  # (S, P*G*F)
    steps["valid"] = torch.stack([valid[name][0] for name in student.encoder.names], 1).float().cpu()  # (S, M)
    tokens = torch.zeros(2, len(steps["valid"]), student.encoder.token_projection.out_features)
    # Every step twice: the exporter takes an axis of size 1 for a constant.
    some = tuple(torch.cat([part, part]) for part in steps.values())
    return *export_graphs(copy.deepcopy(student).cpu().eval(), some, tokens), steps


def macs(network: nn.Module, window: Inputs) -> float:
    """Multiply-adds of one window."""
    return float(count_macs(network, *window))


def graph_bytes(student: StudentNetwork, window: Inputs) -> float:
    """Bytes of both graphs in fp32."""
    encoder, head, _ = on_a_board(student, window)
    return float(len(encoder) + len(head))


def latency_ms(student: StudentNetwork, window: Inputs) -> float:
    """Median milliseconds of both graphs for one window, one thread of this machine."""
    encoder, head, inputs = on_a_board(student, window)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    first, second = (
        ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for graph in (encoder, head)
    )
    given = cast(Any, {name: part.numpy() for name, part in inputs.items()})
    taken: list[float] = []
    for run in range(WARM_UP + RUNS):
        start_s = time.perf_counter()
        tokens = np.asarray(first.run(None, given)[0])
        second.run(None, {"tokens": tokens[None]})
        if run >= WARM_UP:
            taken.append(time.perf_counter() - start_s)
    return float(np.median(taken)) * 1000


UNITS = {"macs": "multiply-adds", "bytes": "bytes", "latency_ms": "ms"}
"""Name of the option -> unit of its cost."""
COSTS: dict[str, Callable[[Any, Inputs], float]] = {"macs": macs, "bytes": graph_bytes, "latency_ms": latency_ms}
"""Name of the option -> what a network costs, given one window; only a student has bytes and milliseconds."""
