import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows
from torch import Tensor

from edgehar.student.distillation.initialise import initialise_from_teacher, step_map
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.teacher.network.model import Teacher, TeacherConfig


def test_step_map_equals_the_first_layers_without_joint_attention():
    teacher = Teacher(TeacherConfig(joint_blocks=0, convolutions=0), SPECS, STEPS, CLASSES)
    features, _ = windows()
    for spec in SPECS:
        tokens = teacher.tokens[spec.name]
        expected = tokens(features[spec.name]) - tokens(torch.zeros_like(features[spec.name]))
        mapped = features[spec.name].flatten(2) @ step_map(tokens, spec.patch).T  # type: ignore[arg-type]
        torch.testing.assert_close(mapped, expected, atol=1e-5, rtol=1e-4)


def test_initialised_stem_spans_the_strongest_directions_of_the_teacher():
    teacher = Teacher(TeacherConfig(dim=64, convolutions=0), SPECS, STEPS, CLASSES)
    student = StudentNetwork(StudentConfig(stem=80, convolutions=0), SPECS, STEPS, CLASSES)
    before = {name: stem.weight.detach().clone() for name, stem in student.encoder.stem.items()}  # type: ignore[union-attr]
    initialise_from_teacher(student, teacher)
    for spec in SPECS:
        weight: Tensor = student.encoder.stem[spec.name].weight.detach()  # type: ignore[union-attr]
        linear_map = step_map(teacher.tokens[spec.name], spec.patch).detach()  # type: ignore[arg-type]
        rank = min(*linear_map.shape, 80)

        def residual(rows: Tensor, linear_map: Tensor = linear_map) -> float:
            """Relative norm of the map outside the space of these rows."""
            basis, _ = torch.linalg.qr(rows.T)
            return float((linear_map - linear_map @ basis @ basis.T).norm() / linear_map.norm())

        assert residual(weight[:rank]) < 1e-3
        smallest = torch.linalg.svdvals(linear_map)[8:].square().sum().sqrt() / linear_map.norm()
        assert residual(weight[:8]) == pytest.approx(float(smallest), rel=1e-3)
        assert residual(before[spec.name][:8]) > 1.05 * residual(weight[:8])
        # Orthogonal rows with the mean norm of the old ones; rows beyond the rank are unchanged.
        length = before[spec.name].norm(dim=1).mean()
        torch.testing.assert_close(weight[:rank] @ weight[:rank].T, torch.eye(rank) * length**2, atol=1e-5, rtol=1e-4)
        assert torch.equal(weight[rank:], before[spec.name][rank:])
