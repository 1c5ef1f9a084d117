"""A small untrained package, written with onnx alone, for tests of the board side."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgehar
from edgehar.metrics.calibration import TemperatureScaling
from edgehar.package.folder import PARITY, QUANTISATION_ARRAYS, Manifest, amend_package, write_package
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation

Array = NDArray[np.float32]

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 2, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
INERTIAL = ModalitySpec("inertial", 6, "g and deg/s", 50.0, 4)
LABELS = ("wave", "clap", "throw", "walk", "sit")
PROVENANCE = {
    "data": "random numbers",
    "split": "odd-even",
    "train_subjects": ["s1", "s3"],
    "test_subjects": ["s2", "s4"],
}


@dataclass(frozen=True)
class Weights:
    """Random weights of the tiny network, and its forward pass in numpy."""

    project: dict[str, Array]  # modality -> (P * G * F, D)
    missing: Array  # (M, D)
    mix: Array  # (D, D)
    query: Array  # (D, D)
    key: Array  # (D, D)
    classifier: Array  # (D, K)
    bias: Array  # (K,)

    def encoder(self, features: dict[str, Array], valid: Array) -> Array:
        """Tokens (N, D) of steps."""
        total = (1 - valid) @ self.missing
        for column, name in enumerate(self.project):
            total = total + (features[name] @ self.project[name]) * valid[:, column : column + 1]
        return np.tanh(total @ self.mix).astype(np.float32)

    def head(self, tokens: Array) -> Array:
        """Logits (B, K) of windows (B, S, D)."""
        scores = (tokens @ self.query) @ np.swapaxes(tokens @ self.key, 1, 2)  # (B, S, S)
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention = attention / attention.sum(-1, keepdims=True)
        return ((attention @ tokens).mean(1) @ self.classifier + self.bias).astype(np.float32)


def random_weights(specs: tuple[ModalitySpec, ...], width: int, classes: int, seed: int) -> Weights:
    """Weights with which logits differ clearly between windows."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (scale * generator.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    project = {spec.name: normal(spec.patch * spec.groups * spec.features, width) for spec in specs}
    return Weights(
        project,
        normal(len(specs), width),
        normal(width, width),
        normal(width, width, scale=1 / 8),  # soft attention: with a hard one INT8 would differ
        normal(width, width),
        normal(width, classes, scale=8),
        normal(classes),
    )


def _model(nodes: list[Any], inputs: dict[str, list[Any]], output: tuple[str, list[Any]], constants: Any) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def encoder_graph(weights: Weights) -> bytes:
    """The encoder as ONNX."""
    modalities, width = weights.missing.shape
    constants: dict[str, Any] = {"one": np.float32(1), "missing": weights.missing, "mix": weights.mix}
    nodes = [helper.make_node("Sub", ["one", "valid"], ["lost"])]
    nodes += [helper.make_node("MatMul", ["lost", "missing"], ["total_0"], name="missing_tokens")]
    for column, (name, matrix) in enumerate(weights.project.items()):
        constants |= {f"w_{name}": matrix, f"column_{column}": np.asarray([column], np.int64)}
        nodes += [
            helper.make_node("MatMul", [name, f"w_{name}"], [f"p_{name}"], name=f"project_{name}"),
            helper.make_node("Gather", ["valid", f"column_{column}"], [f"v_{name}"], axis=1),
            helper.make_node("Mul", [f"p_{name}", f"v_{name}"], [f"m_{name}"]),
            helper.make_node("Add", [f"total_{column}", f"m_{name}"], [f"total_{column + 1}"]),
        ]
    nodes += [helper.make_node("MatMul", [f"total_{modalities}", "mix"], ["mixed"], name="mix_tokens")]
    nodes += [helper.make_node("Tanh", ["mixed"], ["token"])]
    inputs: dict[str, list[Any]] = {name: ["N", len(matrix)] for name, matrix in weights.project.items()}
    return _model(nodes, inputs | {"valid": ["N", modalities]}, ("token", ["N", width]), constants)


def head_graph(weights: Weights, steps: int) -> bytes:
    """The head as ONNX, with products of two activations as in attention."""
    width, classes = weights.classifier.shape
    constants = {
        "query": weights.query,
        "key": weights.key,
        "classifier": weights.classifier,
        "bias": weights.bias,
        "axis": np.asarray([1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["tokens", "query"], ["q"], name="to_query"),
        helper.make_node("MatMul", ["tokens", "key"], ["k"], name="to_key"),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"], name="scores"),
        helper.make_node("Softmax", ["scores"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "tokens"], ["context"], name="context"),
        helper.make_node("ReduceMean", ["context", "axis"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "classifier", "bias"], ["logits"], name="classify"),
    ]
    return _model(nodes, {"tokens": ["B", steps, width]}, ("logits", ["B", classes]), constants)


def as_npz(arrays: dict[str, Any]) -> bytes:
    """Arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def example_steps(
    specs: tuple[ModalitySpec, ...], weights: Weights, windows: int, steps: int, seed: int
) -> dict[str, Array]:
    """Random encoder inputs of whole windows with the expected outputs: token, tokens, logits."""
    generator = np.random.default_rng(seed)
    count = windows * steps
    valid = (generator.random((count, len(specs))) < 0.9).astype(np.float32)
    arrays: dict[str, Array] = {}
    for column, spec in enumerate(specs):
        window = np.repeat(generator.standard_normal((windows, spec.patch * spec.groups * spec.features)), steps, 0)
        noise = generator.standard_normal((count, spec.patch * spec.groups * spec.features))
        arrays[spec.name] = ((window + noise / 2) * valid[:, column : column + 1]).astype(np.float32)
    token = weights.encoder(arrays, valid)
    tokens = token.reshape(windows, steps, -1)
    return arrays | {"valid": valid, "token": token, "tokens": tokens, "logits": weights.head(tokens)}


def write_tiny_package(
    path: Path,
    kind: str = "clip",
    specs: tuple[ModalitySpec, ...] = (SKELETON, INERTIAL),
    labels: tuple[str, ...] = LABELS,
    steps: int = 6,
    step_s: float = 0.08,
    hop: int = 1,
    width: int = 16,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
) -> tuple[Manifest, Weights]:
    """Write an untrained fp32 package; returns its manifest and its weights."""
    weights = random_weights(specs, width, len(labels), seed)
    step_macs = sum(matrix.size for matrix in weights.project.values()) + weights.missing.size + weights.mix.size
    head_macs = 2 * steps * width * width + 2 * steps * steps * width + weights.classifier.size
    generator = np.random.default_rng(seed)
    manifest = Manifest(
        name="tiny",
        modalities=specs,
        labels=labels,
        window=WindowSpec(kind, steps, step_s, hop),
        normalisation=Normalisation(
            {spec.name: (0.5 + generator.random((spec.groups, 2))).astype(np.float32) for spec in specs},
            {spec.name: np.full(spec.groups, 1 / spec.groups, np.float32) for spec in specs if spec.is_picture},
        ),
        token_dim=width,
        graphs={"fp32": {"encoder": "encoder.fp32.onnx", "head": "head.fp32.onnx"}},
        default_precision="fp32",
        parameters=step_macs + 2 * width * width + weights.classifier.size + weights.bias.size,
        macs={"step": step_macs, "head": head_macs, "window": steps * step_macs + head_macs},
        provenance=provenance
        or {"data": "random numbers", "split": "odd-even", "versions": {"edgehar": edgehar.__version__}},
        licence="CC0-1.0",
    )
    calibration = example_steps(specs, weights, 16, steps, seed + 1)
    files: dict[str, bytes | Path] = {
        "encoder.fp32.onnx": encoder_graph(weights),
        "head.fp32.onnx": head_graph(weights, steps),
        QUANTISATION_ARRAYS: as_npz(
            {name: array for name, array in calibration.items() if name not in ("token", "logits")}
        ),
        PARITY: as_npz(example_steps(specs, weights, 40, steps, seed + 2)),
    }
    write_package(path, manifest, files)
    return manifest, weights


def calibrated(source: Path, target: Path, threshold: float | None, temperature: float = 2.5) -> "edgehar.Recognizer":
    """Open a copy of a package with this temperature and threshold."""
    shutil.copytree(source, target)
    coverage = None if threshold is None else 0.5
    scaling = TemperatureScaling(temperature, threshold, coverage, 9, ("s1",), 0.2, 0.1, 2, 1)
    amend_package(target, {}, calibration=scaling)
    return edgehar.load(target)
