"""What `student/network/fused.py` saves: nodes of a student's graphs before and after, and what they cost onnxruntime.

    python tools/graph_nodes.py runs/demo/student

Before: the encoder and the head as they were trained, exported as they are. After: as `edgehar export` writes them.
Batch 1, one thread, made-up inputs. Everything takes turns, in bursts, in another order each time. The ratio is given
for each of three repetitions; the last line is one JSON document.
"""

import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.bench.timing import Action, time_interleaved
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.student.network.fused import FusedEncoder, FusedHead
from edgehar.student.network.model import Encoder, StudentNetwork
from edgehar.student.network.onnx_export import export_onnx
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint

REPETITIONS = 3
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class NodesConfig:
    """Options of the command."""

    checkpoint: str = positional("folder of a student or pruned checkpoint")
    runs: int = option(1000, "timed runs of each graph in each repetition")

    def __post_init__(self) -> None:
        """Refuse what gives no median."""
        if self.runs < 1:
            raise ConfigError(f"--runs {self.runs}: expected 1 or more")


class TrainedEncoder(nn.Module):
    """The encoder as it was trained, with one input per modality."""

    def __init__(self, encoder: Encoder) -> None:
        """Wrap a student's encoder."""
        super().__init__()
        self.encoder = encoder

    def forward(self, *inputs: Tensor) -> Tensor:
        """Every modality's (N, P*G*F), then valid (N, M) -> token (N, D)."""
        return self.encoder(dict(zip(self.encoder.names, inputs, strict=False)), inputs[-1])


def graphs(student: StudentNetwork) -> dict[tuple[str, str], bytes]:
    """Both parts, before and after."""
    names = [*student.encoder.names, "valid"]
    sizes = [spec.patch * spec.groups * spec.features for spec in student.specs] + [len(student.specs)]
    some, tokens = tuple(torch.ones(3, size) for size in sizes), torch.zeros(3, *student.head.position_embedding.shape)
    encoders = {BEFORE: TrainedEncoder(student.encoder), AFTER: FusedEncoder(student.encoder)}
    heads = {BEFORE: student.head, AFTER: FusedHead(student.head)}
    return {
        ("encoder", form): export_onnx(module, some, names, "token", "steps") for form, module in encoders.items()
    } | {
        ("head", form): export_onnx(module, (tokens,), ["tokens"], "logits", "windows")
        for form, module in heads.items()
    }


def opened(graph: bytes) -> tuple[Any, dict[str, int]]:
    """A session with one thread, and how often it runs which operator."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    return session, dict(kinds.most_common())


def action_of(session: Any, rows: int) -> Action:
    """A call on made-up inputs with so many rows."""
    generator = np.random.default_rng(0)
    shapes = {value.name: [rows, *value.shape[1:]] for value in session.get_inputs()}
    inputs = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    inputs |= {"valid": np.ones_like(inputs["valid"])} if "valid" in inputs else {}
    return lambda: session.run(None, inputs)


def main(argv: list[str] | None = None) -> int:
    """Export both ways, count, time, print."""
    config = parse(NodesConfig, argv, "python tools/graph_nodes.py", __doc__ or "")
    student = rebuild(load_checkpoint(Path(config.checkpoint), ("student", "pruned")))
    exported = graphs(student)
    steps, sessions = len(student.head.position_embedding), {key: opened(graph) for key, graph in exported.items()}
    actions = {("head", form): action_of(sessions["head", form][0], 1) for form in (BEFORE, AFTER)}
    for form in (BEFORE, AFTER):
        actions["encoder, a step", form] = action_of(sessions["encoder", form][0], 1)
        actions["encoder, a window", form] = action_of(sessions["encoder", form][0], steps)
    repeated = [
        {key: times.milliseconds()["median_ms"] * 1000 for key, times in time_interleaved(actions, config.runs).items()}
        for _ in range(REPETITIONS)
    ]
    for times in repeated:
        for form in (BEFORE, AFTER):
            times["hop", form] = times["encoder, a step", form] + times["head", form]
            times["window", form] = times["encoder, a window", form] + times["head", form]
    count = {key: len(onnx.load_model_from_string(graph).graph.node) for key, graph in exported.items()}
    lines = [f"{'':<20}{BEFORE:>10}{AFTER:>10}"]
    for part in ("encoder", "head"):
        for what, of in (
            ("nodes", lambda key: count[key]),
            ("nodes run", lambda key: sum(sessions[key][1].values())),
            ("bytes", lambda key: len(exported[key])),
        ):
            lines.append(f"{part + ', ' + what:<20}{of((part, BEFORE)):>10}{of((part, AFTER)):>10}")
    ratios: dict[str, list[float]] = {}
    for what in dict.fromkeys(name for name, _ in repeated[0]):
        ratios[what] = [times[what, BEFORE] / times[what, AFTER] for times in repeated]
        before_us, after_us = (float(np.median([times[what, form] for times in repeated])) for form in (BEFORE, AFTER))
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios[what])
        lines.append(f"{what + ', us':<20}{before_us:>10.1f}{after_us:>10.1f}   {shown} times faster")
    document = {
        "runs": config.runs,
        "onnxruntime": ort.__version__,
        "nodes": {f"{part}, {form}": number for (part, form), number in count.items()},
        "nodes_run": {f"{part}, {form}": kinds for (part, form), (_, kinds) in sessions.items()},
        "bytes": {f"{part}, {form}": len(graph) for (part, form), graph in exported.items()},
        "median_us": [{f"{what}, {form}": value for (what, form), value in times.items()} for times in repeated],
        "times_faster": ratios,
    }
    sys.stdout.write("\n".join(lines) + f"\n{json.dumps(document)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
