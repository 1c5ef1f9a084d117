"""What the board side gains over running the trained network as it is: every way to an answer, timed in turns.

    python tools/speed.py runs/demo/student runs/demo/package

One process, one thread, batch 1, made-up signals: torch eager and torch.compile, onnxruntime on the unoptimised export
of the whole network as one graph, and edgehar's whole window and stream hop in each precision of the package, and
through LiteRT if it is installed. The table is in milliseconds; the ratios follow with the floors they should reach,
and docs/results/speed-NAME.json gets it all. Wall time is what counts; the processors' time beside it says what a busy
machine added.

A window is compared with a window. A hop is what a live stream pays for each answer where the other ways compute the
whole window anew, so that ratios to it are given apart and named so.
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

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.bench.benchmark import macs_of, peak_macs_per_s
from edgehar.deploy.bench.stability import core_share_warning, stability_warnings
from edgehar.deploy.bench.timing import Action, BenchmarkTarget, run_sustained, time_interleaved
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state
from edgehar.deploy.runtime.providers import CPU, LITERT, LITERT_PRECISIONS, available_providers
from edgehar.deploy.runtime.tuned_profile import manifest_sha256
from edgehar.entry import guarded
from edgehar.errors import CheckpointError, ConfigError
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage
from edgehar.provenance import portable, stamp
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import OPSET, quiet_exporter
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint
from tools.speed_table import COMPILED, EAGER, PLAIN, PLAIN_OFF, PREPARE, floors, table

FORMAT = "edgehar-speed"
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
FEWEST_RUNS = 100
SAME = 1e-4
"""Largest difference of two paths' fp32 logits, relative to the largest logit; all must compute the same network."""
SUSTAIN_S = 1.0


@dataclass(frozen=True)
class SpeedConfig:
    """Options of the command."""

    checkpoint: str = positional("folder of the student's checkpoint")
    package: str = positional("folder of the edge package exported from it")
    runs: int = option(2000, f"timed runs of each path, {FEWEST_RUNS} or more")
    compile: bool = option(True, "also try torch.compile")
    json: str | None = option(None, "where the result goes; docs/results/speed-NAME.json if not given")

    def __post_init__(self) -> None:
        """Refuse too few runs."""
        if self.runs < FEWEST_RUNS:
            raise ConfigError(f"--runs {self.runs}: expected {FEWEST_RUNS} or more, so that the medians mean something")


class Whole(nn.Module):
    """The student as one network, from the features of a window to logits, with nothing else to do."""

    def __init__(self, student: StudentNetwork) -> None:
        """Wrap a student."""
        super().__init__()
        self.student = student

    def forward(self, *inputs: Tensor) -> Tensor:
        """Every modality's (B, S, P*G*F), then valid (B, S, M) -> logits (B, K)."""
        features = dict(zip(self.student.encoder.names, inputs, strict=False))
        return self.student.head(self.student.encoder(features, inputs[-1]))


def window_inputs(subject: BenchmarkTarget) -> dict[str, np.ndarray[Any, Any]]:
    """The made-up window of a subject as the whole network takes it: (1, S, P*G*F) per modality, and valid."""
    windows, specs = subject.windows, subject.recognizer.manifest.modalities
    inputs = {spec.name: windows.features[spec.name].reshape(*windows.valid[spec.name].shape, -1) for spec in specs}
    return inputs | {"valid": np.stack([windows.valid[spec.name] for spec in specs], -1).astype(np.float32)}


def plain_sessions(whole: Whole, inputs: dict[str, np.ndarray[Any, Any]]) -> tuple[dict[str, Any], int]:
    """Sessions on the export of the whole network without any optimisation of the exporter's, and its nodes."""
    with quiet_exporter():
        given = tuple(torch.as_tensor(array) for array in inputs.values())
        program = torch.onnx.export(
            whole, given, input_names=list(inputs), output_names=["logits"], opset_version=OPSET, dynamo=True,
            optimize=False, verbose=False,
        )  # fmt: skip
    assert program is not None
    data = program.model_proto.SerializeToString()
    levels = {
        PLAIN: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,  # what a session does if it is told nothing
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
    """Nodes of both graphs together, as they lie in the package."""
    names = package.manifest.graphs[precision].values()
    return sum(len(onnx.load_model_from_string(package.read(name)).graph.node) for name in names)


def network_paths(
    student: StudentNetwork, reference: BenchmarkTarget, compiled: bool
) -> tuple[dict[str, Action], dict[str, int], str | None]:
    """The other ways to the logits of a prepared window, nodes of the export, and why torch.compile is not among them.

    Raises CheckpointError if one computes something else than the package does.
    """
    whole, inputs = Whole(student).eval(), window_inputs(reference)
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
        except Exception as raised:  # whatever keeps the compiler from working here, the other figures stand
            problem = f"{type(raised).__name__}: {str(raised).strip().splitlines()[0][:200]}"
    sessions, nodes = plain_sessions(whole, inputs)
    for name, session in sessions.items():
        paths[name] = lambda session=session: session.run(None, inputs)[0]
    expected = reference.recognizer.predict_prepared(reference.windows)
    for name, path in paths.items():
        error = float(np.abs(path() - expected).max() / np.abs(expected).max())
        if not error <= SAME:
            raise CheckpointError(
                f"{name} and the package differ by {error:g}; expected the same network; export it again"
            )
    return paths, {"plain export": nodes}, problem


def edge_paths(subjects: dict[str, BenchmarkTarget]) -> dict[str, Action]:
    """What edgehar does, each precision: with the samples' preprocessing and without."""
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
    """Time every path, print the table, write the result, and print it as the last line."""
    config = parse(SpeedConfig, argv, "python tools/speed.py", __doc__ or "")
    checkpoint, package = (
        load_checkpoint(Path(config.checkpoint), ("student", "pruned")),
        EdgePackage.open(config.package),
    )
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
    words = ["python", "tools/speed.py", config.checkpoint, config.package, "--runs", str(config.runs)]
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
