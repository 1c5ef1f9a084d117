"""Compares two run folders of `edgehar pipeline` bit for bit: tensors, arrays, outputs of graphs, scores.

    python tools/compare_runs.py runs/quickstart runs/quickstart

Compared are the tensors of every checkpoint, the arrays of every .npz file,
the outputs of every ONNX graph on its package's parity inputs, and the scores in results.json. Prints a line for each
file; the exit code is 1 if anything differs or is missing.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from safetensors.torch import load_file

from edgehar.command_line import Parser
from edgehar.config import Options, positional
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.files.atomic import read_json
from edgehar.package.folder import PARITY

Values = dict[str, Any]
"""Name -> array, or number."""


@dataclass(frozen=True)
class CompareOptions(Options):
    """Comparison of runs."""

    before: str = positional("run folder")
    after: str = positional("run folder to compare with it")


PARSER = Parser(CompareOptions, "python tools/compare_runs.py", __doc__ or "")


def tensors(path: Path) -> Values:
    """The tensors of a .safetensors file."""
    return {name: tensor.numpy() for name, tensor in load_file(path).items()}


def arrays(path: Path) -> Values:
    """The arrays of an .npz file."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def outputs(path: Path) -> Values:
    """The outputs of an ONNX graph on the parity inputs of its package, computed in one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = arrays(path.parent / PARITY)
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {one.name: inputs[one.name] for one in session.get_inputs()})
    return dict(zip(names, found, strict=True))


def scores(path: Path) -> Values:
    """Every number in the evaluation of a results.json, by its path."""
    return dict(_leaves(read_json(path).get("evaluation", {}), ""))


def _leaves(value: Any, prefix: str) -> list[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(prefix, value)]
    return [leaf for name, part in items for leaf in _leaves(part, f"{prefix}.{name}" if prefix else str(name))]


READERS: dict[str, tuple[str, Callable[[Path], Values]]] = {
    "*.safetensors": ("tensors", tensors),
    "*.npz": ("arrays", arrays),
    "*.onnx": ("outputs", outputs),
    "results.json": ("scores", scores),
}
"""Pattern of file names -> what is compared, and its reader."""


def same_bits(one: Any, other: Any) -> bool:
    """Whether two values have the same type, shape and bits."""
    first, second = np.asarray(one), np.asarray(other)
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def differences(before: Values, after: Values) -> list[str]:
    """Names of the values that differ, or that one side lacks."""
    missing = [f"{name} (only in one)" for name in before.keys() ^ after.keys()]
    wrong = [name for name in before.keys() & after.keys() if not same_bits(before[name], after[name])]
    return sorted([*missing, *wrong])


def compare(before: Path, after: Path) -> tuple[list[str], bool]:
    """A line per file of either folder, and whether all are equal; raises DataError if there is nothing to compare."""
    lines: list[str] = []
    equal = True
    for pattern, (kind, read) in READERS.items():
        names = {path.relative_to(root) for root in (before, after) for path in root.rglob(pattern)}
        for name in sorted(names):
            lacking = next((root for root in (before, after) if not (root / name).is_file()), None)
            values = read(before / name) if lacking is None else {}
            wrong = differences(values, read(after / name)) if lacking is None else []
            if lacking is not None:
                text = f"DIFF  {name}: missing in {lacking}"
            elif wrong:
                text = f"DIFF  {name}: {len(wrong)} of {len(values)} {kind} differ: {', '.join(wrong[:5])}"
            else:
                text = f"ok    {name}: {len(values)} {kind} equal"
            equal = equal and lacking is None and not wrong
            lines.append(text)
    if not lines:
        raise DataError(f"{before}, {after}: no checkpoints, packages or results.json; expected two run folders")
    return lines, equal


def main(argv: list[str] | None = None) -> int:
    """Print the comparison; exit code 1 if the runs differ."""
    options = PARSER.parse(argv)
    lines, equal = compare(Path(options.before), Path(options.after))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
