"""Checkpoint format: weights in safetensors, everything else in JSON; no pickle.

CHECKPOINT/weights.safetensors   parameters in single precision; pretrained ones may be in half
CHECKPOINT/moments.safetensors   moments of the training windows, if stored (`training.moments`)
CHECKPOINT/checkpoint.json       kind, network size, modalities, labels, window, normalisation, data, history
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from edgehar import __version__
from edgehar.errors import CheckpointError, ConfigError, DataError
from edgehar.files.atomic import atomic_folder, digest_of, read_json
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.preprocess import Normalisation

FORMAT, FORMAT_VERSION = "edgehar-checkpoint", 2
FILES = ("checkpoint.json", "weights.safetensors", "moments.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with everything that later stages need.

    Attributes:
        kind: "pretrained", "teacher", "student" or "pruned".
        network: size options the network is rebuilt from.
        info: modalities, labels and window.
        normalisation: scales of the training subjects.
        data: name, root, split and subjects of the recordings, see `StageData.options`.
        history: points of the training curve.
        facts: other measurements (parameters, multiply-adds, metrics, seconds) and the resolved options.
        weights: name -> tensor.
        moments: name -> tensor, see `edgehar.teacher.training.moments`; empty if none are stored.
        path: the folder it was read from, for messages; None if it was not read.
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
    path: Path | None = field(default=None, compare=False)

    def digest(self) -> str:
        """Digest of everything that affects the result of a later stage."""
        tensors = [hashlib.sha256(save(part)).hexdigest() for part in (self.weights, self.moments)]
        about = [self.network, self.info.to_json(), self.normalisation.to_json(), self.facts.get("statistics")]
        return digest_of([*tensors, *about])


def check_replaceable(out: Path, kind: str) -> None:
    """Raise ConfigError if `out` holds anything but an earlier checkpoint of this kind, intact or damaged."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "checkpoint.json").is_file():
        raise ConfigError(f"--out {out}: exists but has no checkpoint.json; nothing was changed; choose another folder")
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in FILES or not entry.is_file())
    if foreign:
        raise ConfigError(
            f"--out {out}: holds {', '.join(foreign)}, which replacing the checkpoint would delete; nothing was "
            "changed; move it elsewhere or choose another folder"
        )
    try:
        found = read_json(out / "checkpoint.json")
    except DataError:
        return  # a damaged checkpoint is replaced
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ConfigError(f"--out {out}: checkpoint.json has another format; nothing was changed; choose another")
    if found.get("kind") != kind:
        raise ConfigError(
            f"--out {out}: found a {found.get('kind')} checkpoint, expected a {kind} one; nothing was changed; "
            "choose another folder"
        )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder atomically.

    Raises ConfigError if the folder holds anything else by now, see `check_replaceable`.
    """
    check_replaceable(path, checkpoint.kind)
    with atomic_folder(path) as folder:
        tensors = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
        (folder / "weights.safetensors").write_bytes(
            save(tensors, {"network": json.dumps(checkpoint.network)})  # the shapes do not give the number of heads
        )
        if checkpoint.moments:
            moments = {name: tensor.contiguous() for name, tensor in checkpoint.moments.items()}
            (folder / "moments.safetensors").write_bytes(save(moments))
        entry = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "edgehar": __version__,
            "kind": checkpoint.kind,
            "network": checkpoint.network,
            "info": checkpoint.info.to_json(),
            "normalisation": checkpoint.normalisation.to_json(),
            "data": checkpoint.data,
            "facts": checkpoint.facts,
            "history": checkpoint.history,
        }
        (folder / "checkpoint.json").write_text(json.dumps(entry, indent=1) + "\n")


def _check_numbers(checkpoint: Checkpoint) -> None:
    """Raise DataError for weights, moments or scales of another type, not finite or not positive."""
    for name, tensor in checkpoint.weights.items():
        if tensor.dtype != torch.float32:
            raise DataError(f"{name} is {str(tensor.dtype).removeprefix('torch.')}, expected float32")
    for name, tensor in (checkpoint.weights | checkpoint.moments).items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{name} holds values that are not finite")
    for spec in checkpoint.info.modalities:
        if not checkpoint.normalisation.is_usable(spec):
            raise DataError(f"normalisation of {spec.name}: expected {spec.groups} x 2 finite scales above 0")


def _check_moments(checkpoint: Checkpoint) -> None:
    """Raise DataError for means or directions of another window size, or for no means."""
    if not checkpoint.moments:
        return
    specs, steps = checkpoint.info.modalities, checkpoint.info.window.steps
    size = sum(steps * spec.patch * spec.groups * spec.features for spec in specs)
    for name, least in (("means", 1), ("directions", 0)):
        tensor = checkpoint.moments.get(name, torch.zeros(0))
        if tensor.dim() != 2 or len(tensor) < least or tensor.shape[1] != size or not tensor.is_floating_point():
            raise DataError(
                f"moments: {name} of shape {tuple(tensor.shape)}, expected {least} or more rows of {size} features"
            )


def _check_facts(checkpoint: Checkpoint) -> None:
    """Raise DataError for facts of another type, or statistics of other modalities or shapes."""
    facts, specs = checkpoint.facts, {spec.name: spec for spec in checkpoint.info.modalities}
    for name in ("options", "needs", "statistics"):
        if not isinstance(facts.get(name, {}), dict):
            raise DataError(f"facts: {name} is {facts[name]!r:.40}, expected names and values")
    for name, entry in facts.get("statistics", {}).items():
        if name not in specs:
            raise DataError(f"statistics of {name}, expected those of {', '.join(specs)}")
        channels = specs[name].channels
        shapes = {"mean": (channels,), "covariance": (channels, channels), "motion": (channels,)}
        for part, shape in shapes.items():
            values = np.asarray(entry.get(part) if isinstance(entry, dict) else entry)
            if values.shape != shape or values.dtype.kind not in "if" or not np.isfinite(values).all():
                raise DataError(f"statistics of {name}: {part} is not {' x '.join(map(str, shape))} finite numbers")


def _check_types(entry: dict[str, Any]) -> None:
    """Raise DataError for an entry of checkpoint.json of another type."""
    expected = {"network": dict, "info": dict, "normalisation": dict, "data": dict, "facts": dict, "history": list}
    for name, kind in expected.items():
        if not isinstance(entry[name], kind):
            raise DataError(f"{name} is {entry[name]!r:.40}, expected a {kind.__name__}")


def _read_weights(path: Path, network: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights; raises DataError if they were saved with another network size (older files do not store it)."""
    with safe_open(path, framework="pt") as opened:
        text = (opened.metadata() or {}).get("network")
    saved = network if text is None else json.loads(text)
    for name in sorted({*network, *saved}):
        if network.get(name) != saved.get(name):
            raise DataError(
                f"network: {name} is {network.get(name)!r}, the weights were saved with {saved.get(name)!r}"
            )
    return load_file(path)


def load_checkpoint(path: Path, kinds: tuple[str, ...]) -> Checkpoint:
    """Read a checkpoint of one of these kinds.

    Raises CheckpointError if it is missing, damaged, or of another version or kind.
    """
    expected = " or ".join(kinds)
    if not (path / "checkpoint.json").is_file():
        raise CheckpointError(f"{path}: found no checkpoint.json; expected the folder of a {expected} checkpoint")
    try:
        entry = read_json(path / "checkpoint.json")
        version = entry.get("format_version")
        if version != FORMAT_VERSION:
            raise CheckpointError(f"{path}: checkpoint version {version}; expected {FORMAT_VERSION}; train again")
        if entry["kind"] not in kinds:
            raise CheckpointError(f"{path}: found a {entry['kind']} checkpoint; expected {expected}")
        _check_types(entry)
        if not entry["network"].get("convolutions"):
            raise CheckpointError(f"{path}: a network without convolutions, of an earlier edgehar; train again")
        weights = _read_weights(path / "weights.safetensors", entry["network"])
        if entry["kind"] == "pretrained":  # those that edgehar comes with are in half precision
            weights = {name: part.float() if part.dtype == torch.float16 else part for name, part in weights.items()}
        checkpoint = Checkpoint(
            entry["kind"],
            entry["network"],
            DatasetInfo.from_json(entry["info"]),
            Normalisation.from_json(entry["normalisation"]),
            entry["data"],
            entry["history"],
            entry["facts"],
            weights,
            load_file(path / "moments.safetensors") if (path / "moments.safetensors").is_file() else {},
            path,
        )
        _check_numbers(checkpoint)
        _check_moments(checkpoint)
        _check_facts(checkpoint)
        return checkpoint
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError, DataError, OSError) as problem:
        raise CheckpointError(f"{path}: damaged checkpoint ({problem}); train it again") from None
