"""Summary of a data set, as values for JSON and as aligned text."""

from collections import Counter
from typing import Any

import numpy as np

from edgehar.data.recordings.check import duration_s
from edgehar.data.splits import people_of
from edgehar.signals.clip import Dataset, natural_key

MAX_ROWS = 40
"""Longest table of labels or subjects as text; JSON has all of them."""


def describe(dataset: Dataset) -> dict[str, Any]:
    """Sensors, labels, subjects and durations as values for JSON."""
    info = dataset.info
    durations_s = [duration_s(clip, info.modalities, info.window.kind) for clip in dataset.clips]
    sensors: list[dict[str, Any]] = []
    for spec in info.modalities:
        masks = [clip.valid[spec.name] for clip in dataset.clips if spec.name in clip.signals]
        samples = sum(len(mask) for mask in masks)
        sensors.append(
            {
                "name": spec.name,
                "channels": spec.channels,
                "unit": spec.unit,
                "rate_hz": spec.rate_hz,
                "patch": spec.patch,
                "joints": len(spec.joints),
                "recordings": len(masks),
                "samples": samples,
                "invalid_share": 1 - sum(int(mask.sum()) for mask in masks) / samples if samples else 0.0,
            }
        )
    per_label: dict[str, dict[str, float]] = {name: {"recordings": 0, "seconds": 0.0} for name in info.labels}
    for clip, length_s in zip(dataset.clips, durations_s, strict=True):
        spans = [(segment.label, segment.end_s - segment.start_s) for segment in clip.segments]
        for label, seconds in spans if clip.label is None else [(clip.label, length_s)]:
            per_label[info.labels[label]]["seconds"] += seconds
        for label in {label for label, _ in spans} if clip.label is None else {clip.label}:
            per_label[info.labels[label]]["recordings"] += 1
    subjects = Counter(person for clip in dataset.clips for person in people_of(clip.subject))
    return {
        "name": info.name,
        "kind": info.window.kind,
        "window": {"steps": info.window.steps, "step_s": info.window.step_s, "hop": info.window.hop},
        "recordings": len(dataset.clips),
        "unlabelled_recordings": sum(clip.label is None and not clip.segments for clip in dataset.clips),
        "subjects": {name: subjects[name] for name in sorted(subjects, key=natural_key)},
        "labels": per_label,
        "sensors": sensors,
        "duration_s": {
            "shortest": min(durations_s, default=0.0),
            "median": float(np.median(durations_s)) if durations_s else 0.0,
            "longest": max(durations_s, default=0.0),
            "total": sum(durations_s),
        },
        "licence": info.licence,
        "citation": info.citation,
    }


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as text: first column left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _fewest_and_most(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows, or of a long list those with the fewest and the most recordings, second column."""
    if len(rows) <= MAX_ROWS:
        return rows
    ordered = sorted(rows, key=lambda row: int(row[1]))
    half = MAX_ROWS // 4
    between = ordered[half:-half]
    left_out = (f"... {len(between)} more", f"{between[0][1]} to {between[-1][1]}", *("..." for _ in rows[0][2:]))
    return [*ordered[:half], left_out, *ordered[-half:]]


def as_text(facts: dict[str, Any]) -> str:
    """The values of `describe` as aligned text."""
    window, duration = facts["window"], facts["duration_s"]
    lines = [
        f"{facts['name']}: {facts['recordings']} recordings of {len(facts['subjects'])} subjects, "
        f"{len(facts['labels'])} labels, {facts['unlabelled_recordings']} unlabelled",
        f"window: {facts['kind']}, {window['steps']} steps of {window['step_s']:.4g} s, hop {window['hop']}",
        f"duration: {duration['shortest']:.2f} to {duration['longest']:.2f} s, "
        f"median {duration['median']:.2f} s, {duration['total'] / 60:.1f} min in total",
        "",
    ]
    rows: list[tuple[str, ...]] = [
        ("sensor", "channels", "unit", "rate Hz", "patch", "recordings", "samples", "invalid")
    ]
    for sensor in facts["sensors"]:
        channels = f"{sensor['channels']} ({sensor['joints']} joints)" if sensor["joints"] else str(sensor["channels"])
        counts = (f"{sensor['rate_hz']:g}", str(sensor["patch"]), str(sensor["recordings"]), str(sensor["samples"]))
        rows.append((sensor["name"], channels, sensor["unit"], *counts, f"{sensor['invalid_share']:.2%}"))
    lines += [*_aligned(rows), ""]
    rows = [("label", "recordings", "seconds")]
    rows += _fewest_and_most(
        [(name, str(entry["recordings"]), f"{entry['seconds']:.1f}") for name, entry in facts["labels"].items()]
    )
    lines += [*_aligned(rows), ""]
    people: list[tuple[str, ...]] = [(name, str(count)) for name, count in facts["subjects"].items()]
    rows = [("subject", "recordings"), *_fewest_and_most(people)]
    lines += [
        *_aligned(rows),
        "",
        f"licence: {facts['licence'] or 'not stated'}",
        f"cite: {facts['citation'] or 'not stated'}",
    ]
    return "\n".join(lines)
