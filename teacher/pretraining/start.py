"""The start of fine-tuning from pretrained weights: statistics of the target's windows, and classifiers fitted to them.

Random classifiers would spoil the features before they have learnt to read them (Kumar et al., arXiv 2202.10054).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgehar.teacher.network.convolutions import convolutions_of
from edgehar.teacher.network.model import FUSED, Teacher
from edgehar.teacher.training.batches import WindowTensors

BATCH = 256
ITERATIONS = 50
PENALTY = 1e-2
"""Of the sum of squared weights, beside the mean cross-entropy."""


@torch.no_grad()
def _pooled_features(teacher: Teacher, windows: WindowTensors) -> dict[str, Tensor]:
    """Pooled features (N, D) of all windows, for each classifier."""
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, len(windows), BATCH):
        rows = slice(first, first + BATCH)
        features = {name: tensor[rows] for name, tensor in windows.features.items()}
        valid = {name: tensor[rows] for name, tensor in windows.valid.items()}
        for name, pooled in teacher.pool(*teacher.encode(features, valid)).items():
            parts.setdefault(name, []).append(pooled)
    return {name: torch.cat(pooled) for name, pooled in parts.items()}


def _measure_norms(teacher: Teacher, windows: WindowTensors) -> None:
    """Replace the running statistics of all batch normalisations by those of these windows."""
    norms = [layer.norm for layer in convolutions_of(teacher) if isinstance(layer.norm, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    teacher.train()
    _pooled_features(teacher, windows)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _fit(layer: nn.Linear, features: Tensor, label: Tensor) -> None:
    """Logistic regression with a penalty on the weights, in place."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(layer(features), label) + PENALTY * layer.weight.square().sum()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        return loss

    optimiser.step(closure)  # pyright: ignore[reportUnknownMemberType]


def fit_heads(teacher: Teacher, windows: WindowTensors) -> None:
    """Give a pretrained teacher the statistics of labelled windows, and classifiers fitted to its features of them.

    A sensor that no window has keeps its random classifier.
    """
    _measure_norms(teacher, windows)
    pooled = _pooled_features(teacher.eval(), windows)
    _fit(teacher.classifier, pooled.pop(FUSED), windows.label)
    for name, features in pooled.items():
        present = windows.valid[name].any(1)
        layer = teacher.get_submodule(f"modality_head.{name}")
        assert isinstance(layer, nn.Linear)
        if present.any():
            _fit(layer, features[present], windows.label[present])
