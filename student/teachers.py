"""One teacher or several as one: mean predictions, and the features of all side by side."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from edgehar.errors import CheckpointError, ConfigError
from teacher.checkpoint import Checkpoint
from teacher.layers import outputs_of
from teacher.model import Teacher, TeacherConfig, TeacherOutput


class Known(NamedTuple):
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


class Teachers(nn.Module):
    """Frozen teachers of the same data."""

    def __init__(self, checkpoints: list[Checkpoint], layers: int = 0) -> None:
        """Rebuild them; raises ConfigError where one has less than this many blocks over time."""
        super().__init__()
        members: list[Teacher] = []
        for checkpoint in checkpoints:
            info = checkpoint.info
            member = Teacher(TeacherConfig(**checkpoint.network), info.modalities, info.window.steps, len(info.labels))
            member.load_state_dict(checkpoint.weights)
            members.append(member)
        fewest = min(member.config.time_blocks for member in members)
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

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> Known:
        """Arguments as of `Teacher`."""
        outputs: list[TeacherOutput] = []
        layers: list[list[Tensor]] = [[] for _ in range(self.layers)]
        for member in cast(list[Teacher], list(self.members)):
            blocks = spread_evenly(member.config.time_blocks, self.layers)
            names = [spec.name for spec in member.specs]
            with outputs_of(member, [f"time.{name}.{block}" for name in names for block in blocks]) as gave:
                outputs.append(member(features, valid))
            for layer, block in zip(layers, blocks, strict=True):
                layer.append(torch.stack([gave[f"time.{name}.{block}"] for name in names]).mean(0))  # (B, S, D)
        return Known(
            torch.stack([output.logits for output in outputs]).mean(0),
            torch.cat([output.fused for output in outputs], -1),
            torch.cat([output.steps for output in outputs], -1),
            tuple(torch.cat(layer, -1) for layer in layers),
        )


def agreeing(checkpoints: list[Checkpoint], folders: tuple[str, ...]) -> Checkpoint:
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
