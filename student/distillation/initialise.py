"""The student's stem begins with the directions of a step that the teacher's first layers look at.

DistilHuBERT (arXiv 2110.01900, section 2) begins its student with the teacher's first layers. This student has none of
their shapes, so what is taken over is less: of the teacher's embedding and merging of a step, which are one linear map
if the attention between joints is left out, the principal directions. Everything after the stem begins at random.
"""

from typing import cast

import torch
from torch import Tensor, nn

from edgehar.student.network.model import StudentNetwork
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.network.tokens import StepTokens

RANK_TOLERANCE = 1e-6
"""Directions weaker than this share of the strongest are those of rounding."""


def step_map(tokens: StepTokens, patch: int) -> Tensor:
    """(D, P*G*F) linear map from the features of a step to its token, without the attention between joints."""
    merge = tokens.merge.weight.unflatten(1, (tokens.groups, -1))  # (D, G, Dj)
    embed = tokens.embed.weight.unflatten(1, (patch, -1))  # (Dj, P, F)
    return torch.einsum("dgj,jpf->dpgf", merge, embed).flatten(1)


@torch.no_grad()
def initialise_from_teacher(student: StudentNetwork, teacher: Teacher) -> None:
    """Set the rows of every modality's stem to principal directions, the strongest first.

    Each is made as long as a row was on average. Units beyond the rank of the map stay as they were, as do the biases.
    """
    for spec in student.specs:
        stem = cast(nn.Linear, student.encoder.stem[spec.name])
        whole = step_map(cast(StepTokens, teacher.tokens[spec.name]), spec.patch).double().cpu()
        _, strength, directions = torch.linalg.svd(whole, full_matrices=False)
        count = min(len(stem.weight), int((strength > RANK_TOLERANCE * strength[0]).sum()))
        chosen = directions[:count]
        # A direction and its opposite are the same to the map, but not to a stem's units.
        chosen = chosen * chosen.gather(1, chosen.abs().argmax(1, keepdim=True)).sign()
        stem.weight[:count] = chosen.to(stem.weight) * stem.weight.norm(dim=1).mean()
