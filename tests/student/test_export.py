import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from bodies import CLASSES, INERTIAL, SKELETON, SPECS, STATISTICS, STEPS, smaller, windows

import edgehar
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.packaging.verify import main as verify
from edgehar.errors import CheckpointError
from edgehar.package.folder import EdgePackage
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows
from edgehar.student.export import write
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def trained(kind: str) -> Checkpoint:
    torch.manual_seed(0)
    student = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    for entry in student.encoder.missing.values():
        torch.nn.init.normal_(entry)
    if kind == "pruned":
        student = smaller(student, 0.4)[0]
    info = DatasetInfo("test", SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1), "cite me", "a licence")
    data = {"data": "simulated", "root": None, "split": "odd-even", "modalities": ["skeleton", "inertial"]}
    facts = {"statistics": STATISTICS, "options": {"seed": 0}}
    normalisation = Normalisation.identity(SPECS)
    network = PRESETS["tiny"]
    return Checkpoint(kind, network, info, normalisation, data, [], facts, student.state_dict())


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of checkpoint -> its package."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in ("student", "pruned"):
        write(trained(kind), folder / kind, "model", windows=4, seed=0)
    return {kind: folder / kind for kind in ("student", "pruned")}


@pytest.mark.parametrize("kind", ["student", "pruned"])
def test_onnx_says_what_torch_says(kind: str, packages: dict[str, Path]):
    checkpoint = trained(kind)
    features, valid = windows(7, seed=3)
    valid["inertial"][2] = False
    valid["skeleton"][4, 3:] = False
    with torch.no_grad():
        expected = rebuild(checkpoint)(features, valid).logits.numpy()
    rest = np.zeros(7)
    prepared = Windows(
        {name: tensor.numpy() for name, tensor in features.items()},
        {name: tensor.numpy() for name, tensor in valid.items()},
        rest.astype(np.int64), rest.astype(str), rest.astype(str), rest, rest,
    )  # fmt: skip
    found = edgehar.load(packages[kind]).predict_prepared(prepared)
    assert np.abs(found - expected).max() <= 1e-4


def test_a_package_holds_what_the_board_needs_and_nothing_that_leads_back(packages: dict[str, Path]):
    package = EdgePackage.open(packages["student"])
    manifest = package.manifest
    assert [spec.name for spec in manifest.modalities] == [SKELETON.name, INERTIAL.name]
    assert manifest.macs["window"] == STEPS * manifest.macs["step"] + manifest.macs["head"]
    for part in ("encoder", "head"):
        graph = onnx.load(package.graph(part, "fp32"))
        assert graph.opset_import[0].version == 18
        assert graph.ir_version <= 10
        assert not any(entry.external_data for entry in graph.graph.initializer)
        assert b'.py", line' not in package.read(package.graph(part, "fp32").name), "a file of the workstation is named"
    assert str(Path.home()) not in json.dumps(manifest.to_json())
    assert manifest.provenance["root"] is None


def operators_run(graph: Path, folder: Path) -> Counter[str]:
    """What is left of a graph when onnxruntime has put together what it can."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns that a graph so written is made for this machine
    options.optimized_model_filepath = str(folder / f"run-{graph.name}")
    ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("kind", ["student", "pruned"])
def test_onnxruntime_has_few_nodes_to_run(kind: str, packages: dict[str, Path], tmp_path: Path):
    package = EdgePackage.open(packages[kind])
    encoder, head = (operators_run(package.graph(part, "fp32"), tmp_path) for part in ("encoder", "head"))
    # Two sensors and one block: one node for each linear layer, and one for each GELU.
    assert (encoder["Gemm"], encoder["Gelu"], head["Gemm"], head["Gelu"]) == (6, 3, 5, 1)
    assert not {"Erf", "Div", "Transpose", "Slice", "Squeeze"} & {*encoder, *head}
    assert encoder.total() <= 16
    assert head.total() <= 23


def test_a_checkpoint_survives_the_disk(tmp_path: Path):
    checkpoint = trained("pruned")
    save_checkpoint(tmp_path / "pruned", checkpoint)
    again = load_checkpoint(tmp_path / "pruned", ("student", "pruned"))
    assert (again.info, again.network, again.facts) == (checkpoint.info, checkpoint.network, checkpoint.facts)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in checkpoint.weights.items())


@pytest.mark.parametrize("harm", ["missing", "truncated", "kind", "version", "json"])
def test_a_damaged_checkpoint_is_a_clear_error(harm: str, tmp_path: Path):
    folder = tmp_path / "student"
    save_checkpoint(folder, trained("student"))
    described = folder / "checkpoint.json"
    match harm:
        case "missing":
            described.unlink()
        case "truncated":
            weights = folder / "weights.safetensors"
            weights.write_bytes(weights.read_bytes()[:1000])
        case "kind":
            described.write_text(described.read_text().replace('"kind": "student"', '"kind": "teacher"'))
        case "version":
            described.write_text(described.read_text().replace('"format_version": 2', '"format_version": 99'))
        case _:
            described.write_text("{")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, ("student",))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_stored_statistics_its_windows_are_of_simulated_people(tmp_path: Path):
    bare = trained("student")
    write(replace(bare, facts={"options": {"seed": 0}}), tmp_path / "package", "model", windows=4, seed=0)
    quantize(tmp_path / "package", ("int8",))
    assert verify([str(tmp_path / "package")]) == 0
