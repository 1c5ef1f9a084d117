"""A head is split into a graph of features and a linear classifier without adding anything to it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from edgehar.deploy.personal.features import split_head
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.errors import PackageError
from tests.deploy.tiny_package import LABELS

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "package_v1" / "head.fp32.onnx"


@pytest.mark.parametrize("source", ["tiny", "golden"])
def test_classifier_on_the_features_gives_the_logits(source: str, clip_package: Path) -> None:
    path = GOLDEN if source == "golden" else clip_package / "head.fp32.onnx"
    data = path.read_bytes()
    split = split_head(data, str(path))
    whole, features = ort.InferenceSession(data), ort.InferenceSession(split.graph)
    shape = [5, *whole.get_inputs()[0].shape[1:]]
    tokens = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    computed, expected = (np.asarray(session.run(None, {"tokens": tokens})[0]) for session in (features, whole))
    np.testing.assert_allclose(computed @ split.weight.T + split.bias, expected, atol=1e-5)


def test_split_graph_passes_the_checker_without_the_classifier(clip_package: Path) -> None:
    split = split_head((clip_package / "head.fp32.onnx").read_bytes(), "head")
    view = read_graph(split.graph, "features")
    assert view.outputs == ("pooled",)
    assert view.output_shape == (None, split.weight.shape[1])
    assert "classifier" not in view.constants
    assert split.weight.shape[0] == len(split.bias) == len(LABELS)
    onnx.checker.check_model(onnx.load_model_from_string(split.graph))


def test_head_that_does_not_end_with_a_linear_layer_is_named(clip_package: Path) -> None:
    model = onnx.load(clip_package / "head.fp32.onnx")
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("Tanh", ["raw"], ["logits"]))
    with pytest.raises(PackageError, match="ends with Tanh; expected a linear layer"):
        split_head(model.SerializeToString(), "head")
