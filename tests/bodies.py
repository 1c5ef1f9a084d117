"""Small random windows with the shapes of a skeleton and two inertial sensors, for tests of networks."""

import torch
from torch import Tensor

from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import KeptUnits, parts_of, remove

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, 3, KINECT_JOINTS, KINECT_PARENTS)
INERTIAL = ModalitySpec("inertial", 6, "g and deg/s", 50.0, 6)
SPECS = (SKELETON, INERTIAL)
STEPS, CLASSES = 8, 5
STATISTICS = {
    spec.name: {
        "mean": [0.0] * spec.channels,
        "covariance": torch.eye(spec.channels).tolist(),
        "motion": [1.0] * spec.channels,
    }
    for spec in SPECS
}
"""As a checkpoint keeps them of windows of white noise."""


def windows(batch: int = 3, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random features and full validity."""
    generator = torch.Generator().manual_seed(seed)
    features = {
        spec.name: torch.randn(batch, STEPS, spec.patch, spec.groups, spec.features, generator=generator)
        for spec in SPECS
    }
    return features, {spec.name: torch.ones(batch, STEPS, dtype=torch.bool) for spec in SPECS}


def smaller(network: StudentNetwork, share: float, width: bool = True) -> tuple[StudentNetwork, KeptUnits]:
    """A network without this share of every part, rounded down, and what stayed."""
    parts = parts_of(network, width)
    scores = l2(network.requires_grad_(True), parts, windows(2))
    gone = {part.name: scores[part.name].argsort()[: int(share * part.count)] for part in parts}
    return remove(network, gone, parts, windows(2))


def student(preset: str = "base") -> StudentNetwork:
    """An untrained student none of whose weights is zero."""
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**PRESETS[preset]), SPECS, STEPS, CLASSES).eval()
    for name, parameter in network.named_parameters():
        if "missing" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network
