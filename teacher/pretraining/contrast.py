"""Contrastive loss between two views of a window, within and across modalities."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional

from edgehar.teacher.network.model import FUSED

START_LOG_SCALE = 2.3
"""Initial logarithm of the similarity scale: a temperature of 0.1, as in SimCLR (arXiv 2002.05709)."""
LARGEST_LOG_SCALE = 4.0


class Projection(nn.Module):
    """Projection head, which only the contrastive loss needs (SimCLR, section 4.2)."""

    def __init__(self, dim: int, width: int = 64) -> None:
        """A two-layer head from `dim` channels to `width`, with 2 * `width` hidden units."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, W) of unit length."""
        return functional.normalize(self.layers(features), dim=-1)


def gathered(embedded: Tensor) -> Tensor:
    """Embeddings gathered from all processes, with gradients, so that each computes the loss of the whole batch."""
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return embedded
    return torch.cat(list(all_gather(embedded)))


def info_nce(first: Tensor, second: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE: cross-entropy of finding each row's other view among the rows of the batch.

    InfoNCE: arXiv 1807.03748, equation 4. Symmetric, with a learned scale, as in CLIP (arXiv 2103.00020).

    Args:
        first: (B, W) embeddings of unit length.
        second: (B, W) of the other view or sensor.
        log_scale: scalar, logarithm of one over the temperature.
    """
    first, second = gathered(first), gathered(second)
    similarity = first @ second.T * log_scale.clamp(max=LARGEST_LOG_SCALE).exp()  # (B, B)
    same = torch.arange(len(first), device=first.device)
    return (functional.cross_entropy(similarity, same) + functional.cross_entropy(similarity.T, same)) / 2


def agreement_loss(views: list[dict[str, Tensor]], log_scale: Tensor) -> Tensor:
    """Mean InfoNCE of two views: each modality and the fusion with itself, each modality with every other one.

    Intra-modal and inter-modal contrast of masked views as in MAViL (arXiv 2212.08071, section 3.2).

    Args:
        views: for each of two views, name -> (B, W).
        log_scale: see `info_nce`.
    """
    one, two = views
    losses = [info_nce(one[name], two[name], log_scale) for name in one]
    names = [name for name in one if name != FUSED]
    losses += [info_nce(one[name], two[other], log_scale) for name in names for other in names if name != other]
    return torch.stack(losses).mean()
