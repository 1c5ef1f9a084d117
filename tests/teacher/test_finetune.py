"""Options of fine-tuning."""

import pytest

from edgehar.config import build
from edgehar.errors import ConfigError
from edgehar.teacher.finetune import LabelConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smoothing", 1.0),
        ("smoothing", -0.1),
        ("mixup", float("inf")),
        ("mixup", -1.0),
        ("auxiliary", float("nan")),
        ("auxiliary", -0.3),
    ],
)
def test_label_option_out_of_bounds_is_refused(name: str, value: float):
    with pytest.raises(ConfigError, match=f"--{name} {value}: expected a .*number from 0"):
        build(LabelConfig, {name: value})
