"""Result files that contradict themselves or each other are errors."""

from pathlib import Path
from typing import Any

import pytest

from edgehar.errors import DataError
from tests.tools.result_files import accuracy, put
from tools.results.render import differences


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["networks"]["teacher"]["scores"]["skeleton"].update(correct=1), "accuracy .* 1/430"),
        (
            lambda one: one["networks"]["teacher"]["scores"]["skeleton"]["per_subject"]["s2"].update(correct=1),
            "per_subject .* 400",
        ),
        (lambda one: one["config"]["recipe"].update(finetune="--updates 9"), "accuracy-1.*config"),
        (lambda one: one.update(format="other"), "format 'other'"),
        (lambda one: one.pop("config"), r"accuracy-0\.json: config"),
        (lambda one: one["dataset"].update(labels="walk"), r"accuracy-0\.json: dataset\.labels"),
        (lambda one: one.update(suite="luck"), "suite 'luck'"),
        (lambda one: one["dataset"].update(test_subjects=["s1"], train_subjects=["s1"]), "s1 in both"),
        (lambda one: one["dataset"].update(test_subjects=["s9"]), "per_subject.* s2.*test_subjects"),
        (lambda one: one["networks"]["teacher"]["scores"]["skeleton"].update(macro_f1=7.0), r"macro_f1 7\.0"),
        (lambda one: one["networks"]["student"]["faults"].update(overall=0.99), r"overall 0\.99"),
        (lambda one: one["networks"]["teacher"].pop("parameters"), "results: KeyError: 'parameters'"),
        (lambda one: one.update(seed=1), "both are seed 1"),
    ],
)
def test_inconsistent_result_file_is_an_error(change: Any, message: str, root: Path) -> None:
    one = accuracy(0, 420)
    change(one)
    put(root, "accuracy-0", one)
    with pytest.raises(DataError, match=message):
        differences(root)
