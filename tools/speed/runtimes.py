"""Latency of edgehar beside torch and a plain ONNX export of the same network.

    python tools/speed/runtimes.py runs/demo/student runs/demo/package

One process, one thread, batch 1, random signals, all implementations in turn: torch eager and torch.compile;
onnxruntime on the unoptimised export of the whole network as one graph; edgehar's window and stream hop in each
precision of the package, and with LiteRT if it is installed. Prints a table in milliseconds and the ratios with their
floors, and writes docs/results/board/speed-NAME.json. Ratios are of wall time; CPU time shows other load.

A hop is the cost of a prediction in a stream, for which the other implementations compute the whole window; ratios to
a hop are listed separately.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.bench.benchmark import macs_of, peak_macs_per_s
from edgehar.deploy.bench.stability import core_share_warning, stability_warnings
from edgehar.deploy.bench.timing import Action, BenchmarkTarget, run_sustained, time_interleaved
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state
from edgehar.deploy.runtime.providers import CPU, LITERT, LITERT_PRECISIONS, available_providers
from edgehar.deploy.runtime.tuned_profile import manifest_sha256
from edgehar.entry import guarded
from edgehar.errors import CheckpointError
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage
from edgehar.provenance import portable, stamp
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import OPSET, quiet_exporter
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint
from tools.speed.floors import COMPILED, EAGER, PLAIN, PLAIN_OFF, PREPARE, floors, table

FORMAT = "edgehar-speed"
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "board"
FEWEST_RUNS = 100
SAME = 1e-4
"""Limit of the difference between two implementations' fp32 logits, relative to the largest logit."""
SUSTAIN_S = 1.0


@dataclass(frozen=True)
class SpeedConfig(Options):
    """Latency."""

    checkpoint: str = positional("folder of the student's checkpoint")
    package: str = positional("folder of the edge package exported from it")
    runs: int = option(2000, "timed runs of each implementation", at_least=FEWEST_RUNS)
    compile: bool = option(True, "also time torch.compile")
    json: str | None = option(None, "file for the result; default: docs/results/board/speed-NAME.json")


PARSER = Parser(SpeedConfig, "python tools/speed/runtimes.py", __doc__ or "")


class WholeNetwork(nn.Module):
    """The student as one network, from the features of a window to logits."""

    def __init__(self, student: StudentNetwork) -> None:
        """Wrap a student."""
        super().__init__()
        self.student = student

    def forward(self, *inputs: Tensor) -> Tensor:
        """Every modality's (B, S, P*G*F), then valid (B, S, M) -> logits (B, K)."""
        features = dict(zip(self.student.encoder.names, inputs, strict=False))
        return self.student.head(self.student.encoder(features, inputs[-1]))


def window_inputs(subject: BenchmarkTarget) -> dict[str, np.ndarray[Any, Any]]:
    """The random window of a subject as inputs of the whole network: (1, S, P*G*F) per modality, and valid."""
    windows, specs = subject.windows, subject.recognizer.manifest.modalities
    inputs = {spec.name: windows.features[spec.name].reshape(*windows.valid[spec.name].shape, -1) for spec in specs}
    return inputs | {"valid": np.stack([windows.valid[spec.name] for spec in specs], -1).astype(np.float32)}


def plain_sessions(whole: WholeNetwork, inputs: dict[str, np.ndarray[Any, Any]]) -> tuple[dict[str, Any], int]:
    """Sessions on an export of the whole network without the exporter's optimisations, and its number of nodes."""
    with quiet_exporter():
        tensors = tuple(torch.as_tensor(array) for array in inputs.values())
        program = torch.onnx.export(
            whole, tensors, input_names=list(inputs), output_names=["logits"], opset_version=OPSET, dynamo=True,
            optimize=False, verbose=False,
        )  # fmt: skip
    assert program is not None
    data = program.model_proto.SerializeToString()
    levels = {
        PLAIN: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,  # the default of a session
        PLAIN_OFF: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    }
    sessions: dict[str, Any] = {}
    for name, level in levels.items():
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        options.graph_optimization_level = level
        sessions[name] = ort.InferenceSession(data, options, providers=[CPU])
    return sessions, len(program.model_proto.graph.node)


def node_count(package: EdgePackage, precision: str) -> int:
    """Number of nodes of both graphs in the package."""
    names = package.manifest.graphs[precision].values()
    return sum(len(onnx.load_model_from_string(package.read(name)).graph.node) for name in names)


def network_paths(
    student: StudentNetwork, reference: BenchmarkTarget, compiled: bool
) -> tuple[dict[str, Action], dict[str, int], str | None]:
    """The other implementations by name, the number of nodes of the export, and why torch.compile is missing.

    Raises CheckpointError if the logits of one differ from the package's.
    """
    whole, inputs = WholeNetwork(student).eval(), window_inputs(reference)
    tensors = tuple(torch.as_tensor(array) for array in inputs.values())

    def eager() -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            return whole(*tensors).numpy()

    paths: dict[str, Action] = {EAGER: eager}
    problem = None if compiled else "--no-compile was given"
    if compiled:
        faster = torch.compile(whole)

        def compiled_run() -> np.ndarray[Any, Any]:
            with torch.inference_mode():
                return faster(*tensors).numpy()

        try:
            compiled_run()
            paths[COMPILED] = compiled_run
        except Exception as raised:  # the other implementations are timed without the compiler
            problem = f"{type(raised).__name__}: {str(raised).strip().splitlines()[0][:200]}"
    sessions, nodes = plain_sessions(whole, inputs)
    for name, session in sessions.items():
        paths[name] = lambda session=session: session.run(None, inputs)[0]
    expected = reference.recognizer.predict_prepared(reference.windows)
    for name, path in paths.items():
        error = float(np.abs(path() - expected).max() / np.abs(expected).max())
        if not error <= SAME:
            raise CheckpointError(
                f"logits of {name} and the package differ by {error:g}; expected at most {SAME:g}; export it again"
            )
    return paths, {"plain export": nodes}, problem


def edge_paths(subjects: dict[str, BenchmarkTarget]) -> dict[str, Action]:
    """Edgehar's window and hop in each precision, from features and from samples."""
    paths: dict[str, Action] = {}
    for precision, subject in subjects.items():
        encode, classify = subject.actions["hop_encoder"], subject.actions["head"]
        paths |= {
            f"edgehar {precision}, window": subject.actions["window_network"],
            f"edgehar {precision}, hop": lambda encode=encode, classify=classify: (encode(), classify()),
            f"edgehar {precision}, window from samples": subject.actions["window"],
            f"edgehar {precision}, hop from samples": subject.actions["hop"],
        }
    return paths


def main(argv: list[str] | None = None) -> int:
    """Time every implementation, print the table, write the result, and print it as the last line."""
    config = PARSER.parse(argv)
    checkpoint = load_checkpoint(Path(config.checkpoint), ("student", "pruned"))
    package = EdgePackage.open(config.package)
    manifest = package.manifest
    torch.set_num_threads(1)
    before = device_state()
    subjects = {precision: BenchmarkTarget(Recognizer(package, precision, 1, (CPU,))) for precision in manifest.graphs}
    reference = subjects["fp32"]
    if LITERT in available_providers():
        for precision in [name for name in LITERT_PRECISIONS if name in manifest.graphs]:
            subjects[f"{precision} {LITERT}"] = BenchmarkTarget(Recognizer(package, precision, 1, (LITERT,)))
    others, nodes, problem = network_paths(rebuild(checkpoint), reference, config.compile)
    actions = others | {PREPARE: reference.prepared} | edge_paths(subjects)
    peak = peak_macs_per_s(1)
    paths = {name: times.milliseconds() for name, times in time_interleaved(actions, config.runs).items()}
    peak = max(peak, peak_macs_per_s(1))
    sustained = run_sustained(reference.hop, SUSTAIN_S)
    after = device_state()
    device = device_facts()
    macs = macs_of(manifest)
    known_ms = {
        "window limit": macs["window"] / peak * 1000,
        "hop limit": macs["hop"] / peak * 1000,
        "hop": manifest.window.hop * manifest.window.step_s * 1000,
    }
    waited = core_share_warning("all paths", sustained.core_share)
    words = ["python", "tools/speed/runtimes.py", config.checkpoint, config.package, "--runs", str(config.runs)]
    result: dict[str, Any] = {
        "format": FORMAT,
        "format_version": 1,
        "command": portable(words if config.compile else [*words, "--no-compile"]),
        **stamp(),
        "name": manifest.name,
        "manifest_sha256": manifest_sha256(package),
        "parameters": manifest.parameters,
        "macs": macs,
        "fp32_peak_macs_per_s": peak,
        "limit_ms": {"window": known_ms["window limit"], "hop": known_ms["hop limit"]},
        "threads": 1,
        "runs": config.runs,
        "nodes": nodes | {precision: node_count(package, precision) for precision in manifest.graphs},
        "paths": paths,
        "torch_compile": problem,
        "floors": floors(paths, list(subjects), known_ms),
        "remarks": [*stability_warnings(before, after, device["cores"] or 1), *([waited] if waited else [])],
        "before": before,
        "after": after,
        "device": device,
    }
    path = RESULTS / f"speed-{manifest.name}.json" if config.json is None else Path(config.json)
    write_json(path, result)
    sys.stdout.write(f"{table(result)}\nwritten to {path}\n{json.dumps(result)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
