"""Convolutions of student and teacher are pruned and rebuilt like other layers; those of the student are exported."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bodies import (
    SPECS,
    STEPS,
    STUDENT_SHAPES,
    exportable_checkpoint,
    random_student,
    smaller,
    windows,
)

from edgehar.deploy.packaging.parity import agreement, parity_arrays, parity_error
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.tensorrt_rules import tensorrt_problems
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import PARTS
from edgehar.student.export import export_package
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.student.network.rebuild import resize_and_load


@pytest.mark.parametrize("share", [0.3, 0.75])
def test_pruned_network_is_rebuilt_from_its_weights(share: float):
    pruned = smaller(random_student("convolutions"), share)[0].eval()
    rebuilt = StudentNetwork(StudentConfig(**STUDENT_SHAPES["convolutions"]), SPECS, STEPS, 3)
    resize_and_load(rebuilt, pruned.state_dict())
    assert torch.equal(rebuilt.eval()(*windows(4)).logits, pruned(*windows(4)).logits)


def test_package_agrees_with_the_network_in_every_precision(tmp_path: Path):
    weights = random_student("convolutions").state_dict()
    sizes = STUDENT_SHAPES["convolutions"]
    export_package(
        replace(exportable_checkpoint("student"), network=sizes, weights=weights), tmp_path / "p", "model", 4, 0
    )
    quantize(tmp_path / "p")
    package = EdgePackage.open(tmp_path / "p")
    arrays, reference = parity_arrays(package), Recognizer(package, "fp32")
    assert max(parity_error(reference, arrays).values()) < 1e-4
    for precision in ("int8", "int8-dynamic", "fp16"):
        assert agreement(Recognizer(package, precision), reference, arrays)["same_answer"] == 1
        for part in PARTS:
            graph = package.graph(part, precision)
            if precision == "int8":
                assert not tensorrt_problems(read_graph(package.read(graph.name), graph.name))
