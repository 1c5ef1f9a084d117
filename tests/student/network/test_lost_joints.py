"""Networks of a skeleton whose joints may be lost: a learned vector per lost joint, from training to the package."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from bodies import CLASSES, INERTIAL, SKELETON, SPECS, STEPS, small_teacher
from torch import Tensor, nn

from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.packaging.verify import verify
from edgehar.deploy.recognizer import load
from edgehar.deploy.runtime.litert.session import LiteRTSession
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student.export import export_package
from edgehar.student.network.fused import FusedEncoder
from edgehar.student.network.model import PRESETS, StudentConfig, StudentNetwork
from edgehar.student.network.onnx_export import export_graphs
from edgehar.student.network.rebuild import network_of
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import parts_of, remove
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.checkpoint import Checkpoint

PICTURE = replace(SKELETON, channels=40, group=2, unit="px", lost_joints=True)
LOSSY_SPECS = (PICTURE, INERTIAL)
LOST = 5
"""Index of the joint that the windows of `windows` lack."""
INFO = DatasetInfo("test", LOSSY_SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1))


def windows(batch: int = 3) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random windows; the first one lacks a joint, the second one some joints in some steps."""
    generator = torch.Generator().manual_seed(0)
    features = {
        spec.name: torch.randn(batch, STEPS, spec.patch, spec.groups, spec.features, generator=generator)
        for spec in LOSSY_SPECS
    }
    features["skeleton"][0, :, :, LOST] = 0
    features["skeleton"][1, 2:6, :, 9:15] = 0
    return features, {spec.name: torch.ones(batch, STEPS, dtype=torch.bool) for spec in LOSSY_SPECS}


def without_zeros(network: nn.Module) -> Any:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def student(preset: str = "tiny") -> StudentNetwork:
    torch.manual_seed(0)
    return without_zeros(StudentNetwork(StudentConfig(**PRESETS[preset]), LOSSY_SPECS, STEPS, CLASSES))


def teacher() -> Teacher:
    torch.manual_seed(0)
    sizes = {"dim": 32, "joint_dim": 16}
    return without_zeros(Teacher(TeacherConfig(**sizes), LOSSY_SPECS, STEPS, CLASSES))


def smaller(network: Any) -> Any:
    """A copy without half of every part."""
    parts = parts_of(network, width=True)
    scores = l2(network.requires_grad_(True), parts, windows())
    removed = {part.name: scores[part.name].argsort()[: part.count // 2] for part in parts}
    return remove(network, removed, parts, windows())[0].eval()


def as_steps(network: StudentNetwork) -> list[Tensor]:
    features, valid = windows()
    flat = [features[name].flatten(2).flatten(0, 1) for name in network.encoder.names]
    return [*flat, torch.stack([valid[name].flatten() for name in network.encoder.names], 1).float()]


def checkpoint_of(network: nn.Module, kind: str, sizes: dict[str, Any]) -> Checkpoint:
    normalisation = Normalisation(
        Normalisation.identity(LOSSY_SPECS).scale, {"skeleton": np.full(20, 0.05, np.float32)}
    )
    statistics = {
        spec.name: {
            "mean": [0.0] * spec.channels,
            "covariance": torch.eye(spec.channels).tolist(),
            "motion": [1.0] * spec.channels,
        }
        for spec in LOSSY_SPECS
    }
    data = {"data": "simulated", "root": None, "split": "odd-even", "modalities": ["skeleton", "inertial"]}
    facts = {"statistics": statistics, "options": {"seed": 0}}
    return Checkpoint(kind, sizes, INFO, normalisation, data, [], facts, network.state_dict())


def test_networks_of_other_specs_have_no_further_parameters() -> None:
    plain = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    lossy = StudentNetwork(
        StudentConfig(**PRESETS["tiny"]), (replace(SKELETON, lost_joints=True), INERTIAL), STEPS, CLASSES
    )
    further = {
        name: tensor.numel() - plain.state_dict()[name].numel()
        for name, tensor in lossy.state_dict().items()
        if tensor.shape != plain.state_dict()[name].shape
    }
    weights = 20 * PRESETS["tiny"]["stem"] * StudentConfig().kernel
    assert further == {"encoder.stem.skeleton.layers.0.convolution.weight": weights}
    assert not any("lost" in name for name in small_teacher().state_dict())


@pytest.mark.parametrize("network", [student(), teacher()], ids=["student", "teacher"])
def test_learned_vector_counts_where_a_joint_is_lost(network: Any) -> None:
    with torch.no_grad():
        before = network(*windows()).logits
        if isinstance(network, StudentNetwork):
            stem: Any = network.encoder.stem["skeleton"]
            stem.layers[0].convolution.weight[:, LOST - PICTURE.groups] += 1
        else:
            network.tokens["skeleton"].lost_group += 1  # type: ignore[union-attr, operator]
        changed = (network(*windows()).logits - before).abs().amax(1) > 1e-4
    assert changed.tolist() == [True, isinstance(network, Teacher), False]


@pytest.mark.parametrize("pruned", [False, True])
def test_all_forms_of_the_encoder_agree(pruned: bool) -> None:
    network = student("base")
    if pruned:
        network = smaller(network)
    steps = as_steps(network)
    with torch.no_grad():
        tokens = network.encoder(dict(zip(network.encoder.names, steps, strict=False)), steps[-1])
        torch.testing.assert_close(FusedEncoder(network.encoder)(*steps), tokens, atol=1e-5, rtol=1e-5)
    if not pruned:  # an export takes seconds
        return
    graph, _ = export_graphs(network, tuple(steps), torch.randn(2, STEPS, tokens.shape[1]))
    inputs = {name: step.numpy() for name, step in zip([*network.encoder.names, "valid"], steps, strict=True)}
    found = np.asarray(ort.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, inputs)[0])
    np.testing.assert_allclose(found, tokens.numpy(), atol=1e-5)
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'edgehar[litert]'")
    (translated,) = LiteRTSession(read_graph(graph, "encoder"), 1).run([], inputs)
    np.testing.assert_allclose(translated, tokens.numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_pruned_network_is_rebuilt_from_its_checkpoint(kind: str) -> None:
    network = smaller(student() if kind == "student" else teacher())
    sizes = PRESETS["tiny"] if kind == "student" else {"dim": 16, "joint_dim": 16, "head_dim": 8}
    rebuilt = network_of(checkpoint_of(network, "pruned" if kind == "student" else "teacher", dict(sizes)))
    with torch.no_grad():
        assert torch.equal(rebuilt(*windows()).logits, network(*windows()).logits)


def test_package_is_verified_in_every_precision(tmp_path: Path) -> None:
    export_package(checkpoint_of(student(), "student", PRESETS["tiny"]), tmp_path / "package", "model", 8, 0)
    quantize(tmp_path / "package", ("int8", "int8-dynamic", "fp16"))
    assert [check for check in verify(tmp_path / "package") if check.result == "FAILED"] == []
    arrays = load(tmp_path / "package").package.arrays("parity.npz")
    tokens = arrays["skeleton"].reshape(-1, PICTURE.patch, PICTURE.groups, PICTURE.features)
    lost = np.logical_not(tokens.any(axis=(1, 3)))[arrays["valid"][:, 0] > 0]
    assert 0.05 < np.mean(lost) < 0.4
