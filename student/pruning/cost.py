"""Cost of a network: multiply-adds; for a student also the bytes of its graphs and its latency in onnxruntime."""

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


def exported(student: StudentNetwork, window: Inputs) -> tuple[bytes, bytes, dict[str, Tensor]]:
    """Encoder and head as ONNX graphs, and the encoder's inputs for one window."""
    features, valid = window
    steps = {name: features[name][0].flatten(1).cpu() for name in student.encoder.names}  # (S, P*G*F)
    steps["valid"] = torch.stack([valid[name][0] for name in student.encoder.names], 1).float().cpu()  # (S, M)
    tokens = torch.zeros(2, len(steps["valid"]), student.encoder.token_projection.out_features)
    # Every step twice: the exporter takes an axis of size 1 for a constant.
    example = tuple(torch.cat([part, part]) for part in steps.values())
    return *export_graphs(copy.deepcopy(student).cpu().eval(), example, tokens), steps


def macs(network: nn.Module, window: Inputs) -> float:
    """Multiply-adds of one window."""
    return float(count_macs(network, *window))


def graph_bytes(student: StudentNetwork, window: Inputs) -> float:
    """Bytes of both fp32 graphs."""
    encoder, head, _ = exported(student, window)
    return float(len(encoder) + len(head))


def latency_ms(student: StudentNetwork, window: Inputs) -> float:
    """Median time of both graphs for one window, on one thread of this machine, in milliseconds."""
    encoder, head, inputs = exported(student, window)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    encoder_session, head_session = (
        ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for graph in (encoder, head)
    )
    feed = cast(Any, {name: part.numpy() for name, part in inputs.items()})
    times_s: list[float] = []
    for run in range(WARM_UP + RUNS):
        start_s = time.perf_counter()
        tokens = np.asarray(encoder_session.run(None, feed)[0])
        head_session.run(None, {"tokens": tokens[None]})
        if run >= WARM_UP:
            times_s.append(time.perf_counter() - start_s)
    return float(np.median(times_s)) * 1000


UNITS = {"macs": "multiply-adds", "bytes": "bytes", "latency_ms": "ms"}
"""Option -> unit of its limit."""
COSTS: dict[str, Callable[[Any, Inputs], float]] = {"macs": macs, "bytes": graph_bytes, "latency_ms": latency_ms}
"""Option -> function of a network and one window that gives its cost; bytes and latency of a student only."""


def format_cost(cost: float) -> str:
    """A cost for messages: three significant digits, or a whole number from 1000."""
    return f"{cost:,.0f}" if cost >= 1000 else f"{cost:.3g}"
