"""Exported graphs agree with torch; packages are complete."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from bodies import INERTIAL, SKELETON, STEPS, exportable_checkpoint, windows

import edgehar
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.packaging.verify import main as verify
from edgehar.entry import guarded
from edgehar.errors import CheckpointError
from edgehar.package.folder import EdgePackage
from edgehar.signals.windows import Windows
from edgehar.student.export import export_package
from edgehar.student.export import main as export
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of checkpoint -> its package."""
    folder = tmp_path_factory.mktemp("packages")
    kinds = ("student", "pruned")
    for kind in kinds:
        export_package(exportable_checkpoint(kind), folder / kind, "model", windows=4, seed=0)
    return {kind: folder / kind for kind in kinds}


@pytest.mark.parametrize("kind", ["student", "pruned"])
def test_exported_graphs_agree_with_torch(kind: str, packages: dict[str, Path]):
    checkpoint = exportable_checkpoint(kind)
    features, valid = windows(7, seed=3)
    valid["inertial"][2] = False
    valid["skeleton"][4, 3:] = False
    with torch.no_grad():
        expected = rebuild(checkpoint)(features, valid).logits.numpy()
    zeros = np.zeros(7)
    prepared = Windows(
        {name: tensor.numpy() for name, tensor in features.items()},
        {name: tensor.numpy() for name, tensor in valid.items()},
        zeros.astype(np.int64), zeros.astype(str), zeros.astype(str), zeros, zeros,
    )  # fmt: skip
    found = edgehar.load(packages[kind]).predict_prepared(prepared)
    assert np.abs(found - expected).max() <= 1e-4


def test_package_is_complete_and_names_no_path_of_the_workstation(packages: dict[str, Path]):
    package = EdgePackage.open(packages["student"])
    manifest = package.manifest
    assert [spec.name for spec in manifest.modalities] == [SKELETON.name, INERTIAL.name]
    assert manifest.macs["window"] == STEPS * manifest.macs["step"] + manifest.macs["head"]
    for part in ("encoder", "head"):
        graph = onnx.load(package.graph(part, "fp32"))
        assert graph.opset_import[0].version == 18
        assert graph.ir_version <= 10
        assert not any(entry.external_data for entry in graph.graph.initializer)
        assert b'.py", line' not in package.read(package.graph(part, "fp32").name), "a source file"
    assert str(Path.home()) not in json.dumps(manifest.to_json())
    assert manifest.provenance["root"] is None


def optimised_operators(graph: Path, folder: Path) -> Counter[str]:
    """Operators of a graph after onnxruntime's optimisation."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns that the optimised graph is specific to this machine
    options.optimized_model_filepath = str(folder / f"run-{graph.name}")
    ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("kind", ["student", "pruned"])
def test_onnxruntime_runs_few_nodes(kind: str, packages: dict[str, Path], tmp_path: Path):
    package = EdgePackage.open(packages[kind])
    encoder, head = (optimised_operators(package.graph(part, "fp32"), tmp_path) for part in ("encoder", "head"))
    # Two sensors and one block: one node per linear layer, convolution and GELU.
    assert not {"Erf", "Div", "Slice", "Squeeze"} & {*encoder, *head}
    assert (encoder["Gemm"], encoder["Conv"], encoder["Gelu"]) == (6, 2, 5)  # four frames of the skeleton: dense
    assert (head["Gemm"], head["Conv"], head["Gelu"]) == (5, 1, 2)
    assert encoder["Transpose"] == 1  # frames of the other sensor
    assert head["Transpose"] == 2  # tokens, there and back
    assert encoder.total() <= 36
    assert head.total() <= 33


def test_window_alone_has_the_bits_of_one_among_others(packages: dict[str, Path]):
    recognizer = edgehar.load(packages["student"], providers=["CPUExecutionProvider"])
    shape = 9, STEPS, recognizer.manifest.token_dim
    tokens = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    alone = np.concatenate([recognizer.classify(tokens[row : row + 1]) for row in range(9)])
    np.testing.assert_array_equal(alone, recognizer.classify(tokens))


def test_saved_checkpoint_loads_unchanged(tmp_path: Path):
    checkpoint = exportable_checkpoint("pruned")
    save_checkpoint(tmp_path / "pruned", checkpoint)
    again = load_checkpoint(tmp_path / "pruned", ("student", "pruned"))
    assert (again.info, again.network, again.facts) == (checkpoint.info, checkpoint.network, checkpoint.facts)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in checkpoint.weights.items())


@pytest.mark.parametrize("damage", ["missing", "truncated", "kind", "version", "linear", "json"])
def test_damaged_checkpoint_is_refused_in_one_line(damage: str, tmp_path: Path):
    folder = tmp_path / "student"
    save_checkpoint(folder, exportable_checkpoint("student"))
    described = folder / "checkpoint.json"
    match damage:
        case "missing":
            described.unlink()
        case "truncated":
            weights = folder / "weights.safetensors"
            weights.write_bytes(weights.read_bytes()[:1000])
        case "kind":
            described.write_text(described.read_text().replace('"kind": "student"', '"kind": "teacher"'))
        case "version":
            described.write_text(described.read_text().replace('"format_version": 2', '"format_version": 99'))
        case "linear":
            described.write_text(described.read_text().replace('"convolutions": 2', '"convolutions": 0'))
        case _:
            described.write_text("{")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, ("student",))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"facts": {}}, r"facts\.options\.seed"),
        ({"facts": {"options": {}}}, r"facts\.options\.seed"),
        ({"data": {}}, r"data\.data"),
    ],
)
def test_checkpoint_without_a_fact_of_its_training_is_refused(
    changes: dict[str, object], missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_checkpoint(tmp_path / "student", replace(exportable_checkpoint("student"), **changes))
    assert guarded(export, [str(tmp_path / "student"), "--out", str(tmp_path / "package")]) == 2
    assert re.search(f"student: checkpoint.json has no {missing}; expected .*; train again$", capsys.readouterr().err)
    assert not (tmp_path / "package").exists()


def test_package_without_stored_statistics_uses_simulated_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgehar.student.synthesis.simulated.TRIALS", 1)
    bare = exportable_checkpoint("student")
    export_package(replace(bare, facts={"options": {"seed": 0}}), tmp_path / "package", "model", windows=4, seed=0)
    quantize(tmp_path / "package", ("int8",))
    assert verify([str(tmp_path / "package")]) == 0
