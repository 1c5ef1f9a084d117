"""Outputs of one platform in every precision: logits of fixed windows, a stream, `edgehar evaluate`.

    python tools/aarch64/probe.py runs/quickstart/package inputs.npz . --sample recordings

Runs on the board's Python: 3.10 or later with numpy, onnxruntime and edgehar alone. The last line is one JSON document
with the versions.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar import cli
from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.packaging.parity import parity_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import Manifest
from edgehar.signals.windows import Windows

Arrays = dict[str, NDArray[Any]]

OUTPUTS = "answers.npz"
SEED = 0
STREAM_WINDOWS = 3
"""Length of the stream in windows."""
LONGEST_CHUNK = 9
"""Largest number of samples in one push."""


@dataclass(frozen=True)
class ProbeConfig(Options):
    """Outputs of one platform."""

    package: str = positional("folder of an edge package")
    inputs: str = positional("inputs of the stream (.npz), as tools/aarch64/compare.py writes them")
    folder: str = positional("existing folder for the outputs")
    sample: str | None = option(None, "recordings in edgehar's own format to evaluate; default: no evaluation")


PARSER = Parser(ProbeConfig, "python tools/aarch64/probe.py", __doc__ or "")


def stream_inputs(manifest: Manifest) -> Arrays:
    """A smooth random signal of every sensor, its timestamps and chunks; one set of inputs for all platforms."""
    rng = np.random.default_rng(SEED)
    arrays: Arrays = {}
    for spec in manifest.modalities:
        count = int(STREAM_WINDOWS * manifest.window.length_s * spec.rate_hz) + 1
        arrays[f"{spec.name}/samples"] = (rng.standard_normal((count, spec.channels)).cumsum(0) / 5).astype(np.float32)
        arrays[f"{spec.name}/times_s"] = np.arange(count) / spec.rate_hz
        ends = rng.integers(1, LONGEST_CHUNK + 1, count).cumsum()
        arrays[f"{spec.name}/ends"] = np.append(ends[ends < count], count)
    return arrays


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write an .npz file atomically."""
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]


def parity_windows(package: EdgePackage) -> Windows:
    """The inputs of the package's own parity arrays as prepared windows."""
    arrays, manifest = parity_arrays(package), package.manifest
    steps = manifest.window.steps
    valid = arrays["valid"]  # (N, M)
    count = max(1, len(valid) // steps)
    rows = np.arange(count * steps) % len(valid)  # repeated if there are fewer steps than a window has
    unnamed = np.full(count, "")
    return Windows(
        {spec.name: arrays[spec.name][rows].reshape(count, steps, -1) for spec in manifest.modalities},
        {spec.name: valid[rows, index].reshape(count, steps) > 0 for index, spec in enumerate(manifest.modalities)},
        np.full(count, -1, np.int64),
        unnamed,
        unnamed,
        np.zeros(count),
        np.zeros(count),
    )


def streamed(recognizer: Recognizer, inputs: Arrays) -> NDArray[np.float32]:
    """Probabilities (n, K) of every prediction of a stream that receives the chunks in order of time."""
    pushes: list[tuple[float, str, int, int]] = []
    for spec in recognizer.manifest.modalities:
        ends = inputs[f"{spec.name}/ends"].tolist()
        for first, end in zip([0, *ends], ends, strict=False):
            pushes.append((float(inputs[f"{spec.name}/times_s"][end - 1]), spec.name, first, end))
    stream = StreamRecognizer(recognizer, start_s=0.0)
    found = [
        one.probabilities
        for _, name, first, end in sorted(pushes)
        for one in stream.push(name, inputs[f"{name}/samples"][first:end], inputs[f"{name}/times_s"][first:end])
    ]
    found += [one.probabilities for one in stream.flush()]
    return np.asarray(found, np.float32)


def main(argv: list[str] | None = None) -> int:
    """Write the outputs of every precision, and print the versions."""
    config = PARSER.parse(argv)
    package = EdgePackage.open(config.package)
    with np.load(config.inputs, allow_pickle=False) as stored:
        inputs: Arrays = {name: stored[name] for name in stored.files}
    windows, outputs, folder = parity_windows(package), Arrays(), Path(config.folder)
    for precision in package.manifest.graphs:
        recognizer = Recognizer(package, precision)
        outputs[f"{precision}/logits"] = recognizer.predict_prepared(windows)  # (N, K)
        outputs[f"{precision}/stream"] = streamed(recognizer, inputs)  # (n, K)
        result = folder / f"evaluate-{precision}.json"
        words = ["--split", "all", "--precision", precision, "--json", str(result)]
        if config.sample and cli.main(["evaluate", config.package, "--data", config.sample, *words]):
            raise DataError(f"{precision}: edgehar evaluate failed with the error above; correct that first")
    write_arrays(folder / OUTPUTS, outputs)
    sys.stdout.write(json.dumps(device_facts()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
