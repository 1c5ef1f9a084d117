"""An ensemble of teachers: the mean of their predictions, and their features concatenated."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError, ConfigError
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.teacher.network.layers import outputs_of
from edgehar.teacher.network.model import Teacher, TeacherOutput
from edgehar.teacher.training.checkpoint import Checkpoint


class TeacherTargets(NamedTuple):
    """Predictions and features of the teachers for a batch; D counts the channels of all teachers.

    Attributes:
        logits: (B, K), the (weighted) mean of all teachers.
        fused: (B, 3 * D) features, the classifiers' inputs.
        steps: (B, S, D) tokens after fusion.
        layers: (B, S, D) output of each selected time block, averaged over the modalities.
    """

    logits: Tensor
    fused: Tensor
    steps: Tensor
    layers: tuple[Tensor, ...]


def evenly_spaced(depth: int, layers: int) -> list[int]:
    """Indices of `layers` of `depth` blocks, evenly spaced, the last block included."""
    return [depth * number // layers - 1 for number in range(1, layers + 1)]


def depths_of(teacher: Teacher) -> dict[str, int]:
    """Modality -> number of its time blocks; a pruned teacher may have fewer than configured."""
    return {spec.name: len(cast(nn.Sequential, teacher.time_blocks[spec.name])) for spec in teacher.specs}


class TeacherEnsemble(nn.Module):
    """Frozen teachers of the same data."""

    def __init__(self, checkpoints: list[Checkpoint], layers: int = 0, weights: Sequence[float] = ()) -> None:
        """Rebuild the teachers; raises ConfigError if one has fewer than `layers` time blocks.

        Args:
            checkpoints: one or more.
            layers: time blocks whose outputs are features, too.
            weights: weight of each teacher's logits; equal if empty, or if all are 0.
        """
        super().__init__()
        members = [rebuild_teacher(checkpoint) for checkpoint in checkpoints]
        fewest = min(depth for member in members for depth in depths_of(member).values())
        if layers > fewest:
            raise ConfigError(f"--layers {layers}: expected up to {fewest}, the time blocks of the shallowest teacher")
        self.layers = layers
        total = sum(weights)
        self.shares = [weight / total for weight in weights] if total else []
        self.members = nn.ModuleList(members)
        self.dim = sum(member.config.dim for member in members)
        self.fused_dim = sum(member.config.fused_dim for member in members)
        self.eval().requires_grad_(False)

    def _mean(self, logits: list[Tensor]) -> Tensor:
        """(B, K) of each teacher -> their (weighted) mean."""
        if self.shares:
            return reduce(torch.add, (share * one for share, one in zip(self.shares, logits, strict=True)))
        return torch.stack(logits).mean(0)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherTargets:
        """Arguments as of `Teacher`."""
        outputs: list[TeacherOutput] = []
        layers: list[list[Tensor]] = [[] for _ in range(self.layers)]
        for member in cast(list[Teacher], list(self.members)):
            blocks = [
                [f"time_blocks.{name}.{index}" for index in evenly_spaced(depth, self.layers)]
                for name, depth in depths_of(member).items()
            ]  # modality by modality
            with outputs_of(member, [name for names in blocks for name in names]) as block_outputs:
                outputs.append(member(features, valid))
            for layer, names in zip(layers, zip(*blocks, strict=True), strict=True):
                layer.append(torch.stack([block_outputs[name] for name in names]).mean(0))  # (B, S, D)
        return TeacherTargets(
            self._mean([output.logits for output in outputs]),
            torch.cat([output.fused for output in outputs], -1),
            torch.cat([output.steps for output in outputs], -1),
            tuple(torch.cat(layer, -1) for layer in layers),
        )


def require_same_data(checkpoints: list[Checkpoint], folders: tuple[str, ...]) -> Checkpoint:
    """The first of several teacher checkpoints; raises CheckpointError unless all were trained on the same data."""
    if not checkpoints:
        raise CheckpointError("--teacher: found no checkpoint; expected at least one, also beside files")
    first = checkpoints[0]
    for folder, other in zip(folders, checkpoints, strict=True):
        if (other.info, other.data) != (first.info, first.data):
            raise CheckpointError(
                f"--teacher {folder}: found other recordings, sensors, activities or another split than {folders[0]}; "
                "expected teachers of the same data; train it again"
            )
    return first
