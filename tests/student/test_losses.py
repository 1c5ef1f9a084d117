import math

import pytest
import torch
from torch import Tensor

from edgehar.student.losses import contrastive, decoupled, feature_regression, relational, soft_targets

FEATURE_LOSSES = [relational, contrastive]
ALL = [*FEATURE_LOSSES, lambda one, other: decoupled(one, other, 2.0), lambda one, other: soft_targets(one, other, 2.0)]


def batch(seed: int, channels: int = 6, rows: int = 5) -> Tensor:
    return torch.randn(rows, channels, generator=torch.Generator().manual_seed(seed))


def rotated(features: Tensor) -> Tensor:
    """The same rows in a rotated basis."""
    rotation, _ = torch.linalg.qr(batch(99, features.shape[1], features.shape[1]))
    return features @ rotation


def huber(one: float, other: float) -> float:
    distance = abs(one - other)
    return distance**2 / 2 if distance <= 1 else distance - 0.5


def test_soft_targets_are_zero_for_equal_predictions_only():
    logits = torch.randn(6, 4)
    assert abs(float(soft_targets(logits, logits, 2.0))) < 1e-6
    assert float(soft_targets(logits, logits.flip(1), 2.0)) > 0.01


def test_soft_targets_at_temperature_1_are_the_divergence():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, -1.0]])
    p = teacher.softmax(1)[0]
    divergence = float((p * (p / 0.5).log()).sum())
    assert abs(float(soft_targets(student, teacher, 1.0)) - divergence) < 1e-6


def test_feature_regression_is_smallest_for_equal_features():
    target = torch.randn(5, 8)
    best = float(feature_regression(target, target))
    # Distance 0, and -log sigmoid(1) for cosine 1.
    assert abs(best - 0.3132617) < 1e-5
    assert float(feature_regression(-target, target)) > best


def test_relational_compares_distances_of_pairs_and_angles_of_triples():
    student, teacher = batch(1), batch(2, 9)
    rows = range(len(student))

    def distances(features: Tensor) -> list[list[float]]:
        lengths = [[math.dist(features[i].tolist(), features[j].tolist()) for j in rows] for i in rows]
        mean = sum(map(sum, lengths)) / (len(rows) * (len(rows) - 1))
        return [[entry / mean for entry in row] for row in lengths]

    def angle(features: Tensor, i: int, j: int, k: int) -> float:
        if j in (i, k):
            return 0.0
        one, other = features[i] - features[j], features[k] - features[j]
        return float(one @ other / one.norm() / other.norm())

    one, other = distances(student), distances(teacher)
    pairs = [huber(one[i][j], other[i][j]) for i in rows for j in rows]
    triples = [huber(angle(student, i, j, k), angle(teacher, i, j, k)) for i in rows for j in rows for k in rows]
    expected = sum(pairs) / len(pairs) + 2 * sum(triples) / len(triples)
    assert float(relational(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_relational_is_invariant_to_rotation_scale_and_offset():
    student, teacher = batch(1), batch(2, 9)
    cost = float(relational(student, teacher))
    assert cost > 0.05
    for moved in (rotated(student), 7 * student, student + 3):
        assert float(relational(moved, teacher)) == pytest.approx(cost, rel=1e-4)
    for moved in (rotated(teacher), teacher / 50, teacher - 1):
        assert float(relational(student, moved)) == pytest.approx(cost, rel=1e-4)
    assert abs(float(relational(5 * rotated(student), student))) < 1e-6
    assert float(relational(student, teacher, angle=0.0)) < cost


def test_contrastive_is_the_cross_entropy_of_matching_pairs():
    student, teacher = batch(1), batch(2)
    rows = range(len(student))

    def similar(i: int, j: int) -> float:
        return math.exp(math.exp(2.3) * float(torch.cosine_similarity(student[i], teacher[j], dim=0)))

    losses = [-math.log(similar(i, i) / sum(similar(i, j) for j in rows)) for i in rows]
    losses += [-math.log(similar(i, i) / sum(similar(j, i) for j in rows)) for i in rows]
    assert float(contrastive(student, teacher)) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_contrastive_decreases_as_matches_come_closer():
    student, teacher = batch(1), batch(2)
    costs = [float(contrastive(student.lerp(teacher, share), teacher)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.5 * costs[0]
    assert float(contrastive(teacher.roll(1, 0), teacher)) > costs[0]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_decoupled_equals_soft_targets_with_their_weight_of_other_classes(temperature: float):
    student, teacher = batch(1), 3 * batch(2)
    for one, other in zip(student.split(1), teacher.split(1), strict=True):
        others_share = 1 - float((other / temperature).softmax(1).max())
        together = decoupled(one, other, temperature, 1.0, others_share)
        assert float(together) == pytest.approx(float(soft_targets(one, other, temperature)), rel=1e-4)


def test_decoupled_is_the_sum_of_two_divergences():
    student, teacher, temperature = batch(1), 3 * batch(2), 2.0

    def divergence(p: list[float], q: list[float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    expected = 0.0
    for one, other in zip(student, teacher, strict=True):
        q, p = (one / temperature).softmax(0).tolist(), (other / temperature).softmax(0).tolist()
        target = p.index(max(p))
        rest = [number for number in range(len(p)) if number != target]
        expected += 0.7 * divergence([p[target], 1 - p[target]], [q[target], 1 - q[target]])
        p_rest, q_rest = ([all_of[n] / (1 - all_of[target]) for n in rest] for all_of in (p, q))
        expected += 5.0 * divergence(p_rest, q_rest)
    expected *= temperature**2 / len(student)
    assert float(decoupled(student, teacher, temperature, 0.7, 5.0)) == pytest.approx(expected, rel=1e-4)


def test_decoupled_of_two_classes_equals_soft_targets():
    student, teacher = batch(1, 2), batch(2, 2)
    assert float(decoupled(student, teacher, 2.0)) == pytest.approx(
        float(soft_targets(student, teacher, 2.0)), rel=1e-4
    )


DEGENERATE = {
    "equal rows": torch.ones(5, 6),
    "zeros": torch.zeros(5, 6),
    "two equal rows": batch(1)[[0, 0, 1, 2, 3]],
    "almost equal rows": torch.ones(5, 6) + 1e-9 * batch(3),
    "large": 1e4 * batch(4),
    "one row": batch(5, rows=1),
}


@pytest.mark.parametrize("loss", ALL, ids=["relational", "contrastive", "decoupled", "soft_targets"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_gradients_are_finite_for_degenerate_features(loss, name: str):
    rows = len(DEGENERATE[name])
    for other in (batch(7, rows=rows), torch.ones(rows, 6), DEGENERATE[name]):
        for one in (DEGENERATE[name], batch(8, rows=rows)):
            student = one.clone().requires_grad_()
            value = loss(student, other)
            value.backward()
            assert torch.isfinite(value)
            assert student.grad is not None
            assert torch.isfinite(student.grad).all()
            assert float(student.grad.norm()) < 1e7


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_gradient_descent_reaches_the_teacher(loss):
    student, teacher = batch(1), batch(2)
    before = float(loss(student, teacher))
    for _ in range(150):
        student.requires_grad_()
        (slope,) = torch.autograd.grad(loss(student, teacher), student)
        student = student.detach() - slope
    assert float(loss(student, teacher)) < 0.1 * before
