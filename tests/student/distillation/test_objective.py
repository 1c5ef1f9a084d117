"""The weighted sum of the distillation losses, and the bounds of their weights."""

import pytest
import torch
from bodies import CLASSES, STEPS

from edgehar.errors import ConfigError
from edgehar.student.distillation.ensemble import TeacherTargets
from edgehar.student.distillation.objective import DistillConfig, StudentOutput, weighted_losses
from edgehar.student.losses import contrastive, decoupled, feature_regression, relational, soft_targets


def test_every_weight_multiplies_its_loss():
    generator = torch.Generator().manual_seed(0)
    dim, shape = 6, (4, STEPS, 6)
    steps, layers = torch.randn(shape, generator=generator), torch.randn(2, *shape, generator=generator)
    fused, logits = torch.randn(4, 2 * dim, generator=generator), torch.randn(4, CLASSES, generator=generator)
    targets = TeacherTargets(logits, fused, steps, tuple(layers))
    heads = {
        "fused": fused + 1,
        "contrast": fused.flip(0),
        "steps": 2 * steps,
        "layer0": -layers[0],
        "layer1": layers[0],
    }
    student = StudentOutput(logits.flip(1), torch.randn(4, 3, generator=generator), heads)
    regression = feature_regression(fused + 1, fused) + feature_regression(2 * steps, steps)
    layer = (feature_regression(-layers[0], layers[0]) + feature_regression(layers[0], layers[1])) / 2
    expected = {
        "soft": soft_targets(student.logits, logits, 3.0),
        "feature": regression + layer,
        "relational": relational(student.pooled, fused),
        "contrastive": contrastive(heads["contrast"], fused),
        "decoupled": decoupled(student.logits, logits, 3.0),
    }
    weights = {name: float(weight) for weight, name in enumerate(expected, 2)}
    config = DistillConfig(temperature=3.0, layers=2, **weights)  # type: ignore[arg-type]
    found = weighted_losses(student, targets, config)
    torch.testing.assert_close(found, [weights[name] * loss for name, loss in expected.items()])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"soft": -0.1}, "--soft -0.1"),
        ({"hard": float("nan")}, "--hard nan"),
        ({"feature": -1.0}, "--feature -1.0"),
        ({"relational": -1.0}, "--relational -1.0"),
        ({"contrastive": float("inf")}, "--contrastive inf"),
        ({"decoupled": -2.0}, "--decoupled -2.0"),
        ({"mixup": -0.5}, "--mixup -0.5"),
        ({"temperature": 0.0}, "--temperature 0.0"),
        ({"layers": -1}, "--layers -1"),
        ({"layers": 2, "feature": 0.0}, "--layers 2, --feature 0"),
        ({"label_share": 0.0}, "--label-share 0.0"),
        ({"label_share": 1.1}, "--label-share 1.1"),
        ({"label_draw": -1}, "--label-draw -1"),
        ({"pseudo_labels": "even"}, "--pseudo-labels even: expected one of none, likely, equal"),
        ({"pseudo_labels": "likely", "hard": 0.0}, "--pseudo-labels likely with --hard 0"),
        ({"soft": 0.0, "hard": 0.0, "feature": 0.0}, "every loss has weight 0"),
    ],
)
def test_options_out_of_bounds_or_in_conflict_are_refused(given: dict[str, float], named: str):
    with pytest.raises(ConfigError, match=f"^{named}"):
        DistillConfig(**given)  # type: ignore[arg-type]
