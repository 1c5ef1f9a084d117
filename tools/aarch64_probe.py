"""What a board computes in every precision: logits of fixed windows, a stream pushed in chops, `edgehar evaluate`.

    python tools/aarch64_probe.py PACKAGE INPUTS.npz FOLDER --sample RECORDINGS

It runs where the board's Python does: Python 3.10 or later with numpy, onnxruntime and edgehar, nothing else.
The last line is one JSON document with the versions it ran on.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar import cli
from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.packaging.parity import parity_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import Manifest
from edgehar.signals.windows import Windows

Arrays = dict[str, NDArray[Any]]

ANSWERS = "answers.npz"
SEED = 0
STREAM_WINDOWS = 3
"""Length of the stream in windows."""
LONGEST_CHOP = 9
"""Most samples in one push."""


@dataclass(frozen=True)
class ProbeConfig:
    """Options of the command."""

    package: str = positional("folder of an edge package")
    inputs: str = positional("the file that `write_arrays` wrote with `stream_inputs`")
    folder: str = positional("existing folder for the answers")
    sample: str | None = option(
        None, "recordings in edgehar's own format to evaluate on; without, nothing is evaluated"
    )


def stream_inputs(manifest: Manifest) -> Arrays:
    """A smooth random signal of every sensor, its times, and how it is chopped; made once, so that all get the same."""
    rng = np.random.default_rng(SEED)
    arrays: Arrays = {}
    for spec in manifest.modalities:
        count = int(STREAM_WINDOWS * manifest.window.length_s * spec.rate_hz) + 1
        arrays[f"{spec.name}/samples"] = (rng.standard_normal((count, spec.channels)).cumsum(0) / 5).astype(np.float32)
        arrays[f"{spec.name}/times_s"] = np.arange(count) / spec.rate_hz
        ends = rng.integers(1, LONGEST_CHOP + 1, count).cumsum()
        arrays[f"{spec.name}/ends"] = np.append(ends[ends < count], count)
    return arrays


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write an .npz file whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]


def parity_windows(package: EdgePackage) -> Windows:
    """The inputs of the package's own parity arrays as prepared windows."""
    arrays, manifest = parity_arrays(package), package.manifest
    steps = manifest.window.steps
    valid = arrays["valid"]  # (N, M)
    count = max(1, len(valid) // steps)
    rows = np.arange(count * steps) % len(valid)  # fewer steps than a window has: from the start again
    nothing = np.full(count, "")
    return Windows(
        {spec.name: arrays[spec.name][rows].reshape(count, steps, -1) for spec in manifest.modalities},
        {spec.name: valid[rows, place].reshape(count, steps) > 0 for place, spec in enumerate(manifest.modalities)},
        np.full(count, -1, np.int64),
        nothing,
        nothing,
        np.zeros(count),
        np.zeros(count),
    )


def streamed(recognizer: Recognizer, inputs: Arrays) -> NDArray[np.float32]:
    """Probabilities (n, K) of every prediction of a stream that gets the chops in order of time."""
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
    """Write the answers of every precision, and print the versions."""
    config = parse(ProbeConfig, argv, "python tools/aarch64_probe.py", (__doc__ or "").partition("\n")[0])
    package = EdgePackage.open(config.package)
    with np.load(config.inputs, allow_pickle=False) as stored:
        inputs: Arrays = {name: stored[name] for name in stored.files}
    windows, answers, folder = parity_windows(package), Arrays(), Path(config.folder)
    for precision in package.manifest.graphs:
        recognizer = Recognizer(package, precision)
        answers[f"{precision}/logits"] = recognizer.predict_prepared(windows)  # (N, K)
        answers[f"{precision}/stream"] = streamed(recognizer, inputs)  # (n, K)
        result = folder / f"evaluate-{precision}.json"
        words = ["--split", "all", "--precision", precision, "--json", str(result)]
        if config.sample and cli.main(["evaluate", config.package, "--data", config.sample, *words]):
            raise DataError(f"{precision}: edgehar evaluate failed, as said above; correct that first")
    write_arrays(folder / ANSWERS, answers)
    sys.stdout.write(json.dumps(device_facts()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
