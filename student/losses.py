"""Distillation losses as pure functions, each with its source."""

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.teacher.pretraining.contrast import START_LOG_SCALE, info_nce

MIN_NORM = 1e-6
"""Vectors shorter than this are not normalised: their gradients would explode."""


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of temperature-softened predictions (Hinton et al., arXiv 1503.02531, section 2).

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        temperature: T; the loss is multiplied by T^2 so that the scale of its gradients does not depend on T.
    """
    return temperature**2 * functional.kl_div(
        (student / temperature).log_softmax(1),
        (teacher / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )


def decoupled(student: Tensor, teacher: Tensor, temperature: float, alpha: float = 1.0, beta: float = 8.0) -> Tensor:
    """Decoupled knowledge distillation (Zhao et al., arXiv 2203.08679, equation 7; alpha and beta as in section 4).

    The divergence of target class against all others, plus the divergence among the other classes. It equals
    `soft_targets` if alpha is 1 and beta is, window by window, one minus the teacher's target probability. The paper's
    target class is the label; here it is the teacher's most probable class, because a window mixed by mixup has two
    labels and an unlabelled one has none.

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        temperature: T; the loss is multiplied by T^2.
        alpha: weight of the divergence of the target class.
        beta: weight of the divergence among the other classes.
    """
    target = functional.one_hot(teacher.argmax(1), teacher.shape[1]).bool()

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        log_probabilities = (logits / temperature).log_softmax(1)
        others = log_probabilities[~target].reshape(len(logits), -1)  # (B, K - 1)
        return torch.stack([log_probabilities[target], others.logsumexp(1)], 1), others.log_softmax(1)

    (binary, rest), (teacher_binary, teacher_rest) = parts(student), parts(teacher)
    target_class = functional.kl_div(binary, teacher_binary, reduction="batchmean", log_target=True)
    other_classes = functional.kl_div(rest, teacher_rest, reduction="batchmean", log_target=True)
    return temperature**2 * (alpha * target_class + beta * other_classes)


def feature_regression(predicted: Tensor, target: Tensor) -> Tensor:
    """L1 distance minus log-sigmoid of the cosine similarity (DistilHuBERT, arXiv 2110.01900, equation 1).

    Args:
        predicted: (..., D) output of a distillation head.
        target: (..., D) features of the teacher.
    """
    distance = functional.l1_loss(predicted, target)
    cosine = functional.cosine_similarity(predicted, target, dim=-1)
    return distance - functional.logsigmoid(cosine).mean()


def _relations(features: Tensor) -> tuple[Tensor, Tensor]:
    """(B, D) -> pairwise distances (B, B) relative to their mean, and cosines (B, B, B) of the angles at each row."""
    edges = features[None] - features[:, None]  # (B, B, D)
    square = edges.square().sum(2)
    distinct = square > MIN_NORM**2
    # The gradients of the root and of the direction are not finite at 0.
    length = torch.where(distinct, square, 1.0).sqrt()
    directions = edges / length[..., None] * distinct[..., None]
    distance = length * distinct
    pairs = max(len(features) * (len(features) - 1), 1)
    mean = distance.sum() / pairs
    return distance / torch.where(mean > 0, mean, 1.0), directions @ directions.transpose(1, 2)


def relational(student: Tensor, teacher: Tensor, angle: float = 2.0) -> Tensor:
    """Relational knowledge distillation (Park et al., arXiv 1904.05068, sections 3.2.1 and 3.2.2).

    Huber loss between the pairwise distances of both networks, and between their angles of triples; means instead of
    the paper's sums. Invariant to rotation and scale of either side.

    Args:
        student: (B, D) features.
        teacher: (B, D') features.
        angle: weight of the angles; distances have weight 1 (2 as in the paper's section 4).
    """
    (distance, cosine), (teacher_distance, teacher_cosine) = _relations(student), _relations(teacher)
    distances = functional.smooth_l1_loss(distance, teacher_distance)
    return distances + angle * functional.smooth_l1_loss(cosine, teacher_cosine)


def contrastive(student: Tensor, teacher: Tensor) -> Tensor:
    """Symmetric InfoNCE loss between student and teacher features, at a temperature of 0.1.

    After contrastive representation distillation (CRD, Tian et al., arXiv 1910.10699, section 3), with three
    differences: the softmax of InfoNCE instead of binary decisions; negatives from the batch, also of the same
    activity, instead of a memory bank of other activities; and no projection of the teacher's features.

    Args:
        student: (B, D) output of a distillation head.
        teacher: (B, D) features.
    """
    scale = torch.tensor(START_LOG_SCALE, device=student.device)
    embedded = [functional.normalize(features, dim=1, eps=MIN_NORM) for features in (student, teacher)]
    return info_nce(embedded[0], embedded[1], scale)
