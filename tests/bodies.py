"""Small random windows of a skeleton and an inertial sensor, and small networks, for tests."""

from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows
from edgehar.student.network.model import PRESETS, StudentConfig, StudentNetwork, sized
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import KeptUnits, parts_of, remove
from edgehar.teacher.network.convolutions import add_norms, convolutions_of
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import Checkpoint

Network = TypeVar("Network", bound=nn.Module)

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, 3, KINECT_JOINTS, KINECT_PARENTS)
INERTIAL = ModalitySpec("inertial", 6, "g and deg/s", 50.0, 6)
SPECS = (SKELETON, INERTIAL)
STEPS, CLASSES = 8, 5
INFO = DatasetInfo("test", SPECS, tuple("abcde")[:CLASSES], WindowSpec("clip", STEPS, 0.1))
STATISTICS = {
    spec.name: {
        "mean": [0.0] * spec.channels,
        "covariance": torch.eye(spec.channels).tolist(),
        "motion": [1.0] * spec.channels,
    }
    for spec in SPECS
}
"""Frame statistics of white noise, as stored in checkpoints."""
STUDENT_SHAPES: dict[str, dict[str, Any]] = {
    **PRESETS,
    "deep": {"stem": 9, "width": 21, "encoder_blocks": 3, "hidden": 17, "token": 18, "heads": 3, "head_blocks": 3},
    "one head": {"token": 10, "heads": 1, "head_hidden": 7},
    "convolutions": {
        "stem": 10,
        "width": 21,
        "hidden": 17,
        "token": 12,
        "head_hidden": 9,
        "convolutions": 3,
        "kernel": 3,
    },
}


def windows(batch: int = 3, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random features and full validity."""
    generator = torch.Generator().manual_seed(seed)
    features = {
        spec.name: torch.randn(batch, STEPS, spec.patch, spec.groups, spec.features, generator=generator)
        for spec in SPECS
    }
    return features, {spec.name: torch.ones(batch, STEPS, dtype=torch.bool) for spec in SPECS}


def activity_windows(per_activity: int = 12, subjects: int = 3) -> Windows:
    """Labelled windows around one mean per activity, displaced along two directions, with a little noise."""
    random = np.random.default_rng(0)
    count = per_activity * CLASSES
    label = np.repeat(np.arange(CLASSES), per_activity)
    position = random.normal(size=(count, 2))
    features: dict[str, Any] = {}
    for spec in SPECS:
        shape = (STEPS, spec.patch, spec.groups, spec.features)
        constant = (1, 1, spec.groups, spec.features)
        mean = random.normal(size=(CLASSES, *constant)) * np.ones(shape)
        directions = random.normal(size=(2, *constant)) * np.ones(shape) / 2
        offset = np.tensordot(position, directions, 1)
        features[spec.name] = (mean[label] + offset + random.normal(size=(count, *shape)) * 0.05).astype(np.float32)
    valid = {spec.name: np.ones((count, STEPS), bool) for spec in SPECS}
    people = np.array([f"s{index % subjects}" for index in range(count)])
    zeros = np.zeros(count)
    return Windows(features, valid, label.astype(np.int64), people, zeros.astype(str), zeros, zeros)


def frame_windows(count: int = 40, subjects: int = 2) -> Windows:
    """White noise with another scale per channel; the first window is invalid and would change every statistic."""
    random = np.random.default_rng(0)
    features: dict[str, Any] = {}
    valid: dict[str, Any] = {}
    for spec in SPECS:
        shape = (count, STEPS, spec.patch, spec.groups, spec.features)
        channel = np.linspace(0.5, 2, spec.groups * spec.features).reshape(spec.groups, spec.features)
        features[spec.name] = (random.normal(size=shape) * channel + 0.3).astype(np.float32)
        valid[spec.name] = np.ones((count, STEPS), bool)
        valid[spec.name][0] = False
        features[spec.name][0] = 1e6
    skeleton = features["skeleton"]
    skeleton[..., SPECS[0].root, :3] = 0
    zeros = np.zeros(count)
    people = np.array([f"s{index % subjects}" for index in range(count)])
    return Windows(features, valid, zeros.astype(np.int64), people, zeros.astype(str), zeros, zeros)


def flat_features(windows: Windows) -> np.ndarray[Any, Any]:
    """(N, D), all features of each window."""
    return np.concatenate([windows.features[spec.name].reshape(len(windows), -1) for spec in SPECS], 1)


def smaller(network: StudentNetwork, share: float, width: bool = True) -> tuple[StudentNetwork, KeptUnits]:
    """A copy of a network without this share of every part, rounded down, and the remaining units."""
    parts = parts_of(network, width)
    scores = l2(network.requires_grad_(True), parts, windows(2))
    removed = {part.name: scores[part.name].argsort()[: int(share * part.count)] for part in parts}
    return remove(network, removed, parts, windows(2))


def student(preset: str = "base", **sizes: int) -> StudentNetwork:
    """An untrained student without zero weights."""
    torch.manual_seed(0)
    config = sized(StudentConfig(**PRESETS[preset], **sizes), SPECS, STEPS, CLASSES)
    network = StudentNetwork(config, SPECS, STEPS, CLASSES).eval()
    for name, parameter in network.named_parameters():
        if "missing" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def untrained_student() -> StudentNetwork:
    """A tiny student with its initial weights, frozen."""
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    return network.eval().requires_grad_(False)


def small_teacher() -> Teacher:
    """An untrained teacher of 32 channels, 16 per joint."""
    torch.manual_seed(0)
    return Teacher(TeacherConfig(dim=32, joint_dim=16), SPECS, STEPS, CLASSES).eval()


def trained_norms(network: Network) -> Network:
    """The network with normalisations that have seen batches, and with scales and shifts of their own."""
    add_norms(network)
    network.train()
    for seed in range(5):
        network(*windows(8, seed))
    with torch.no_grad():
        for layer in convolutions_of(network):
            assert isinstance(layer.norm, nn.BatchNorm1d)
            layer.norm.weight.uniform_(0.5, 2)
            layer.norm.bias.normal_()
    return network.eval()


def checkpoint_of(network: StudentNetwork | Teacher, kind: str = "student") -> Checkpoint:
    """A checkpoint of a network without moments."""
    sizes = asdict(network.config)
    weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    return Checkpoint(kind, sizes, INFO, Normalisation.identity(SPECS), {}, [], {"options": {"seed": 0}}, weights)


def random_student(shape: str, specs: tuple[ModalitySpec, ...] = SPECS) -> StudentNetwork:
    """A network without parameters of exactly 0 or 1, as after training."""
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**STUDENT_SHAPES[shape]), specs, STEPS, CLASSES).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def random_steps(network: StudentNetwork) -> list[Tensor]:
    """Random steps of every modality, with random missing modalities."""
    features, _ = windows(4)
    flat = [features[name].flatten(2).flatten(0, 1) for name in network.encoder.names]  # (N, P*G*F) each
    return [*flat, torch.randint(2, (len(flat[0]), len(flat))).float()]


def exportable_checkpoint(kind: str) -> Checkpoint:
    """A checkpoint of a tiny student, or a "pruned" one, with frame statistics and provenance."""
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    for entry in network.encoder.missing.values():
        torch.nn.init.normal_(entry)
    if kind == "pruned":
        network = smaller(network, 0.4)[0]
    data = {"data": "simulated", "root": None, "split": "odd-even", "modalities": ["skeleton", "inertial"]}
    facts = {"statistics": STATISTICS, "options": {"seed": 0}}
    info = replace(INFO, citation="cite me", licence="a licence")
    return replace(
        checkpoint_of(network, "pruned" if kind == "pruned" else "student"), info=info, data=data, facts=facts
    )
