"""A personal file: what a person's recordings added to a package, as JSON beside it; the package is never changed.

The file holds features of the package's network, no sample of a recording: one vector for each recording that was
enrolled or corrected, and the affine map of an adaptation. The weights of the classifier are computed from them when
the package is opened (`edgehar.deploy.personal.classifier`), so that deleting an example, or the file, undoes it.
"""

import base64
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgehar.errors import PackageError
from edgehar.files.atomic import atomic_file, digest_of
from edgehar.files.strict_json import strict_json
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import UNKNOWN, Floats
from edgehar.signals.limits import name_problem

FORMAT, FORMAT_VERSION = "edgehar-personal", 1
MAX_FILE_BYTES = 8 << 20
MAX_EXAMPLES = 512
"""Most recordings of one personal file; a vector of 300 features takes 1.6 kB as text."""
MAX_NEW_LABELS = 64
_HEX_DIGITS = set("0123456789abcdef")


@dataclass(frozen=True)
class Example:
    """One recording of an activity.

    Attributes:
        label: of the activity.
        windows: number of windows that `features` is the mean of.
        recording: sha256 of the recording's prepared windows, to recognise it when it comes again.
        features: (F,) mean input of the classifier.
    """

    label: str
    windows: int
    recording: str
    features: Floats


@dataclass(frozen=True)
class Adaptation:
    """An affine map of the features, learnt from recordings without labels.

    Attributes:
        recordings: number of recordings it was learnt from.
        scale: (F,) factors.
        shift: (F,) added after the scaling.
    """

    recordings: int
    scale: Floats
    shift: Floats


@dataclass(frozen=True)
class Personal:
    """What a personal file holds.

    Attributes:
        package: digest of the package it belongs to, see `identity_of`.
        width: F, the number of features.
        examples: recordings with labels, in the order in which they were added.
        adaptation: None without one.
    """

    package: str
    width: int
    examples: tuple[Example, ...] = ()
    adaptation: Adaptation | None = None

    def new_labels(self, manifest: Manifest) -> tuple[str, ...]:
        """Activities that the package lacks, in the order in which they were enrolled."""
        return tuple(dict.fromkeys(one.label for one in self.examples if one.label not in manifest.labels))

    def without(self, label: str) -> "Personal":
        """The same without the examples of an activity."""
        return replace(self, examples=tuple(one for one in self.examples if one.label != label))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was learnt."""
        return not self.examples and self.adaptation is None


def identity_of(manifest: Manifest) -> str:
    """Digest of what features and labels depend on: fp32 graphs, sensors, windows, scales, labels.

    A package that was quantised, calibrated or signed since is the same one.

    Raises PackageError for a package without fp32 graphs.
    """
    if "fp32" not in manifest.graphs:
        raise PackageError(
            f"{manifest.name}: a package without fp32 graphs; expected them, as features are computed in fp32; export "
            "the model again"
        )
    entry = manifest.to_json()
    graphs = {part: manifest.files[name]["sha256"] for part, name in manifest.graphs["fp32"].items()}
    described = {name: entry[name] for name in ("modalities", "window", "normalisation", "labels")}
    return digest_of([FORMAT_VERSION, graphs, described])


def _packed(array: Floats) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


def _unpacked(text: Any, width: int) -> Floats:
    """The inverse of `_packed`; raises ValueError for another number of values, or one that is not finite."""
    _require(isinstance(text, str), "features that are not text")
    values = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    _require(values.shape == (width,), f"{len(values)} features instead of {width}")
    _require(bool(np.isfinite(values).all()), "features that are not finite")
    return values


def write_personal(path: Path, personal: Personal) -> None:
    """Write a personal file atomically."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package": personal.package,
        "width": personal.width,
        "examples": [
            {"label": one.label, "windows": one.windows, "recording": one.recording, "features": _packed(one.features)}
            for one in personal.examples
        ],
        "adaptation": None,
    }
    if personal.adaptation is not None:
        learnt = personal.adaptation
        vectors = {"scale": _packed(learnt.scale), "shift": _packed(learnt.shift)}
        document["adaptation"] = {"recordings": learnt.recordings, **vectors}
    document["checksum"] = digest_of(document)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _require(condition: bool, found: str) -> None:
    if not condition:
        raise ValueError(found)


def _typed(entry: Any, kinds: dict[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """A JSON object with exactly these keys and types."""
    _require(isinstance(entry, dict), "an entry that is no JSON object")
    given = cast("dict[str, Any]", entry)
    _require(set(given) == set(kinds), f"the keys {', '.join(sorted(given)[:9])}")
    for name, kind in kinds.items():
        fits = isinstance(given[name], kind) and not isinstance(given[name], bool)
        _require(fits, f"{name} of another type")
    return given


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= _HEX_DIGITS


def _parsed(document: Any) -> Personal:
    """The content of a personal file; raises ValueError for the first problem."""
    kinds: dict[str, Any] = {"format": str, "format_version": int, "package": str, "width": int, "examples": list}
    kinds |= {"adaptation": (dict, type(None)), "checksum": str}
    entry = _typed(document, kinds)
    rest = {name: value for name, value in entry.items() if name != "checksum"}
    _require(digest_of(rest) == entry["checksum"], "a checksum that does not fit its content")
    width = entry["width"]
    _require(0 < width <= 1 << 16 and _is_digest(entry["package"]), "an unusable package or width")
    listed = cast("list[Any]", entry["examples"])
    _require(len(listed) <= MAX_EXAMPLES, f"{len(listed)} examples, more than {MAX_EXAMPLES}")
    examples: list[Example] = []
    for one in listed:
        given = _typed(one, {"label": str, "windows": int, "recording": str, "features": str})
        _require(not label_problem(given["label"]) and given["windows"] > 0, "an unusable label or count")
        _require(_is_digest(given["recording"]), "an unusable digest")
        vector = _unpacked(given["features"], width)
        examples.append(Example(given["label"], given["windows"], given["recording"], vector))
    adaptation = None
    if entry["adaptation"] is not None:
        learnt = _typed(entry["adaptation"], {"recordings": int, "scale": str, "shift": str})
        _require(learnt["recordings"] > 0, "an adaptation from no recording")
        scale, shift = (_unpacked(learnt[name], width) for name in ("scale", "shift"))
        adaptation = Adaptation(learnt["recordings"], scale, shift)
    return Personal(entry["package"], width, tuple(examples), adaptation)


def label_problem(label: str) -> str:
    """Why an activity cannot have this name, or an empty text."""
    if label == UNKNOWN:
        return f"the name {UNKNOWN!r}; expected another, as windows without a label have it"
    return name_problem(label)


def _read(file: Path) -> bytes:
    """The bytes of a personal file; raises PackageError unless it is a file of a usable size."""
    remedy = "give a file written by edgehar enrol, correct or adapt"
    if not file.is_file():
        raise PackageError(
            f"{file}: {'no file' if file.exists() else 'no such file'}; expected a personal file; {remedy}"
        )
    with file.open("rb") as opened:
        data = opened.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PackageError(f"{file}: more than {MAX_FILE_BYTES} bytes; expected a personal file; {remedy}")
    return data


def read_personal(path: Path | str, manifest: Manifest) -> Personal:
    """Read the personal file of a package.

    Raises PackageError if there is none, if it is damaged or of another version, or if it belongs to another package.
    """
    if not isinstance(path, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PackageError(f"personal {path!r:.50}: expected the path of a file written by edgehar enrol")
    file = Path(path)
    data = _read(file)
    try:
        document = strict_json(data)
        found: Any = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        version = found.get("format_version")
        if found.get("format") == FORMAT and version != FORMAT_VERSION:
            raise PackageError(
                f"{file}: format version {version!r:.20}; expected {FORMAT_VERSION}; enrol again with this version"
            )
        personal = _parsed(document)
    except ValueError as problem:
        raise PackageError(
            f"{file}: not a personal file, or damaged: {problem}; expected a file written by edgehar enrol, "
            "correct or adapt; restore it, or delete it and enrol again"
        ) from None
    expected = identity_of(manifest)
    if personal.package != expected:
        raise PackageError(
            f"{file}: learnt with package {personal.package[:12]}; expected {expected[:12]} ({manifest.name}); choose "
            "the package it was made with, or enrol again"
        )
    if len(personal.new_labels(manifest)) > MAX_NEW_LABELS:
        raise PackageError(f"{file}: more than {MAX_NEW_LABELS} new activities; expected fewer; enrol again")
    return personal
