"""A trained network on disk: weights in safetensors, everything else in JSON, no pickle.

CHECKPOINT/weights.safetensors   parameters
CHECKPOINT/moments.safetensors   means of the training windows, if the stage keeps any (`teacher.moments`)
CHECKPOINT/checkpoint.json       kind, network sizes, modalities, labels, window, normalisation, data, history
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from edgehar import __version__
from edgehar.clip import DatasetInfo
from edgehar.errors import CheckpointError, DataError
from edgehar.files import atomic_folder, read_json
from edgehar.modality import ModalitySpec, WindowSpec
from edgehar.preprocess import Normalisation

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """Everything a later stage needs to know of a trained network.

    Attributes:
        kind: "pretrained", "teacher", "student" or "pruned".
        network: sizes the network is rebuilt from.
        info: modalities, labels and window.
        normalisation: scales of the training subjects.
        data: name, root, split and training subjects, so that a later stage finds the same recordings.
        history: points of the training curve.
        facts: whatever else was measured (parameters, multiply-adds, accuracy, seconds).
        weights: name -> tensor.
        moments: name -> tensor, see `teacher.moments`; empty if none are kept.
    """

    kind: str
    network: dict[str, Any]
    info: DatasetInfo
    normalisation: Normalisation
    data: dict[str, Any]
    history: list[dict[str, float]]
    facts: dict[str, Any]
    weights: dict[str, torch.Tensor] = field(repr=False)
    moments: dict[str, torch.Tensor] = field(default_factory=lambda: dict[str, torch.Tensor](), repr=False)


def info_to_json(info: DatasetInfo) -> dict[str, Any]:
    """Plain dict of a data set's promises."""
    return asdict(info)


def info_from_json(entry: dict[str, Any]) -> DatasetInfo:
    """Inverse of `info_to_json`."""
    return DatasetInfo(
        entry["name"],
        tuple(ModalitySpec.from_json(spec) for spec in entry["modalities"]),
        tuple(entry["labels"]),
        WindowSpec(**entry["window"]),
        entry["citation"],
        entry["licence"],
        tuple(entry["caveats"]),
    )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, whole or not at all."""
    with atomic_folder(path) as folder:
        tensors = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
        (folder / "weights.safetensors").write_bytes(save(tensors))
        if checkpoint.moments:
            kept = {name: tensor.contiguous() for name, tensor in checkpoint.moments.items()}
            (folder / "moments.safetensors").write_bytes(save(kept))
        entry = {
            "format": "edgehar-checkpoint",
            "format_version": FORMAT_VERSION,
            "edgehar": __version__,
            "kind": checkpoint.kind,
            "network": checkpoint.network,
            "info": info_to_json(checkpoint.info),
            "normalisation": checkpoint.normalisation.to_json(),
            "data": checkpoint.data,
            "facts": checkpoint.facts,
            "history": checkpoint.history,
        }
        (folder / "checkpoint.json").write_text(json.dumps(entry, indent=1) + "\n")


def _check_numbers(checkpoint: Checkpoint) -> None:
    """Raise DataError for weights, moments or scales that no training leaves."""
    for name, tensor in (checkpoint.weights | checkpoint.moments).items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{name} holds values that are not finite")
    for spec in checkpoint.info.modalities:
        scale = checkpoint.normalisation.scale[spec.name]
        if scale.shape != (spec.groups, 2) or not ((scale > 0) & (scale < np.inf)).all():
            raise DataError(f"normalisation of {spec.name}: expected {spec.groups} x 2 finite scales above 0")


def load_checkpoint(path: Path, kinds: tuple[str, ...]) -> Checkpoint:
    """Read a checkpoint; raises CheckpointError if it is missing, damaged, of another version or kind."""
    expected = " or ".join(kinds)
    if not (path / "checkpoint.json").is_file():
        raise CheckpointError(f"{path}: no checkpoint.json there; expected the folder of a {expected} checkpoint")
    try:
        entry = read_json(path / "checkpoint.json")
        if entry.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: checkpoint version {entry.get('format_version')}; this edgehar reads "
                f"version {FORMAT_VERSION}; train again"
            )
        if entry["kind"] not in kinds:
            raise CheckpointError(f"{path}: holds a {entry['kind']} checkpoint; expected {expected}")
        checkpoint = Checkpoint(
            entry["kind"],
            entry["network"],
            info_from_json(entry["info"]),
            Normalisation.from_json(entry["normalisation"]),
            entry["data"],
            entry["history"],
            entry["facts"],
            load_file(path / "weights.safetensors"),
            load_file(path / "moments.safetensors") if (path / "moments.safetensors").is_file() else {},
        )
        _check_numbers(checkpoint)
        return checkpoint
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError, DataError, OSError) as problem:
        raise CheckpointError(f"{path}: damaged checkpoint ({problem}); train it again") from None
