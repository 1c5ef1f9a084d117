"""A forward pass of the teacher that torch-pruning can trace; its dependencies are right, its numbers are not.

torch-pruning (DepGraph, arXiv 2301.12900) takes every concatenation for one of channels, and a mask for a layer. Where
the teacher concatenates, selects or replaces tokens, this pass adds them, which ties the same channels together.
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
    joints = tokens.embed(tokens.convolutions(features.transpose(2, 3).flatten(3)))  # (B, S, G, Dj)
    batch, steps, groups, _ = joints.shape
    for vector in tokens.replacements:
        joints = joints + vector
    joints = (joints + tokens.group_embedding).flatten(0, 1)  # (B*S, G, Dj)
    for block in tokens.blocks:
        joints = block(joints)
    # torch-pruning does not trace a flatten in this order of axes; it traces a concatenation of channels.
    flat = torch.cat([joints[:, group] for group in range(groups)], -1)  # (B*S, G*Dj)
    return tokens.merge(flat).unflatten(0, (batch, steps))


def unwrapped_parameters(teacher: Teacher) -> list[tuple[nn.Parameter, int]]:
    """Parameters that belong to no layer, each with its channel axis, as torch-pruning's argument of this name."""
    vectors = [*teacher.missing.values(), *teacher.modality_embedding.values()]
    matrices = [*teacher.position_embedding.values(), teacher.fusion_tokens]
    for spec in teacher.specs:
        tokens = cast(StepTokens, teacher.tokens[spec.name])
        vectors += tokens.replacements
        matrices.append(tokens.group_embedding)
    return [*((entry, 0) for entry in vectors), *((entry, 1) for entry in matrices)]


def dependency_forward(teacher: Teacher, inputs: Inputs) -> Tensor:
    """(B, K) values that depend on every layer and every unwrapped parameter of the teacher."""
    auxiliary: list[Tensor] = []
    fusion_inputs: list[Tensor] = [teacher.fusion_tokens[0]]
    for spec in teacher.specs:
        name = spec.name
        tokens = _step_tokens(cast(StepTokens, teacher.tokens[name]), inputs[0][name])
        tokens = teacher.step_convolutions[name](tokens + teacher.missing[name]) + teacher.position_embedding[name]
        steps = teacher.time_blocks[name](tokens)  # (B, S, D)
        auxiliary.append(teacher.modality_head[name](teacher.modality_norm[name](steps.mean(1))))
        fusion_inputs.append(steps + teacher.modality_embedding[name])
    steps = teacher.fusion(reduce(torch.add, fusion_inputs))  # (B, S, D)
    fused = teacher.norm(torch.cat([steps[:, 0], steps.mean(1), steps.amax(1)], 1))  # (B, 3*D)
    return reduce(torch.add, auxiliary, teacher.classifier(fused))
