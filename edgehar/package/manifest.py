"""The manifest of an edge package: what a board needs to know about a model, with strict validation."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from edgehar.errors import EdgeharError, PackageError
from edgehar.metrics.calibration import TemperatureScaling
from edgehar.signals.clip import UNKNOWN, DatasetInfo
from edgehar.signals.limits import MAX_VALUES, declaration_problem, name_problem, text_problem
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation

Json = dict[str, Any]

FORMAT = "edgehar-package"
FORMAT_VERSION = 1
PARTS = ("encoder", "head")
QUANTISATION_ARRAYS, PARITY = "calibration.npz", "parity.npz"
FEATURES = "features.npz"
"""Optional: `centre` (F,), the mean input of the classifier over the mean windows of all activities."""
MANIFEST_TYPES: dict[str, type] = {
    "name": str,
    "modalities": list,
    "labels": list,
    "window": dict,
    "normalisation": dict,
    "token_dim": int,
    "graphs": dict,
    "default_precision": str,
    "parameters": int,
    "macs": dict,
    "files": dict,
    "metrics": dict,
    "provenance": dict,
    "licence": str,
}
MODALITY_TYPES: dict[str, type] = {
    "name": str,
    "channels": int,
    "unit": str,
    "rate_hz": float,
    "patch": int,
    "group": int,
    "joints": list,
    "parents": list,
    "vertical": int,
}
OPTIONAL_TYPES: dict[str, type] = {"columns": list, "lost_joints": bool, "mirror": str}
WINDOW_TYPES: dict[str, type] = {"kind": str, "steps": int, "step_s": float, "hop": int}
MAX_PRECISIONS = 16


@dataclass(frozen=True)
class Manifest:
    """Declaration of a package's model and files.

    Attributes:
        name: name of the model.
        modalities: sensors, in the order of the encoder's `valid` input.
        labels: names of the K classes.
        window: declaration of the windows.
        normalisation: scales of the features.
        token_dim: D, width of the token of one step.
        graphs: precision -> part ("encoder", "head") -> file name.
        default_precision: precision used by default.
        parameters: number of weights of the network.
        macs: multiply-adds of one encoder "step", of the "head", and of a "window".
        files: file name -> {"sha256", "bytes"}; filled in by `write_package`.
        metrics: measured results.
        provenance: origin of the model ("data", "split", seeds, versions).
        licence: terms of use.
        calibration: calibration of the probabilities; None, and not written, for a package without it.
    """

    name: str
    modalities: tuple[ModalitySpec, ...]
    labels: tuple[str, ...]
    window: WindowSpec
    normalisation: Normalisation
    token_dim: int
    graphs: dict[str, dict[str, str]]
    default_precision: str
    parameters: int
    macs: dict[str, int]
    files: dict[str, dict[str, Any]] = field(default_factory=lambda: dict[str, dict[str, Any]]())
    metrics: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    provenance: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    licence: str = ""
    calibration: TemperatureScaling | None = None

    def __post_init__(self) -> None:
        """Raise PackageError for an inconsistent manifest."""
        self._check_sizes()
        names = [spec.name for spec in self.modalities]
        _require(len(names) == len(set(names)) > 0, f"modalities {names}", "one or more unique names")
        _require(len(self.labels) == len(set(self.labels)) > 0, f"{len(self.labels)} labels", "unique labels")
        _require(self.token_dim > 0, f"token_dim {self.token_dim}", "above 0")
        _require(set(self.macs) == {"step", "head", "window"}, f"macs {sorted(self.macs)}", "step, head and window")
        _require(set(self.normalisation.scale) == set(names), "normalisation", "scales for each modality")
        for spec in self.modalities:
            rooted = not spec.joints or any(joint == parent for joint, parent in enumerate(spec.parents))
            _require(rooted, f"skeleton {spec.name} without a root", "a joint that is its own parent")
            expected = f"{spec.groups} pairs of numbers above 0" + ", and bones" * spec.is_picture
            _require(self.normalisation.is_usable(spec), f"scale of {spec.name}", expected)
        for precision, parts in self.graphs.items():
            _require(set(parts) == set(PARTS), f"graphs of {precision}: {sorted(parts)}", "an encoder and a head")
        found = f"default precision {self.default_precision!r} of {sorted(self.graphs)}"
        _require(self.default_precision in self.graphs, found, "one of the graphs' precisions")
        named = self.calibration is not None and self.calibration.threshold is not None and UNKNOWN in self.labels
        _require(not named, f"a threshold and a label {UNKNOWN!r}", "one of the two")

    def _check_sizes(self) -> None:
        """Raise PackageError for sizes that no board supports, before allocating anything."""
        found = f"{len(self.graphs)} precisions"
        _require(len(self.graphs) <= MAX_PRECISIONS, found, f"at most {MAX_PRECISIONS}")
        problems = [declaration_problem(self.info), text_problem(self.name), *map(name_problem, self.graphs)]
        for problem in filter(None, problems):
            raise PackageError(f"manifest: {problem}; export the model again")
        values = self.window.steps * self.token_dim
        _require(
            values <= MAX_VALUES,
            f"{self.window.steps} tokens of {self.token_dim} values",
            f"at most {MAX_VALUES} values",
        )
        sizes = (self.parameters, *self.macs.values())
        _require(min(sizes) >= 0, f"parameters and multiply-adds {sizes}", "0 or more")

    @property
    def info(self) -> DatasetInfo:
        """Sensors, labels and window, as used by `edgehar.signals.windows`."""
        return DatasetInfo(self.name, self.modalities, self.labels, self.window, licence=self.licence)

    @property
    def needed_files(self) -> set[str]:
        """Files that a package must have."""
        return {name for parts in self.graphs.values() for name in parts.values()} | {QUANTISATION_ARRAYS, PARITY}

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        entry = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        entry["modalities"] = [spec.to_json() for spec in self.modalities]
        entry["labels"] = list(self.labels)
        entry["window"] = dataclasses.asdict(self.window)
        entry["normalisation"] = self.normalisation.to_json()
        del entry["calibration"]
        if self.calibration is not None:
            entry["calibration"] = self.calibration.to_json()
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **entry}

    @staticmethod
    def from_json(entry: Any) -> "Manifest":
        """Inverse of `to_json`; raises PackageError for another format, version, key or type."""
        if not isinstance(entry, dict) or cast(Json, entry).get("format") != FORMAT:
            raise PackageError(f"manifest: not of format {FORMAT!r}; expected an edge package; export the model again")
        fields = cast(Json, entry).copy()
        version = fields.pop("format_version", None)
        if type(version) is not int or version != FORMAT_VERSION:
            raise PackageError(
                f"manifest: format version {version!r}; expected {FORMAT_VERSION}; "
                "update edgehar or export the model again"
            )
        del fields["format"]
        calibrated = "calibration" in fields
        calibration = fields.pop("calibration", None)
        fields = _typed(fields, MANIFEST_TYPES, "manifest")
        specs = [_typed_modality(spec) for spec in fields["modalities"]]
        window = _typed(fields["window"], WINDOW_TYPES, "window")
        _typed(fields["macs"], {"step": int, "head": int, "window": int}, "macs")
        for texts in (fields["labels"], *(spec[key] for spec in specs for key in ("joints", "columns") if key in spec)):
            found = "a label, joint or column that is not a text"
            _require(all(isinstance(text, str) for text in texts), found, "texts")
        for spec in specs:
            _require(all(type(parent) is int for parent in spec["parents"]), "parents", "whole numbers")
        for precision, parts in fields["graphs"].items():
            _typed(parts, dict.fromkeys(PARTS, str), f"graphs of {precision}")
        for name, facts in fields["files"].items():
            _typed(facts, {"sha256": str, "bytes": int}, f"file {name}")
        try:
            fields["modalities"] = tuple(ModalitySpec.from_json(spec) for spec in specs)
            fields["labels"] = tuple(fields["labels"])
            fields["window"] = WindowSpec(**window)
            with np.errstate(over="ignore"):  # a scale beyond float32 is rejected as not finite
                fields["normalisation"] = Normalisation.from_json(fields["normalisation"])
            return Manifest(**fields, calibration=TemperatureScaling.from_json(calibration) if calibrated else None)
        except PackageError:
            raise
        except (EdgeharError, TypeError, ValueError, KeyError) as problem:
            raise PackageError(f"manifest: {problem}; export the model again") from None


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise PackageError(f"manifest: {found}; expected {expected}; export the model again")


def _typed_modality(entry: Any) -> Json:
    """As `_typed`, with the optional keys of a modality."""
    optional = {key: kind for key, kind in OPTIONAL_TYPES.items() if isinstance(entry, dict) and key in entry}
    return _typed(entry, MODALITY_TYPES | optional, "modality")


def _typed(entry: Any, types: dict[str, type], where: str) -> Json:
    """A copy of the entry; raises PackageError unless it is a dict with exactly these keys and JSON types."""
    _require(isinstance(entry, dict), where, "a JSON object")
    unknown, missing = sorted(set(entry) - set(types)), sorted(set(types) - set(entry))
    _require(
        not unknown and not missing, f"{where}: unknown keys {unknown}, missing {missing}", "the keys of the format"
    )
    for key, kind in types.items():
        allowed = {float: (int, float), list: (list, tuple)}.get(kind, (kind,))
        has_type = isinstance(entry[key], allowed) and isinstance(entry[key], bool) == (kind is bool)
        _require(has_type, f"{where}: {key} is of type {type(entry[key]).__name__}", kind.__name__)
    return dict(entry)
