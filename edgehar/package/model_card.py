"""Model card of a package, generated from the manifest.

`edgehar verify` compares the card with the generated text, so that a change of the text here makes it reject the
cards of existing packages.
"""

from typing import Any

from edgehar.metrics.calibration import BINS, TemperatureScaling
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import UNKNOWN

INLINE_VALUES = 4
"""Longest list shown in a table cell; longer ones, such as a confusion matrix, are in manifest.json only."""


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [*lines, *(f"| {' | '.join(row)} |" for row in cells), ""]


def _shown(value: Any) -> str:
    match value:
        case bool() | None:
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case list() | tuple():
            return ", ".join(_shown(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return str(value)


def flatten(entry: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as rows (dotted key, text); long or nested lists are omitted."""
    if isinstance(entry, dict):
        rows: list[tuple[str, str]] = []
        for key, value in entry.items():  # pyright: ignore[reportUnknownVariableType]
            rows += flatten(value, f"{prefix}.{key}" if prefix else str(key))  # pyright: ignore[reportUnknownArgumentType]
        return rows
    if isinstance(entry, list | tuple):
        items: list[Any] = list(entry)  # pyright: ignore[reportUnknownArgumentType]
        if len(items) > INLINE_VALUES or any(isinstance(item, dict | list | tuple) for item in items):
            return []
    return [(prefix, _shown(entry))]


def _calibration(calibration: TemperatureScaling) -> list[str]:
    """Temperature, threshold and calibration error."""
    subjects = len(calibration.subjects)
    lines = [
        f"Probabilities are of logits divided by {calibration.temperature:.6g}, fitted on {calibration.windows} "
        f"windows of {subjects} training subject{'s' * (subjects != 1)}, each answered by a network not trained on "
        "them.",
        "",
    ]
    if calibration.threshold is not None and calibration.coverage is not None:
        lines += [
            f'Below a score of {calibration.threshold:.6g} the answer is "{UNKNOWN}"; at least '
            f"{calibration.coverage:.2%} of these windows reach it.",
            "",
        ]
    return lines + _table(
        ("on these windows", "before", "after"),
        [
            (f"expected calibration error, {BINS} bins", *map(_shown, (calibration.ece_before, calibration.ece_after))),
            ("negative log-likelihood", *map(_shown, (calibration.nll_before, calibration.nll_after))),
        ],
    )


def model_card(manifest: Manifest) -> str:
    """The model card as Markdown."""
    window = manifest.window
    how = {
        "clip": "A pre-cut clip is stretched over one window, by its timestamps or else by normalised time.",
        "sliding": "Windows slide over a recording at fixed rates by timestamp.",
    }[window.kind]
    lines = [f"# {manifest.name}", "", "Written by edgehar from manifest.json; every number here is one of its.", ""]
    lines += ["## What it recognises", "", ", ".join(manifest.labels), ""]
    lines += ["## What it needs", ""]
    lines += _table(
        ("modality", "channels", "unit", "rate (Hz)", "frames per step"),
        [(spec.name, spec.channels, spec.unit, f"{spec.rate_hz:g}", spec.patch) for spec in manifest.modalities],
    )
    lines += ["Any subset of these may be present; accuracy without one is only known where measured below.", ""]
    lines += ["## Window", "", how, ""]
    lines += _table(
        ("steps", "seconds per step", "seconds", "hop in steps"),
        [(window.steps, f"{window.step_s:g}", f"{window.length_s:g}", window.hop)],
    )
    lines += ["## Size", ""]
    lines += _table(
        ("parameters", "multiply-adds of a step", "of the head", "of a window", "width of a token"),
        [(manifest.parameters, *(manifest.macs[part] for part in ("step", "head", "window")), manifest.token_dim)],
    )
    lines += ["## Files", "", f"Precision used when none is asked for: {manifest.default_precision}.", ""]
    roles = {
        name: f"{part}, {precision}" for precision, parts in manifest.graphs.items() for part, name in parts.items()
    }
    lines += _table(
        ("file", "role", "bytes", "sha256"),
        [(name, roles.get(name, "arrays"), facts["bytes"], facts["sha256"]) for name, facts in manifest.files.items()],
    )
    lines += ["## Measured", ""]
    metrics = flatten(manifest.metrics)
    lines += _table(("measure", "value"), list(metrics)) if metrics else ["Nothing was measured yet.", ""]
    calibration = manifest.calibration
    if calibration is not None:
        lines += ["## Calibration", "", *_calibration(calibration)]
    lines += ["## How it came about", ""]
    provenance = flatten(manifest.provenance)
    lines += _table(("fact", "value"), list(provenance)) if provenance else ["Not recorded.", ""]
    lines += ["## Licence", "", manifest.licence or "Not stated.", ""]
    lines += ["## Limits", ""]
    if calibration is not None and calibration.threshold is not None:
        output = f'- It names one of the labels above or says "{UNKNOWN}"; what it never learned can still score high.'
    else:
        output = "- It names one of the labels above for every window, also when the person does something else."
    if "train_recordings" in manifest.provenance:
        output += (
            "\n- Training and test were different recordings of the same people; how well others are recognised was "
            "not measured."
        )
    lines += [
        output,
        "- It was measured on the data named above only; other people, sensors or placements can do worse.",
        "- Not for medical or safety decisions.",
    ]
    return "\n".join(lines) + "\n"
