"""Export a student as an edge package: two ONNX graphs, parity and calibration arrays, a manifest.

    python student/export.py runs/demo/student --out runs/demo/package

The encoder maps one step to a token, the head maps the tokens of a window to logits. A clip runs the encoder on all its
steps in one batch, a stream on new steps only. Parity and calibration arrays are of synthetic windows, not recordings;
`features.npz` has one vector of features for `edgehar enrol`, a mean over all activities.
"""

import io
import math
import sys
from dataclasses import MISSING, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgehar import __version__
from edgehar.command_line import Parser
from edgehar.config import Options, option, positional, seed_option
from edgehar.data.registry import NAMES
from edgehar.entry import guarded
from edgehar.errors import CheckpointError
from edgehar.files.atomic import locked
from edgehar.metrics.classification import without_tables
from edgehar.package.folder import FEATURES, PARITY, QUANTISATION_ARRAYS, Manifest, write_package
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import export_graphs
from edgehar.student.network.rebuild import rebuild
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig, FrameStatisticsSampler
from edgehar.student.synthesis.sources import SourceConfig, create_sampler
from edgehar.student.windows import WindowSampler
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint

PARITY_POOL = 16
"""Windows drawn for each parity window that is stored."""


@dataclass(frozen=True)
class ExportOptions(Options):
    """Export."""

    checkpoint: str = positional("folder of a student or pruned checkpoint")
    out: str = option(MISSING, "folder of the edge package to write")
    name: str | None = option(None, "name of the model; default: data set and kind of checkpoint")
    windows: int = option(32, "synthetic windows for calibration, and the same number for parity", at_least=1)
    seed: int = seed_option("random seed of the synthetic windows")


def package_sampler(checkpoint: Checkpoint, student: StudentNetwork, seed: int) -> WindowSampler:
    """The sampler of a package's windows: source `smooth`, or `simulated` without stored statistics."""
    info, statistics = checkpoint.info, checkpoint.facts.get("statistics")
    if statistics:
        lost, config = SourceConfig().lost_modality, FrameStatisticsConfig()
        return FrameStatisticsSampler(statistics, info.modalities, info.window.steps, lost, config)
    return create_sampler(SourceConfig(("simulated",)), checkpoint, student, seed, torch.device("cpu"))


def synthetic_arrays(
    student: StudentNetwork, sampler: WindowSampler, windows: int, seed: int, pool: int = 1
) -> dict[str, NDArray[np.float32]]:
    """Inputs and outputs of both graphs on synthetic windows, by name.

    `pool` times as many windows are drawn, and those with the largest margin between the two highest logits are kept:
    on most noise the network is undecided, and a prediction that changes there with the precision is no error.
    """
    features, valid = sampler.draw(windows * pool, update_generator(seed, 0))
    with torch.no_grad():
        best = student(features, valid).logits.topk(2).values  # (B, 2)
    rows = (best[:, 0] - best[:, 1]).argsort(descending=True)[:windows].sort().values
    flat = {name: tensor[rows].flatten(2) for name, tensor in features.items()}  # (B, S, P*G*F)
    flags = torch.stack([valid[name][rows] for name in student.encoder.names], 2).float()  # (B, S, M)
    with torch.no_grad():
        tokens = student.encoder(flat, flags)
        logits = student.head(tokens)
    steps = {name: tensor.flatten(0, 1).numpy() for name, tensor in (flat | {"valid": flags}).items()}
    return steps | {"token": tokens.flatten(0, 1).numpy(), "tokens": tokens.numpy(), "logits": logits.numpy()}


def feature_arrays(checkpoint: Checkpoint, student: StudentNetwork) -> dict[str, NDArray[np.float32]]:
    """`centre` (F,): mean features of the checkpoint's mean windows of the activities; empty without them."""
    means = checkpoint.moments.get("means")
    if means is None:
        return {}
    specs, steps = checkpoint.info.modalities, checkpoint.info.window.steps
    shapes = {spec.name: (steps, spec.patch, spec.groups, spec.features) for spec in specs}
    parts = means.float().split([math.prod(shape) for shape in shapes.values()], 1)
    features = {name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    valid = {name: torch.ones(len(means), steps, dtype=torch.bool) for name in shapes}
    with torch.no_grad():
        return {"centre": student(features, valid).fused.mean(0).numpy()}


def _npz(arrays: dict[str, NDArray[np.float32]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _origin(checkpoint: Checkpoint) -> tuple[str, int]:
    """Data set and seed of the training; raises CheckpointError if they are not stored."""
    stored = {
        "data.data": checkpoint.data.get("data"),
        "facts.options.seed": checkpoint.facts.get("options", {}).get("seed"),
    }
    missing = [name for name, value in stored.items() if value is None]
    if missing:
        where = "" if checkpoint.path is None else f"{checkpoint.path}: "
        raise CheckpointError(
            f"{where}checkpoint.json has no {', '.join(missing)}; expected what it was trained with; train again"
        )
    return stored["data.data"], stored["facts.options.seed"]


def export_package(checkpoint: Checkpoint, out: Path, name: str, windows: int, seed: int) -> Manifest:
    """Export a checkpoint's network and write the package; returns its manifest."""
    student, info = rebuild(checkpoint), checkpoint.info
    data, seed = _origin(checkpoint)
    sampler = package_sampler(checkpoint, student, seed)
    parity = synthetic_arrays(student, sampler, windows, seed + 1, PARITY_POOL)
    calibration = synthetic_arrays(student, sampler, windows, seed + 2)
    inputs = [*student.encoder.names, "valid"]
    steps = tuple(torch.as_tensor(parity[key][:3]) for key in inputs)
    tokens = torch.as_tensor(parity["tokens"][:3])
    one_step = ({key: part[:1] for key, part in zip(inputs[:-1], steps, strict=False)}, steps[-1][:1])
    step_macs, head_macs = count_macs(student.encoder, *one_step), count_macs(student.head, tokens[:1])
    metrics: dict[str, Any] = {
        key: checkpoint.facts[key] for key in ("evaluation", "agreement_recovered") if key in checkpoint.facts
    }
    if "evaluation" in metrics:
        metrics["evaluation"] = without_tables(metrics["evaluation"], info.labels)
    manifest = Manifest(
        name=name,
        modalities=info.modalities,
        labels=info.labels,
        window=info.window,
        normalisation=checkpoint.normalisation,
        token_dim=tokens.shape[-1],
        graphs={"fp32": {"encoder": "encoder.fp32.onnx", "head": "head.fp32.onnx"}},
        default_precision="fp32",
        parameters=count_parameters(student),
        macs={"step": step_macs, "head": head_macs, "window": info.window.steps * step_macs + head_macs},
        metrics={"torch": metrics},
        provenance=checkpoint.data
        | {
            # Without paths of the workstation.
            "data": data if data in NAMES else None,
            "root": None,
            "kind": checkpoint.kind,
            "seed": seed,
            "versions": {"edgehar": __version__} | {name: version(name) for name in ("torch", "onnx", "numpy")},
            "citation": info.citation,
        },
        licence=info.licence,
    )
    encoder, head = export_graphs(student, steps, tokens)
    files: dict[str, bytes | Path] = {
        "encoder.fp32.onnx": encoder,
        "head.fp32.onnx": head,
        PARITY: _npz(parity),
        QUANTISATION_ARRAYS: _npz({key: array for key, array in calibration.items() if key in (*inputs, "tokens")}),
    }
    features = feature_arrays(checkpoint, student)
    write_package(out, manifest, files | ({FEATURES: _npz(features)} if features else {}))
    return manifest


PARSER = Parser(ExportOptions, "edgehar export", __doc__ or "")


def run(options: ExportOptions) -> int:
    """Export a checkpoint and report the size of the package."""
    out = Path(options.out)
    with locked(out):
        checkpoint = load_checkpoint(Path(options.checkpoint), ("student", "pruned"))
        name = options.name or f"{checkpoint.info.name}-{checkpoint.kind}"
        manifest = export_package(checkpoint, out, name, options.windows, options.seed)
    macs = manifest.macs
    sys.stdout.write(
        f"package {out}: {manifest.parameters:,} parameters, {macs['window']:,} multiply-adds per window, "
        f"{macs['step'] + macs['head']:,} per step of a stream\n"
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
