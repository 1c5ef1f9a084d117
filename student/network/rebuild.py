"""Builds a network from a checkpoint; pruned layers take their sizes from the weights."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError, ConfigError
from edgehar.student.network.blocks import block_sequences
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.teacher.network.layers import Attention
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import Checkpoint


def resize_and_load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Resize every layer and parameter of `model` to its shape in `weights`, and load the weights.

    The number of heads follows from the head's width, which pruning does not change. Raises ValueError for shapes that
    pruning cannot produce, some of which torch would broadcast.
    """
    for sequence, names in block_sequences(model).items():
        remaining = sum(any(key.startswith(f"{name}.") for key in weights) for name in names)
        del model.get_submodule(sequence)[remaining:]  # type: ignore[attr-defined]
    for name, module in list(model.named_modules()):
        weight = weights.get(f"{name}.weight")
        if isinstance(module, nn.Linear | nn.Conv1d | nn.LayerNorm) and weight is not None:
            match module:
                case nn.Linear():
                    module.out_features, module.in_features = weight.shape
                case nn.Conv1d():
                    module.out_channels, module.in_channels = weight.shape[:2]
                case _:
                    module.normalized_shape = tuple(weight.shape)
            bias = weights[f"{name}.bias"]
            if bias.shape != weight.shape[:1]:
                raise ValueError(f"{name}.bias has {len(bias)} values for {len(weight)} weights")
            module.weight, module.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        elif isinstance(module, Attention):
            heads, width = module.heads, module.head_dim
            rows = len(weights[f"{name}.qkv.weight"])
            module.heads = rows // (3 * width)
            if rows % (3 * width) or not 1 <= module.heads <= heads:
                raise ValueError(f"{name}.qkv has {rows} rows, expected up to {heads} heads of 3 x {width}")
    for name, parameter in model.named_parameters():
        stored = weights[name]
        if parameter.shape != stored.shape:  # channels are the last axis
            if stored.dim() != parameter.dim() or stored.shape[:-1] != parameter.shape[:-1]:
                raise ValueError(
                    f"{name} has shape {tuple(stored.shape)}, expected {tuple(parameter.shape)} or narrower"
                )
            parameter.data = stored.clone()
    model.load_state_dict(weights)


@torch.no_grad()
def _build_and_check(build: Callable[[], nn.Module], checkpoint: Checkpoint, stages: str) -> Any:
    """The network with the checkpoint's weights; `stages` names what produces such a checkpoint."""
    info = checkpoint.info
    labels = len(info.labels)
    try:
        model = build()
        resize_and_load(model, checkpoint.weights)
        model.eval()
        (classes,) = {
            len(part) for name, part in checkpoint.weights.items() if f".{name}".endswith(".classifier.weight")
        }
        if classes != labels:
            raise ValueError(f"{classes} classes, {labels} labels")
        steps = info.window.steps
        window = {spec.name: torch.zeros(1, steps, spec.patch, spec.groups, spec.features) for spec in info.modalities}
        # Layers that do not fit each other fail in a forward pass.
        model(window, {name: torch.ones(1, steps, dtype=torch.bool) for name in window})
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, ConfigError) as problem:
        reason = " ".join(str(problem).split())[:200]
        where = "" if checkpoint.path is None else f"{checkpoint.path}: "
        raise CheckpointError(
            f"{where}weights do not fit a {checkpoint.kind} network ({reason}); {stages} again"
        ) from None
    return model


def rebuild(checkpoint: Checkpoint) -> StudentNetwork:
    """The network of a student or pruned checkpoint, in evaluation mode; raises CheckpointError for other weights."""
    names = {field.name for field in fields(StudentConfig)}
    sizes: dict[str, Any] = {name: value for name, value in checkpoint.network.items() if name in names}
    info = checkpoint.info

    def build() -> StudentNetwork:
        return StudentNetwork(StudentConfig(**sizes), info.modalities, info.window.steps, len(info.labels))

    return _build_and_check(build, checkpoint, "distil or prune")


def rebuild_teacher(checkpoint: Checkpoint) -> Teacher:
    """The network of a teacher checkpoint, in evaluation mode; raises CheckpointError for other weights."""
    info = checkpoint.info

    def build() -> Teacher:
        return Teacher(TeacherConfig(**checkpoint.network), info.modalities, info.window.steps, len(info.labels))

    return _build_and_check(build, checkpoint, "fine-tune or prune")


def network_of(checkpoint: Checkpoint) -> StudentNetwork | Teacher:
    """The trained network of a teacher, student or pruned checkpoint."""
    return rebuild_teacher(checkpoint) if checkpoint.kind == "teacher" else rebuild(checkpoint)


def pruned_sizes(network: nn.Module, sizes: dict[str, Any]) -> dict[str, Any]:
    """Stored sizes of a pruned network, given those of the unpruned one; the weights' shapes tell the rest.

    A teacher stores its number of channels, since students are built from it; the width of its heads does not change.
    """
    if not isinstance(network, Teacher) or network.fusion_tokens.shape[1] == network.config.dim:
        return sizes
    config = network.config
    return sizes | {
        "dim": network.fusion_tokens.shape[1],
        "head_dim": config.dim // config.heads if config.head_dim is None else config.head_dim,
    }
