"""Convolutions of the student: normalised while they train, folded afterwards, pruned and rebuilt like other layers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bodies import (
    INERTIAL,
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
from edgehar.deploy.runtime.onnx_format.graph_view import read_graph
from edgehar.deploy.runtime.tensorrt_rules import tensorrt_problems
from edgehar.errors import ConfigError
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import PARTS
from edgehar.student.distill import DistillOptions
from edgehar.student.distillation.objective import DistillConfig
from edgehar.student.export import export_package
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.student.network.rebuild import resize_and_load
from edgehar.student.pruning.units import Part, parts_of, remove
from edgehar.teacher.augmentation.geometric import rotation
from edgehar.teacher.network.convolutions import PatchConvolutions, add_norms, convolutions_of, fold_norms, magnitudes


def trained_norms(network: StudentNetwork) -> StudentNetwork:
    """The network with normalisations that have seen batches, and with scales and shifts of their own."""
    add_norms(network)
    network.train()
    for seed in range(5):
        network(*windows(8, seed))
    with torch.no_grad():
        for layer in convolutions_of(network):
            norm = layer.norm
            assert isinstance(norm, torch.nn.BatchNorm1d)
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    return network.eval()


def test_folded_norms_give_the_same_outputs():
    network = trained_norms(random_student("convolutions"))
    expected = network(*windows(4)).logits
    fold_norms(network)
    assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in network.modules())
    torch.testing.assert_close(network(*windows(4)).logits, expected, atol=1e-5, rtol=1e-5)


def test_a_network_of_linear_layers_has_no_norms():
    network = random_student("tiny")
    before = list(network.state_dict())
    add_norms(network)
    assert list(network.state_dict()) == before


def test_pruned_convolutions_equal_masked_ones_and_can_be_stored():
    network, inputs = random_student("convolutions"), windows(4)
    for part in parts_of(network, width=False):
        units = torch.tensor([0, part.count - 2])
        pruned, _ = remove(network, {part.name: units}, [part], inputs)

        def hide(_: torch.nn.Module, given: tuple[torch.Tensor, ...], part: Part = part) -> tuple[torch.Tensor, ...]:
            shown = torch.ones(part.count)
            shown[[0, part.count - 2]] = 0
            return (part.as_rows(part.by_unit(given[0]) * shown[:, None]), *given[1:])

        handle = network.get_submodule(part.reader).register_forward_pre_hook(hide)
        expected = network(*inputs).logits
        handle.remove()
        torch.testing.assert_close(pruned.eval()(*inputs).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.75])
def test_pruned_network_is_rebuilt_from_its_weights(share: float):
    pruned = smaller(random_student("convolutions"), share)[0].eval()
    rebuilt = StudentNetwork(StudentConfig(**STUDENT_SHAPES["convolutions"]), SPECS, STEPS, 3)
    resize_and_load(rebuilt, pruned.state_dict())
    assert torch.equal(rebuilt.eval()(*windows(4)).logits, pruned(*windows(4)).logits)


def test_magnitudes_do_not_depend_on_the_orientation():
    frames = windows(4)[0]["inertial"].flatten(0, 1).flatten(2)  # (N, P, G*F)
    turned = (frames.unflatten(2, (-1, 3)) @ rotation(torch.tensor([[0.3, -2.0, 1.1]]))[0]).flatten(2)
    torch.testing.assert_close(magnitudes(turned, INERTIAL), magnitudes(frames, INERTIAL), atol=1e-4, rtol=1e-4)


def test_maximum_over_the_patch_does_not_depend_on_where_a_movement_is():
    layers = PatchConvolutions(INERTIAL, 4, 1, 3)
    frames = torch.zeros(2, INERTIAL.patch, INERTIAL.groups * INERTIAL.features)
    frames[0, 2], frames[1, 3] = 1, 1
    one, later = layers(frames.flatten(1))
    torch.testing.assert_close(one, later)


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


def test_convolutions_take_no_principal_directions():
    with pytest.raises(ConfigError, match="--init-from-teacher with --convolutions 3"):
        DistillOptions(
            ("teacher",),
            "student",
            network=StudentConfig(convolutions=3),
            distill=DistillConfig(init_from_teacher=True),
        )


def test_an_even_kernel_is_an_error():
    with pytest.raises(ConfigError, match="--kernel 4: expected an odd number"):
        StudentConfig(kernel=4)
