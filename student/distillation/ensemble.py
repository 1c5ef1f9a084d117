"""One teacher or several as one: mean predictions, and the features of all side by side."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError, ConfigError
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.teacher.network.layers import outputs_of
from edgehar.teacher.network.model import Teacher, TeacherOutput
from edgehar.teacher.training.checkpoint import Checkpoint


class TeacherTargets(NamedTuple):
    """What the teachers say of a batch.

    Attributes:
        logits: (B, K), the mean of all.
        fused: (B, D') features the last layers saw.
        steps: (B, S, D) tokens after fusion.
        layers: (B, S, D) of each chosen block over time, averaged over the modalities.
    """

    logits: Tensor
    fused: Tensor
    steps: Tensor
    layers: tuple[Tensor, ...]


def spread_evenly(depth: int, layers: int) -> list[int]:
    """Numbers of that many of `depth` blocks, evenly far apart, the last included."""
    return [depth * number // layers - 1 for number in range(1, layers + 1)]


def depths_of(teacher: Teacher) -> dict[str, int]:
    """Modality -> its blocks over time, of which pruning may have taken some."""
    return {spec.name: len(cast(nn.Sequential, teacher.time_blocks[spec.name])) for spec in teacher.specs}


class TeacherEnsemble(nn.Module):
    """Frozen teachers of the same data."""

    def __init__(self, checkpoints: list[Checkpoint], layers: int = 0) -> None:
        """Rebuild them; raises ConfigError where one has less than this many blocks over time."""
        super().__init__()
        members = [rebuild_teacher(checkpoint) for checkpoint in checkpoints]
        fewest = min(depth for member in members for depth in depths_of(member).values())
        if layers > fewest:
            raise ConfigError(
                f"--layers {layers}: expected {fewest} at most, as many blocks as a teacher has over time"
            )
        self.layers = layers
        self.members = nn.ModuleList(members)
        self.dim = sum(member.config.dim for member in members)
        self.eval().requires_grad_(False)

    @property
    def first(self) -> Teacher:
        """The first of them."""
        return cast(Teacher, self.members[0])

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherTargets:
        """Arguments as of `Teacher`."""
        outputs: list[TeacherOutput] = []
        layers: list[list[Tensor]] = [[] for _ in range(self.layers)]
        for member in cast(list[Teacher], list(self.members)):
            rows = [
                [f"time_blocks.{name}.{block}" for block in spread_evenly(depth, self.layers)]
                for name, depth in depths_of(member).items()
            ]
            with outputs_of(member, [name for row in rows for name in row]) as gave:
                outputs.append(member(features, valid))
            for layer, names in zip(layers, zip(*rows, strict=True), strict=True):
                layer.append(torch.stack([gave[name] for name in names]).mean(0))  # (B, S, D)
        return TeacherTargets(
            torch.stack([output.logits for output in outputs]).mean(0),
            torch.cat([output.fused for output in outputs], -1),
            torch.cat([output.steps for output in outputs], -1),
            tuple(torch.cat(layer, -1) for layer in layers),
        )


def require_same_data(checkpoints: list[Checkpoint], folders: tuple[str, ...]) -> Checkpoint:
    """The first of several teachers; raises CheckpointError unless all know the same data."""
    if not checkpoints:
        raise CheckpointError("--teacher names no folder; expected one or more, separated by commas")
    first = checkpoints[0]
    for folder, other in zip(folders, checkpoints, strict=True):
        if (other.info, other.data) != (first.info, first.data):
            raise CheckpointError(
                f"--teacher {folder}: knows other recordings, sensors, activities or another split than {folders[0]}; "
                "expected teachers of the same data; train it again"
            )
    return first
