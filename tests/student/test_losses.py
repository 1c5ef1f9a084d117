import torch

from student.losses import feature_regression, soft_targets


def test_equal_predictions_cost_nothing_and_others_something():
    logits = torch.randn(6, 4)
    assert abs(float(soft_targets(logits, logits, 2.0))) < 1e-6
    assert float(soft_targets(logits, logits.flip(1), 2.0)) > 0.01


def test_soft_targets_at_temperature_one_are_the_divergence():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, -1.0]])
    p = teacher.softmax(1)[0]
    divergence = float((p * (p / 0.5).log()).sum())
    assert abs(float(soft_targets(student, teacher, 1.0)) - divergence) < 1e-6


def test_feature_regression_is_smallest_where_features_agree():
    target = torch.randn(5, 8)
    best = float(feature_regression(target, target))
    # No distance, and -log sigmoid(1) is left of the cosine.
    assert abs(best - 0.3132617) < 1e-5
    assert float(feature_regression(-target, target)) > best
