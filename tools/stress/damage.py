"""Random damage to the files of a package, and their checksums."""

import hashlib
import json
from pathlib import Path

import numpy as np

from edgehar.deploy.runtime.onnx_format.protobuf import decode_fields
from edgehar.package.folder import CHECKSUM, MANIFEST

LONG_BYTES = 64
"""Size from which a constant of a graph counts as data; the bytes between such constants are its structure."""


def structure_spans(data: bytes) -> list[tuple[int, int]]:
    """Spans of an ONNX file between its long constants: names, operators, shapes."""
    long = [
        content
        for number, graph in decode_fields(data) if number == 7 and isinstance(graph, bytes)
        for part, tensor in decode_fields(graph) if part == 5 and isinstance(tensor, bytes)
        for entry, content in decode_fields(tensor) if entry == 9 and isinstance(content, bytes)
        and len(content) >= LONG_BYTES
    ]  # fmt: skip
    spans: list[tuple[int, int]] = []
    start = 0
    for content in long:
        position = data.find(content, start)
        if position > start:
            spans.append((start, position))
            start = position + len(content)
    return [*spans, (start, len(data))]


def damaged(data: bytes, generator: np.random.Generator, spans: list[tuple[int, int]]) -> tuple[bytes, str]:
    """A copy with one kind of damage at a random position in the spans, and the name of the damage."""
    weights = np.asarray([end - start for start, end in spans], float)

    def position() -> int:
        start, end = spans[int(generator.choice(len(spans), p=weights / weights.sum()))]
        return int(generator.integers(start, end))

    changed = bytearray(data)
    kind = str(generator.choice(["flips", "bytes", "cut", "gap", "repeat", "insert", "zeros"]))
    first, length = position(), int(generator.integers(1, 64))
    match kind:
        case "flips":
            for _ in range(int(generator.integers(1, 9))):
                changed[position()] ^= 1 << int(generator.integers(8))
        case "bytes":
            for _ in range(int(generator.integers(1, 9))):
                changed[position()] = int(generator.integers(256))
        case "cut":
            del changed[first:]
        case "gap":
            del changed[first : first + length]
        case "repeat":
            changed[first:first] = changed[first : first + length]
        case "insert":
            changed[first:first] = generator.bytes(length)
        case _:
            changed[first : first + length] = bytes(min(length, len(changed) - first))
    return bytes(changed), kind


def reseal(folder: Path) -> None:
    """Recompute the checksums of a package, as an attacker would."""
    path = folder / MANIFEST
    try:
        entry = json.loads(path.read_bytes())
        for name, facts in entry["files"].items():
            data = (folder / name).read_bytes()
            facts.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        path.write_text(json.dumps(entry))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        pass  # the manifest itself is damaged
    (folder / CHECKSUM).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {MANIFEST}\n")
