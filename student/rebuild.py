"""A network from its checkpoint: whatever was pruned away, the weights say what is left."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from edgehar.errors import CheckpointError
from student.blocks import rows_of_blocks
from student.lite import Lite, LiteConfig
from teacher.checkpoint import Checkpoint
from teacher.layers import Attention
from teacher.model import Teacher, TeacherConfig


def fit_to(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every layer and parameter of `model` the shape it has in `weights`, and load them.

    The number of heads follows from the head's width, which pruning leaves as it was.
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
            module.heads = weights[f"{name}.qkv.weight"].shape[0] // (3 * module.head_dim)
    for name, parameter in model.named_parameters():
        if parameter.shape != weights[name].shape:
            parameter.data = weights[name].clone()
    model.load_state_dict(weights)


def _fitted(build: Callable[[], nn.Module], checkpoint: Checkpoint, again: str) -> Any:
    known = len(checkpoint.info.labels)
    try:
        model = build()
        fit_to(model, checkpoint.weights)
        (named,) = {len(part) for name, part in checkpoint.weights.items() if f".{name}".endswith(".classifier.weight")}
        if named != known:
            raise ValueError(f"{named} classes, {known} labels")
    except (KeyError, RuntimeError, TypeError, ValueError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise CheckpointError(f"weights that are no {checkpoint.kind}'s ({reason}); {again} again") from None
    return model.eval()


def rebuild(checkpoint: Checkpoint) -> Lite:
    """The network of a student or pruned checkpoint, ready to use; raises CheckpointError for other weights."""
    known = {entry.name for entry in fields(LiteConfig)}
    sizes: dict[str, Any] = {name: value for name, value in checkpoint.network.items() if name in known}
    info = checkpoint.info

    def build() -> Lite:
        return Lite(LiteConfig(**sizes), info.modalities, info.window.steps, len(info.labels))

    return _fitted(build, checkpoint, "distil or prune")


def rebuild_teacher(checkpoint: Checkpoint) -> Teacher:
    """The network of a teacher checkpoint, pruned or not; raises CheckpointError for other weights."""
    info = checkpoint.info

    def build() -> Teacher:
        return Teacher(TeacherConfig(**checkpoint.network), info.modalities, info.window.steps, len(info.labels))

    return _fitted(build, checkpoint, "fine-tune or prune")


def network_of(checkpoint: Checkpoint) -> Lite | Teacher:
    """The trained network of a teacher, student or pruned checkpoint."""
    return rebuild_teacher(checkpoint) if checkpoint.kind == "teacher" else rebuild(checkpoint)
