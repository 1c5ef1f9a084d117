"""Distillation losses as pure functions, each with its source."""

from torch import Tensor
from torch.nn import functional


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


def feature_regression(predicted: Tensor, target: Tensor) -> Tensor:
    """L1 distance minus log-sigmoid of the cosine (DistilHuBERT, arXiv 2110.01900, equation 1).

    Args:
        predicted: (..., D) of a head on the student that is dropped afterwards.
        target: (..., D) of the teacher.
    """
    distance = functional.l1_loss(predicted, target)
    cosine = functional.cosine_similarity(predicted, target, dim=-1)
    return distance - functional.logsigmoid(cosine).mean()
