"""Hostile packages: each is a valid one with one change, mostly with corrected checksums."""

import io
import json
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.errors import PackageError
from tests.deploy.tiny_package import as_npz
from tools.stress.damage import reseal

ENCODER, HEAD = "encoder.fp32.onnx", "head.fp32.onnx"
MAX_LOAD_S = 2.0
Change = Callable[[Path], object]


def rejection(package: Path, **options: Any) -> str:
    """The message with which loading rejects a package, in time and in one line."""
    start_s = time.process_time()
    with pytest.raises(PackageError) as problem:
        edgehar.load(package, **options)
    assert time.process_time() - start_s < MAX_LOAD_S
    message = str(problem.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    assert message.isprintable()
    return message


def put(package: Path, name: str, data: bytes) -> None:
    (package / name).write_bytes(data)
    reseal(package)


def edit(package: Path, change: Callable[[dict[str, Any]], object]) -> None:
    entry = json.loads((package / "manifest.json").read_text())
    change(entry)
    put(package, "manifest.json", json.dumps(entry).encode())


def replace_text(package: Path, old: str, new: str) -> None:
    text = (package / "manifest.json").read_text()
    assert old in text
    (package / "manifest.sha256").unlink()
    (package / "manifest.json").write_text(text.replace(old, new, 1))


def replace_file(package: Path, name: str, create: Callable[[Path], object]) -> None:
    (package / name).unlink(missing_ok=True)
    create(package / name)


def link_to(target: str) -> Change:
    return lambda path: path.symlink_to(target)


def lists(name: str) -> Change:
    """List a file of this name in the manifest."""
    return lambda path: edit(path, lambda entry: entry["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))


def sparse(package: Path) -> None:
    """Make a file a sparse terabyte, and list it with this size."""
    with (package / "parity.npz").open("ab") as file:
        file.truncate(1 << 40)
    text = (package / "manifest.json").read_text()
    entry = json.loads(text)
    entry["files"]["parity.npz"]["bytes"] = 1 << 40
    (package / "manifest.json").write_text(json.dumps(entry))
    (package / "manifest.sha256").unlink()


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"in": value}
    return value


MODALITY = "modalities"
FILES: dict[str, tuple[Change, str]] = {
    "pipe as manifest": (lambda path: replace_file(path, "manifest.json", os.mkfifo), "a pipe"),
    "pipe as graph": (lambda path: replace_file(path, HEAD, os.mkfifo), "a pipe"),
    "pipe as checksum": (lambda path: replace_file(path, "manifest.sha256", os.mkfifo), "a pipe"),
    "folder as manifest": (lambda path: replace_file(path, "manifest.json", Path.mkdir), "a pipe, a folder"),
    "folder as graph": (lambda path: replace_file(path, HEAD, Path.mkdir), "a pipe, a folder"),
    "link as manifest": (
        lambda path: replace_file(path, "manifest.json", link_to("/dev/zero")),
        "a link",
    ),
    "link as arrays": (lambda path: replace_file(path, "parity.npz", link_to("/dev/zero")), "a link"),
    "link to a file beside it": (lambda path: replace_file(path, HEAD, link_to(ENCODER)), "a link"),
    "a terabyte": (sparse, "1099511627776 bytes"),
    "name above the folder": (lists("../elsewhere.npz"), "leads outside"),
    "absolute name": (lists("/etc/passwd"), "leads outside"),
    "name with a zero byte": (lists("a\0b"), "leads outside"),
    "name that steers a terminal": (lists("\x1b[2Jgone.npz"), "leads outside"),
    "empty name": (lists(""), "leads outside"),
    "lists its own manifest": (lists("manifest.json"), "lists"),
    "lists its own signature": (lists("manifest.sig"), "lists"),
    "thousand files": (
        lambda path: edit(
            path, lambda e: e["files"].update({f"f{n}": {"sha256": "0" * 64, "bytes": 1} for n in range(1000)})
        ),
        "at most 64",
    ),
    "negative size": (
        lambda path: (edit(path, lambda e: e.update(name="x")), replace_text(path, '"bytes": ', '"bytes": -')),
        "bytes",
    ),
}
MANIFESTS: dict[str, tuple[Change, str]] = {
    "two megabytes": (lambda path: put(path, "manifest.json", b" " * (2 << 20)), "1048576 at most"),
    "a megabyte of brackets": (lambda path: put(path, "manifest.json", b"[" * (1 << 20)), "deep"),
    "nested 40 deep": (lambda path: edit(path, lambda entry: entry.update(metrics=nested(40))), "deep"),
    "nested 900 deep": (lambda path: edit(path, lambda entry: entry.update(metrics=nested(900))), "deep"),
    "number of a million digits": (
        lambda path: replace_text(path, '"token_dim": 16', f'"token_dim": 1{"0" * 900_000}'),
        "bits",
    ),
    "number of 65 bits": (
        lambda path: replace_text(path, '"parameters": ', '"parameters": 36893488147419103232'),
        "bits",
    ),
    "fraction that is infinite": (lambda path: replace_text(path, '"step_s": 0.08', '"step_s": 1e999'), "too large"),
    "NaN": (lambda path: replace_text(path, '"step_s": 0.08', '"step_s": NaN'), "NaN"),
    "infinity": (lambda path: replace_text(path, '"step_s": 0.08', '"step_s": -Infinity'), "Infinity"),
    "key given twice": (lambda path: replace_text(path, '"name": "tiny"', '"name": "tiny", "name": "other"'), "twice"),
    "half a character": (lambda path: replace_text(path, '"wave"', '"\\ud800"'), "surrogates"),
    "label that steers a terminal": (lambda path: replace_text(path, '"wave"', '"\\u001b[2J"'), "control characters"),
    "label that is blank": (lambda path: replace_text(path, '"wave"', '" "'), "not blank"),
    "empty label": (lambda path: replace_text(path, '"wave"', '""'), "not blank"),
    "label that turns the direction": (lambda path: replace_text(path, '"wave"', '"\\u202Eevaw"'), "format characters"),
    "label with an unseen character": (lambda path: replace_text(path, '"wave"', '"wa\\u200bve"'), "format characters"),
    "label of two lines": (lambda path: replace_text(path, '"wave"', '"wa\\u2028ve"'), "format characters"),
    "label without end": (lambda path: edit(path, lambda entry: entry["labels"].append("x" * 100_000)), "up to 200"),
    "5,000 labels": (
        lambda path: edit(path, lambda entry: entry.update(labels=[str(number) for number in range(5000)])),
        "5000 labels",
    ),
    "10^9 steps": (lambda path: edit(path, lambda entry: entry["window"].update(steps=10**9)), "1000000000 steps"),
    "hop of 10^15": (lambda path: edit(path, lambda entry: entry["window"].update(hop=10**15)), "hop 10+"),
    "patch of 10^9": (lambda path: edit(path, lambda entry: entry[MODALITY][0].update(patch=10**9)), "values"),
    "token of 10^12": (lambda path: edit(path, lambda entry: entry.update(token_dim=10**12)), "values"),
    "10^18 channels": (
        lambda path: edit(path, lambda entry: entry[MODALITY][1].update(channels=3 * 10**17, joints=[], parents=[])),
        "values",
    ),
    "10^30 Hz": (lambda path: edit(path, lambda entry: entry[MODALITY][0].update(rate_hz=1e30)), "Hz"),
    "step of a nanosecond": (lambda path: edit(path, lambda entry: entry["window"].update(step_s=1e-9)), "step of"),
    "scale beyond float32": (
        lambda path: edit(path, lambda e: e["normalisation"].update(inertial=[[1e300, 1]] * 2)),
        "scale",
    ),
    "negative work": (lambda path: edit(path, lambda entry: entry["macs"].update(step=-1)), "0 or more"),
}


def packed(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(shape: str, data: bytes = b"", kind: str = "<f4") -> bytes:
    """A .npy file with any shape in its header."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def bomb(name: str = "tokens.npy", size: int = 300 << 20) -> bytes:
    """A zip file that unpacks to `size` bytes, more than 200 times its own."""
    buffer = io.BytesIO()
    archive = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open(name, "w") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def lying(size: int) -> bytes:
    """A zip file that states this size for an entry of 8 MiB."""
    data = bytearray(bomb(size=8 << 20))
    offset = data.rindex(b"PK\x01\x02")
    data[offset + 24 : offset + 28] = struct.pack("<I", size)
    return bytes(data)


def flagged(data: bytes, flags: int = 0, method: int | None = None) -> bytes:
    """A zip file with changed flags and compression method."""
    changed = bytearray(data)
    for signature, position in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        offset = changed.index(signature) + position
        changed[offset : offset + 2] = struct.pack("<H", flags)
        if method is not None:
            changed[offset + 2 : offset + 4] = struct.pack("<H", method)
    return bytes(changed)


OBJECTS = io.BytesIO()
np.savez(OBJECTS, tokens=np.asarray([{"a": 1}], object))
PLAIN = npy("(2,)", bytes(8))
ARRAYS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "zip"),
    "no zip": (PLAIN, "zip"),
    "unpacks to 300 MiB": (bomb(), "unpacks to more"),
    "states less than it unpacks to": (lying(100), ""),
    "states more than it unpacks to": (lying(200 << 20), ""),
    "10^12 numbers": (packed({"tokens.npy": npy("(1000000, 1000000)")}), "states 4000000000000 bytes"),
    "negative size": (packed({"tokens.npy": npy("(-1,)")}), "plain numbers"),
    "shape of code": (packed({"tokens.npy": npy("(__import__('os').getpid(),)")}), "plain numbers"),
    "nine dimensions": (packed({"tokens.npy": npy("(1, 1, 1, 1, 1, 1, 1, 1, 1)", bytes(4))}), "plain numbers"),
    "objects": (OBJECTS.getvalue(), "plain numbers"),
    "unknown type": (packed({"tokens.npy": npy("(2,)", bytes(6), "<f3")}), "f3"),
    "no header": (packed({"tokens.npy": b"\x93NUMPY\x01\x00\xff\xff"}), "plain numbers"),
    "name above the folder": (packed({"../../tokens.npy": PLAIN}), "not a plain name"),
    "absolute name": (packed({"/etc/tokens.npy": PLAIN}), "not a plain name"),
    "name of another system": (packed({"C:\\tokens.npy": PLAIN}), "not a plain name"),
    "another kind of file": (packed({"run.py": b"print(1)"}), "not a plain name"),
    "thousand arrays": (packed({f"a{number}.npy": PLAIN for number in range(1000)}), "more than 64"),
    "encrypted": (flagged(packed({"tokens.npy": PLAIN}), flags=1), "unsupported"),
    "unknown packing": (flagged(packed({"tokens.npy": PLAIN}), method=97), "unsupported"),
    "cut off": (as_npz({"tokens": np.zeros(100, np.float32)})[:-30], "zip"),
}
