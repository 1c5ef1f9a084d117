"""Summary of a data set and of what training will see of it, as values for JSON and as aligned text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgehar.data.people import people_warnings
from edgehar.data.recordings.check import duration_s
from edgehar.data.recordings.suspicions.clocks import drift_ppm
from edgehar.data.recordings.suspicions.gyroscopes import gyroscopes, moving
from edgehar.data.recordings.suspicions.recorded import Recorded, group_text
from edgehar.data.recordings.suspicions.skeletons import lost_shares
from edgehar.data.recordings.suspicions.units import Group, triaxial_groups
from edgehar.data.splits import people_of
from edgehar.data.usable import REASONS, usable_steps
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, natural_key
from edgehar.signals.kinds import kinds_of
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.sites import places_of

MAX_ROWS = 40
"""Longest table of labels or subjects as text; JSON has all of them."""
SHOWN_JOINTS = 5


def describe(dataset: Dataset) -> dict[str, Any]:
    """Sensors, labels, subjects and durations as values for JSON."""
    info = dataset.info
    durations_s = [duration_s(clip, info.modalities, info.window.kind) for clip in dataset.clips]
    recordings = [_recorded(clip) for clip in dataset.clips]
    usable = usable_steps(dataset)
    drifts_ppm = drift_ppm(info.modalities, recordings)
    sensors: list[dict[str, Any]] = []
    recorded_of = {
        spec.name: [sensors_of[spec.name] for sensors_of in recordings if spec.name in sensors_of]
        for spec in info.modalities
    }
    groups = {spec.name: triaxial_groups(spec, recorded_of[spec.name]) for spec in info.modalities}
    for spec in info.modalities:
        recorded = recorded_of[spec.name]
        moved = moving(spec, info.modalities, recorded_of, groups)
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
                "true_rate_hz": _true_rate_hz(recorded),
                "steps": usable[spec.name],
                "taken_for": _taken_for(spec),
                "seems_to_be": _measured(spec, recorded, groups[spec.name], moved),
                "lost_joints": lost_shares(spec, recorded) if spec.is_skeleton else {},
                "drift_ppm": drifts_ppm.get(spec.name),
            }
        )
    subjects = Counter(person for clip in dataset.clips for person in people_of(clip.subject))
    return {
        "name": info.name,
        "kind": info.window.kind,
        "window": {"steps": info.window.steps, "step_s": info.window.step_s, "hop": info.window.hop},
        "recordings": len(dataset.clips),
        "unlabelled_recordings": sum(clip.label is None and not clip.segments for clip in dataset.clips),
        "subjects": {name: subjects[name] for name in sorted(subjects, key=natural_key)},
        "people_warnings": [text for texts in people_warnings(dataset.clips, info).values() for text in texts],
        "labels": label_facts(dataset.clips, info),
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


def label_facts(clips: Iterable[Clip], info: DatasetInfo) -> dict[str, dict[str, float]]:
    """Label -> numbers of recordings and people that show it, and its seconds."""
    facts: dict[str, dict[str, float]] = {name: {"recordings": 0, "seconds": 0.0, "people": 0} for name in info.labels}
    people: dict[str, set[str]] = {name: set() for name in info.labels}
    for clip in clips:
        spans = [(segment.label, segment.end_s - segment.start_s) for segment in clip.segments]
        if clip.label is not None:
            spans = [(clip.label, duration_s(clip, info.modalities, info.window.kind))]
        for label, seconds in spans:
            facts[info.labels[label]]["seconds"] += seconds
        for label in {label for label, _ in spans}:
            facts[info.labels[label]]["recordings"] += 1
            people[info.labels[label]].update(people_of(clip.subject))
    return {name: entry | {"people": len(people[name])} for name, entry in facts.items()}


def _recorded(clip: Clip) -> dict[str, Recorded]:
    """The sensors' samples of a clip, named by the recording."""
    return {
        name: Recorded(clip.name, clip.name, clip.subject, clip.label, values, clip.valid[name], clip.times_s.get(name))
        for name, values in clip.signals.items()
    }


def _true_rate_hz(recorded: Sequence[Recorded]) -> float | None:
    """Median rate of the timestamps over the recordings; None without timestamps."""
    known = [each.true_rate_hz for each in recorded if each.true_rate_hz is not None]
    return float(np.median(known)) if known else None


def _taken_for(spec: ModalitySpec) -> list[str]:
    """What each group of a sensor is taken to measure and where, by its declaration; of a skeleton, unknown joints."""
    if spec.is_skeleton:
        unknown = [name for name, place in zip(spec.joints, places_of(spec), strict=True) if not place.is_known]
        return [f"joints without a known place: {', '.join(unknown)}"] if unknown else []
    found = zip(kinds_of(spec), map(str, places_of(spec)), strict=True)
    return [f"{group_text(spec, group)}: taken for {kind}, place: {place}" for group, (kind, place) in enumerate(found)]


def _measured(spec: ModalitySpec, recorded: Sequence[Recorded], groups: Sequence[Group], moved: set[str]) -> list[str]:
    """What each group of a triaxial sensor seems to measure, and in which unit."""
    found: list[str] = []
    for each in groups:
        at_rest = f" ({each.level:.3g} at rest)" if each.kind == "acceleration" else ""
        found.append(f"{group_text(spec, each.group)}: {each.kind} in {each.unit}{at_rest}")
    named = [group.group for group in groups]
    for gyroscope in gyroscopes(spec, recorded, moved):
        units = gyroscope.units
        if units and gyroscope.group not in named:
            unit, *others = sorted(units, key=lambda unit: -len(units[unit]))
            but = "".join(f", but {other} of {', '.join(map(repr, units[other]))}" for other in others)
            level = but or f" (the fastest movements turn at {gyroscope.fastest:.3g})"
            found.append(f"{group_text(spec, gyroscope.group)}: looks like {unit}{level}")
    return found


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


def _remarks(sensors: Sequence[dict[str, Any]]) -> list[str]:
    """Lines below the table of sensors: why steps are not usable, what the channels seem to be, drift."""
    lines: list[str] = []
    for sensor in sensors:
        steps = sensor["steps"]
        reasons = [f"{reason} {steps[reason]:.2%}" for reason in REASONS if steps[reason] > 0]
        if reasons:
            lines.append(f"  {sensor['name']}: steps that training cannot use: {', '.join(reasons)}")
        if steps["lost_joints"] > 0:
            lines.append(f"  {sensor['name']}: {steps['lost_joints']:.2%} of the joints of usable steps are lost")
        if sensor["lost_joints"]:
            shares = list(sensor["lost_joints"].items())
            shown = ", ".join(f"{joint} {share:.1%}" for joint, share in shares[:SHOWN_JOINTS])
            more = f" and {len(shares) - SHOWN_JOINTS} more joints" if len(shares) > SHOWN_JOINTS else ""
            lines.append(f"  {sensor['name']}: samples without a joint: {shown}{more}")
        lines += [f"  {sensor['name']}: {text}" for text in sensor["taken_for"]]
        lines += [f"  {sensor['name']}: {text}" for text in sensor["seems_to_be"]]
        if sensor["drift_ppm"]:
            text = f"clock {sensor['drift_ppm']:+.0f} ppm against {sensors[0]['name']}, at nominal rates"
            lines.append(f"  {sensor['name']}: {text}")
    return lines


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
        ("sensor", "channels", "unit", "rate Hz", "by time", "patch", "recordings", "samples", "invalid", "usable")
    ]
    for sensor in facts["sensors"]:
        channels = f"{sensor['channels']} ({sensor['joints']} joints)" if sensor["joints"] else str(sensor["channels"])
        by_time = "-" if sensor["true_rate_hz"] is None else f"{sensor['true_rate_hz']:.4g}"
        counts = [str(sensor[key]) for key in ("patch", "recordings", "samples")]
        shares = f"{sensor['invalid_share']:.2%}", f"{sensor['steps']['usable']:.2%}"
        rows.append((sensor["name"], channels, sensor["unit"], f"{sensor['rate_hz']:g}", by_time, *counts, *shares))
    lines += [*_aligned(rows), *_remarks(facts["sensors"]), ""]
    rows = [("label", "recordings", "seconds", "share", "people")]
    total_s = sum(entry["seconds"] for entry in facts["labels"].values()) or 1.0
    rows += _fewest_and_most(
        [
            (name, f"{entry['recordings']}", f"{seconds:.1f}", f"{seconds / total_s:.1%}", f"{entry['people']}")
            for name, entry in facts["labels"].items()
            for seconds in [entry["seconds"]]
        ]
    )
    lines += [*_aligned(rows), ""]
    people: list[tuple[str, ...]] = [(name, str(count)) for name, count in facts["subjects"].items()]
    rows = [("subject", "recordings"), *_fewest_and_most(people)]
    lines += [
        *_aligned(rows),
        *(f"  warning: {text}" for text in facts["people_warnings"]),
        "",
        f"licence: {facts['licence'] or 'not stated'}",
        f"cite: {facts['citation'] or 'not stated'}",
    ]
    return "\n".join(lines)
