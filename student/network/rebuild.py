"""A network from its checkpoint: whatever was pruned away, the weights say what is left."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError, ConfigError
from edgehar.student.network.blocks import rows_of_blocks
from edgehar.student.network.model import StudentNetwork, StudentConfig
from edgehar.teacher.network.layers import Attention
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import Checkpoint


def fit_to(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every layer and parameter of `model` the shape it has in `weights`, and load them.

    The number of heads follows from the head's width, which pruning leaves as it was. Raises ValueError for shapes that
    no pruning leaves, of which some would be broadcast.
    """
    for row, names in rows_of_blocks(model).items():
        left = sum(any(key.startswith(f"{name}.") for key in weights) for name in names)
        del model.get_submodule(row)[left:]  # type: ignore[attr-defined]
    for name, module in list(model.named_modules()):
        weight = weights.get(f"{name}.weight")
        if isinstance(module, nn.Linear) and weight is not None:
            module.out_features, module.in_features = weight.shape
            module.weight, module.bias = nn.Parameter(weight.clone()), nn.Parameter(weights[f"{name}.bias"].clone())
        elif isinstance(module, nn.LayerNorm) and weight is not None:
            module.normalized_shape = tuple(weight.shape)
            module.weight, module.bias = nn.Parameter(weight.clone()), nn.Parameter(weights[f"{name}.bias"].clone())
        elif isinstance(module, Attention):
            heads, width = module.heads, module.head_dim
            rows = len(weights[f"{name}.qkv.weight"])
            module.heads = rows // (3 * width)
            if rows % (3 * width) or not 1 <= module.heads <= heads:
                raise ValueError(f"{name}.qkv of {rows} rows, expected up to {heads} heads of 3 x {width}")
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias.shape != module.weight.shape[:1]:
            raise ValueError(f"{name}.bias of {len(module.bias)} values for {len(module.weight)} weights")
    for name, parameter in model.named_parameters():
        given = weights[name]
        if parameter.shape != given.shape:  # channels are the last axis
            if given.dim() != parameter.dim() or given.shape[:-1] != parameter.shape[:-1]:
                raise ValueError(f"{name} of shape {tuple(given.shape)}, expected {tuple(parameter.shape)} or narrower")
            parameter.data = given.clone()
    model.load_state_dict(weights)


@torch.no_grad()
def _fitted(build: Callable[[], nn.Module], checkpoint: Checkpoint, again: str) -> Any:
    info = checkpoint.info
    known = len(info.labels)
    try:
        model = build()
        fit_to(model, checkpoint.weights)
        model.eval()
        (named,) = {len(part) for name, part in checkpoint.weights.items() if f".{name}".endswith(".classifier.weight")}
        if named != known:
            raise ValueError(f"{named} classes, {known} labels")
        steps = info.window.steps
        window = {spec.name: torch.zeros(1, steps, spec.patch, spec.groups, spec.features) for spec in info.modalities}
        # Whether the layers fit each other shows when a window goes through them.
        model(window, {name: torch.ones(1, steps, dtype=torch.bool) for name in window})
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, ConfigError) as problem:
        reason = " ".join(str(problem).split())[:200]
        where = "" if checkpoint.path is None else f"{checkpoint.path}: "
        raise CheckpointError(f"{where}weights that are no {checkpoint.kind}'s ({reason}); {again} again") from None
    return model


def rebuild(checkpoint: Checkpoint) -> StudentNetwork:
    """The network of a student or pruned checkpoint, ready to use; raises CheckpointError for other weights."""
    known = {entry.name for entry in fields(StudentConfig)}
    sizes: dict[str, Any] = {name: value for name, value in checkpoint.network.items() if name in known}
    info = checkpoint.info

    def build() -> StudentNetwork:
        return StudentNetwork(StudentConfig(**sizes), info.modalities, info.window.steps, len(info.labels))

    return _fitted(build, checkpoint, "distil or prune")


def rebuild_teacher(checkpoint: Checkpoint) -> Teacher:
    """The network of a teacher checkpoint, pruned or not; raises CheckpointError for other weights."""
    info = checkpoint.info

    def build() -> Teacher:
        return Teacher(TeacherConfig(**checkpoint.network), info.modalities, info.window.steps, len(info.labels))

    return _fitted(build, checkpoint, "fine-tune or prune")


def network_of(checkpoint: Checkpoint) -> StudentNetwork | Teacher:
    """The trained network of a teacher, student or pruned checkpoint."""
    return rebuild_teacher(checkpoint) if checkpoint.kind == "teacher" else rebuild(checkpoint)
