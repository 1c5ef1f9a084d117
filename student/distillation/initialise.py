"""Initialises the student's stem with principal directions of the teacher's first layers.

DistilHuBERT (arXiv 2110.01900, section 2) copies the teacher's first layers. Their shapes differ here, so the stem
takes the principal directions of the linear map from the features of a step to its token: the teacher's embedding and
merge layers without the attention between joints. All later layers keep their random initialisation.
"""

from typing import cast

import torch
from torch import Tensor, nn

from edgehar.student.network.model import StudentNetwork
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.network.tokens import StepTokens

RANK_TOLERANCE = 1e-6
"""Directions whose singular value is below this share of the largest are rounding errors."""


def step_map(tokens: StepTokens, patch: int) -> Tensor:
    """(D, P*G*F) linear map from the features of a step to its token, without attention between joints."""
    merge = tokens.merge.weight.unflatten(1, (tokens.groups, -1))  # (D, G, Dj)
    embed = tokens.embed.weight.unflatten(1, (patch, -1))  # (Dj, P, F)
    return torch.einsum("dgj,jpf->dpgf", merge, embed).flatten(1)


@torch.no_grad()
def initialise_from_teacher(student: StudentNetwork, teacher: Teacher) -> None:
    """Set the rows of every modality's stem to principal directions, in decreasing order of singular value.

    Rows keep their mean norm. Units beyond the rank of the map are not changed, nor are the biases. The first
    layers must be linear, which `edgehar distill` checks.
    """
    for spec in student.specs:
        stem = cast(nn.Linear, student.encoder.stem[spec.name])
        linear_map = step_map(cast(StepTokens, teacher.tokens[spec.name]), spec.patch).double().cpu()
        _, singular_values, directions = torch.linalg.svd(linear_map, full_matrices=False)
        count = min(len(stem.weight), int((singular_values > RANK_TOLERANCE * singular_values[0]).sum()))
        rows = directions[:count]
        # The sign of a singular vector is arbitrary: make the largest component positive.
        rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
        stem.weight[:count] = rows.to(stem.weight) * stem.weight.norm(dim=1).mean()
