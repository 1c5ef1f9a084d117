"""The teacher reduced to what depends on what, for torch-pruning to follow.

torch-pruning (DepGraph, arXiv 2301.12900) takes every concatenation for one of channels, and a mask for a layer. So
where the teacher puts tokens side by side, picks or replaces them, they are added here: the same channels belong
together, and no number means anything.
"""

from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn

from edgehar.student.windows import Inputs
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.network.tokens import StepTokens


def _step_tokens(tokens: StepTokens, features: Tensor) -> Tensor:
    """(B, S, P, G, F) -> (B, S, D)."""
    joints = tokens.embed(features.transpose(2, 3).flatten(3))  # (B, S, G, Dj)
    batch, steps, groups, _ = joints.shape
    joints = (joints + tokens.group_embedding + tokens.hidden_group).flatten(0, 1)  # (B*S, G, Dj)
    for block in tokens.blocks:
        joints = block(joints)
    # Flattening is not followed in this order of axes, channels side by side are.
    beside = torch.cat([joints[:, group] for group in range(groups)], -1)  # (B*S, G*Dj)
    return tokens.merge(beside).unflatten(0, (batch, steps))


def unwrapped_parameters(teacher: Teacher) -> list[tuple[nn.Parameter, int]]:
    """Parameters that belong to no layer, and which of their axes is that of the channels."""
    flat = [*teacher.missing.values(), *teacher.modality_embedding.values()]
    rows = [*teacher.position_embedding.values(), teacher.fusion_tokens]
    for spec in teacher.specs:
        tokens = cast(StepTokens, teacher.tokens[spec.name])
        flat.append(tokens.hidden_group)
        rows.append(tokens.group_embedding)
    return [*((entry, 0) for entry in flat), *((entry, 1) for entry in rows)]


def dependency_forward(teacher: Teacher, inputs: Inputs) -> Tensor:
    """(B, K) from every layer and loose parameter of the teacher."""
    auxiliary: list[Tensor] = []
    together: list[Tensor] = [teacher.fusion_tokens[0]]
    for spec in teacher.specs:
        name = spec.name
        tokens = _step_tokens(cast(StepTokens, teacher.tokens[name]), inputs[0][name])
        alone = teacher.time_blocks[name](
            tokens + teacher.missing[name] + teacher.position_embedding[name]
        )  # (B, S, D)
        auxiliary.append(teacher.modality_head[name](teacher.modality_norm[name](alone.mean(1))))
        together.append(alone + teacher.modality_embedding[name])
    met = teacher.fusion(reduce(torch.add, together))  # (B, S, D)
    fused = teacher.norm(torch.cat([met[:, 0], met.mean(1)], 1))  # (B, 2*D)
    return reduce(torch.add, auxiliary, teacher.classifier(fused))
