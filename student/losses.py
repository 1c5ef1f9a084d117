"""Distillation losses as pure functions, each with its source."""

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.teacher.pretraining.contrast import START_LOG_SCALE, info_nce

SHORTEST = 1e-6
"""What is shorter has no direction: its gradients would be larger than any other."""


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened predictions (Hinton et al., arXiv 1503.02531, section 2).

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        temperature: T; the loss is multiplied by T^2 so that its gradients keep their size.
    """
    return temperature**2 * functional.kl_div(
        (student / temperature).log_softmax(1),
        (teacher / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )


def decoupled(student: Tensor, teacher: Tensor, temperature: float, alpha: float = 1.0, beta: float = 8.0) -> Tensor:
    """Divergence of being the target class, plus that of the other classes among themselves.

    Decoupled knowledge distillation (Zhao et al., arXiv 2203.08679, equation 7; alpha and beta as in its section 4).
    With alpha 1 and beta one minus the teacher's target probability, for each window its own, it is `soft_targets`.
    The paper's target class is the label. Here it is the class the teacher holds most likely: a mixed window has two
    labels, and some windows have none.

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        temperature: T; the loss is multiplied by T^2.
        alpha: weight of the target class.
        beta: weight of the other classes.
    """
    target = functional.one_hot(teacher.argmax(1), teacher.shape[1]).bool()

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        known = (logits / temperature).log_softmax(1)
        others = known[~target].reshape(len(known), -1)  # (B, K - 1)
        return torch.stack([known[target], others.logsumexp(1)], 1), others.log_softmax(1)

    (one, rest), (one_known, rest_known) = parts(student), parts(teacher)
    target_class = functional.kl_div(one, one_known, reduction="batchmean", log_target=True)
    other_classes = functional.kl_div(rest, rest_known, reduction="batchmean", log_target=True)
    return temperature**2 * (alpha * target_class + beta * other_classes)


def feature_regression(predicted: Tensor, target: Tensor) -> Tensor:
    """L1 distance minus log-sigmoid of the cosine (DistilHuBERT, arXiv 2110.01900, equation 1).

    Args:
        predicted: (..., D) of a head on the student that is dropped afterwards.
        target: (..., D) of the teacher.
    """
    distance = functional.l1_loss(predicted, target)
    cosine = functional.cosine_similarity(predicted, target, dim=-1)
    return distance - functional.logsigmoid(cosine).mean()


def _relations(features: Tensor) -> tuple[Tensor, Tensor]:
    """(B, D) -> distances (B, B) in shares of their mean, and at every row the cosines (B, B, B) between two others."""
    edges = features[None] - features[:, None]  # (B, B, D)
    square = edges.square().sum(2)
    apart = square > SHORTEST**2
    # The root of nothing has no gradient, and neither has the direction of no edge.
    length = torch.where(apart, square, 1.0).sqrt()
    directions = edges / length[..., None] * apart[..., None]
    distance = length * apart
    pairs = max(len(features) * (len(features) - 1), 1)
    mean = distance.sum() / pairs
    return distance / torch.where(mean > 0, mean, 1.0), directions @ directions.transpose(1, 2)


def relational(student: Tensor, teacher: Tensor, angle: float = 2.0) -> Tensor:
    """Huber distance of how windows lie to each other: pairs by distance, triples by angle.

    Relational knowledge distillation (Park et al., arXiv 1904.05068, sections 3.2.1 and 3.2.2); means in place of its
    sums. Turning or scaling either side changes nothing.

    Args:
        student: (B, D) features.
        teacher: (B, D') features.
        angle: weight of the angles where distances weigh 1; twice as much in the paper's section 4.
    """
    (distance, cosine), (distance_known, cosine_known) = _relations(student), _relations(teacher)
    distances = functional.smooth_l1_loss(distance, distance_known)
    return distances + angle * functional.smooth_l1_loss(cosine, cosine_known)


def contrastive(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy of finding each window's features of the other network among those of the batch, both ways.

    After contrastive representation distillation (CRD, Tian et al., arXiv 1910.10699, section 3), with these
    differences: the softmax of InfoNCE in place of its binary decisions, the other windows of the batch, those of the
    same activity included, in place of a memory of thousands from other activities, and no projection of the teacher.
    At a temperature of 0.1.

    Args:
        student: (B, D) of a head on the student that is dropped afterwards.
        teacher: (B, D) features.
    """
    scale = torch.tensor(START_LOG_SCALE, device=student.device)
    embedded = [functional.normalize(features, dim=1, eps=SHORTEST) for features in (student, teacher)]
    return info_nce(embedded[0], embedded[1], scale)
