"""Small random windows with the shapes of a skeleton and two inertial sensors, for tests of networks."""

import torch
from torch import Tensor

from edgehar.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, 3, KINECT_JOINTS, KINECT_PARENTS)
INERTIAL = ModalitySpec("inertial", 6, "g and deg/s", 50.0, 6)
SPECS = (SKELETON, INERTIAL)
STEPS, CLASSES = 8, 5


def windows(batch: int = 3, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random features and full validity."""
    generator = torch.Generator().manual_seed(seed)
    features = {
        spec.name: torch.randn(batch, STEPS, spec.patch, spec.groups, spec.features, generator=generator)
        for spec in SPECS
    }
    return features, {spec.name: torch.ones(batch, STEPS, dtype=torch.bool) for spec in SPECS}
