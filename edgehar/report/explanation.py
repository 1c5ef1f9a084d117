"""An explanation as one self-contained HTML page: a strip over time and a skeleton whose joints glow.

The pictures are SVG written as text: a board draws them without a plotting library.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.explanation.result import Explanation, channel_name, describe, group_name
from edgehar.files.atomic import write_text
from edgehar.files.results import print_and_write
from edgehar.report.page import decimal, definitions, escaped, page, percent, table
from edgehar.signals.clip import Bools, Floats
from edgehar.signals.modality import ModalitySpec

INK, BONE, GLOW, GRID = "#1f2933", "#2b6cb0", "#dd6b20", "#e4e7eb"
LABEL_WIDTH, CELL_HEIGHT, STRIP_WIDTH = 190, 20, 520
SHOWN_GROUPS = 10
POSES = 6
POSE_HEIGHT = 220
MOST_GLOW = 16
"""Radius of the glow of the most important joint, in pixels."""


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """An SVG element with a title for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="width:100%;max-width:{width:.0f}px;height:auto"><title>{escaped(title)}</title>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" font-family="system-ui, sans-serif" '
        f'fill="{INK}">{escaped(text)}</text>'
    )


def _relative(values: Floats) -> Floats:
    """Values from 0 to 1, relative to the largest one; 0 where all are 0."""
    return values / max(float(values.max(initial=0.0)), np.finfo(np.float32).tiny)


def strip(explanation: Explanation) -> str:
    """Importance over time as SVG: all steps, each sensor, and the most important groups, one row each.

    Each row of groups has the colours of the same scale; the rows of steps and sensors have one each.
    """
    part = explanation.saliency
    highest = max(float(values.max(initial=0.0)) for values in part.groups.values())
    rows: list[tuple[str, Floats]] = [("steps", _relative(part.steps))]
    rows += [(name, _relative(np.maximum(values, 0))) for name, values in part.sensor_steps.items()]
    for spec, group, total in explanation.ranked_groups()[:SHOWN_GROUPS]:
        if total > 0:
            values = part.groups[spec.name][:, group] / max(highest, np.finfo(np.float32).tiny)
            rows.append((f"{spec.name}: {group_name(spec, group)}", values.astype(np.float32)))
    steps = len(part.steps)
    width = STRIP_WIDTH / steps
    parts: list[str] = []
    for row, (name, values) in enumerate(rows):
        top = row * (CELL_HEIGHT + 3)
        parts.append(_text(LABEL_WIDTH - 8, top + 14, name if len(name) < 30 else f"{name[:28]}…", "end"))
        for step, value in enumerate(values.tolist()):
            start_s, end_s = explanation.step_span_s(step)
            parts.append(
                f'<rect x="{LABEL_WIDTH + step * width:.1f}" y="{top}" width="{width - 1:.1f}" height="{CELL_HEIGHT}" '
                f'fill="{GLOW}" fill-opacity="{value:.3f}" stroke="{GRID}"><title>{escaped(name)}, {start_s:.2f} to '
                f"{end_s:.2f} s: {value:.2f}</title></rect>"
            )
    bottom = len(rows) * (CELL_HEIGHT + 3) + 14
    for share in (0, 0.5, 1):
        seconds = explanation.start_s + share * (explanation.end_s - explanation.start_s)
        anchor = ("start", "middle", "end")[round(2 * share)]
        parts.append(_text(LABEL_WIDTH + share * STRIP_WIDTH, bottom, f"{seconds:.2f} s", anchor))
    return _svg(LABEL_WIDTH + STRIP_WIDTH + 4, bottom + 8, "Importance over time", parts)


def _positions(features: Floats, spec: ModalitySpec) -> Floats:
    """Joints relative to the root (S, G, 2 or 3) in the middle frame of each step, NaN where a joint is lost."""
    frames = features[:, spec.patch // 2]  # (S, G, F)
    positions = frames[..., : spec.group].copy()
    lost: Bools = np.logical_not(np.any(frames != 0, axis=2))
    if spec.lost_joints:
        positions[:, spec.root] = 0  # a mark, not a value
    else:
        lost[:, spec.root] = False  # 0 is where the root is
    positions[lost] = np.nan
    return positions


def glowing_skeleton(explanation: Explanation, spec: ModalitySpec) -> str:
    """Poses of a skeleton in order of time as SVG; a joint glows as it is important in that step."""
    valid = np.flatnonzero(explanation.valid[spec.name])
    if not len(valid):
        return ""
    saliency = explanation.saliency.groups[spec.name]  # (S, G)
    most = int(valid[saliency[valid].sum(axis=1).argmax()])
    spaced = valid[np.unique(np.linspace(0, len(valid) - 1, POSES).astype(int))]
    nearest = int(np.abs(spaced - most).argmin())
    chosen = np.unique(np.where(np.arange(len(spaced)) == nearest, most, spaced))
    positions = _positions(explanation.features[spec.name], spec)[chosen]  # (poses, G, 2 or 3)
    glow = _relative(saliency)[chosen]
    sideways = [axis for axis in range(spec.group) if axis != spec.vertical]
    spread = [np.nanmax(positions[..., axis]) - np.nanmin(positions[..., axis]) for axis in sideways]
    across = positions[..., sideways[int(np.argmax(spread))]]
    up = positions[..., spec.vertical] * (-1 if spec.is_picture else 1)
    height = max(float(np.nanmax(up) - np.nanmin(up)), 1e-6)
    scale = (POSE_HEIGHT - 2 * MOST_GLOW) / height
    pose_width = max(float(np.nanmax(across) - np.nanmin(across)) * scale + 2 * MOST_GLOW, 70.0)
    x = (across - np.nanmin(across)) * scale + MOST_GLOW + np.arange(len(chosen))[:, None] * pose_width
    y = (np.nanmax(up) - up) * scale + MOST_GLOW
    parts: list[str] = []
    for pose, step in enumerate(map(int, chosen)):
        known = np.isfinite(x[pose])
        for joint in map(int, np.flatnonzero(known & (glow[pose] > 0))):
            value = float(glow[pose, joint])
            for share, opacity in ((1.0, 0.25), (0.6, 0.45)):
                radius = share * MOST_GLOW * value**0.5
                parts.append(
                    f'<circle cx="{x[pose, joint]:.1f}" cy="{y[pose, joint]:.1f}" r="{radius:.1f}" '
                    f'fill="{GLOW}" fill-opacity="{opacity * (0.3 + 0.7 * value):.3f}"/>'
                )
        for joint, parent in enumerate(spec.parents):
            if known[joint] and known[parent] and joint != parent:
                parts.append(
                    f'<line x1="{x[pose, joint]:.1f}" y1="{y[pose, joint]:.1f}" x2="{x[pose, parent]:.1f}" '
                    f'y2="{y[pose, parent]:.1f}" stroke="{BONE}" stroke-width="2.5" stroke-linecap="round"/>'
                )
        for joint in map(int, np.flatnonzero(known)):
            parts.append(
                f'<circle cx="{x[pose, joint]:.1f}" cy="{y[pose, joint]:.1f}" r="2.5" fill="{INK}"><title>'
                f"{escaped(spec.joints[joint])}: {float(glow[pose, joint]):.2f}</title></circle>"
            )
        start_s, end_s = explanation.step_span_s(step)
        middle = (pose + 0.5) * pose_width
        parts.append(_text(middle, POSE_HEIGHT + 12, f"{(start_s + end_s) / 2:.2f} s", "middle"))
    return _svg(len(chosen) * pose_width, POSE_HEIGHT + 20, f"{spec.name}: joints by importance", parts)


def render(explanation: Explanation) -> str:
    """The whole page."""
    part = explanation.saliency
    body = f"<h1>Why {escaped(explanation.label)}?</h1>\n" + definitions(
        [
            ("prediction", explanation.predicted),
            ("probability", percent(explanation.probability)),
            ("log odds", f"{explanation.evidence:.2f}"),
            ("window", f"{explanation.start_s:.2f} to {explanation.end_s:.2f} s, number {explanation.window}"),
            ("method", part.method),
            ("missing sensors", ", ".join(explanation.missing)),
        ]
    )
    body += "<h2>Over time</h2>\n" + strip(explanation)
    body += (
        '<p class="note">The darker, the more important, relative to the darkest cell of the row (of all joints and '
        "groups together). Hover over a cell for its value.</p>\n"
    )
    for spec in explanation.specs:
        if spec.is_skeleton and (drawn := glowing_skeleton(explanation, spec)):
            body += f"<h2>Joints of {escaped(spec.name)}</h2>\n{drawn}"
    groups = explanation.ranked_groups()
    total = sum(entry[2] for entry in groups) or 1.0
    rows = [
        [
            f"{spec.name}: {group_name(spec, group)}",
            percent(importance / total),
            decimal(float(part.group_evidence[spec.name][group])) if part.group_evidence else "",
        ]
        for spec, group, importance in groups[:SHOWN_GROUPS]
        if importance > 0
    ]
    if part.sensor_evidence:
        sensors = [
            [name, decimal(lost), decimal(explanation.evidence - lost)] for name, lost in part.sensor_evidence.items()
        ]
        body += "<h2>Sensors</h2>\n" + table(["sensor", "log odds lost without it", "log odds then"], sensors)
    body += "<h2>Joints and groups</h2>\n" + table(["group", "importance", "log odds lost when held still"], rows)
    specs = {spec.name: spec for spec in explanation.specs}
    axes = [
        [
            f"{axis.sensor}: {group_name(specs[axis.sensor], axis.group)}",
            channel_name(specs[axis.sensor], axis.group, axis.channel),
            decimal(axis.evidence),
        ]
        for axis in sorted(part.axes, key=lambda axis: -axis.evidence)
    ]
    if axes:
        body += "<h2>Axes</h2>\n" + table(["group", "axis", "log odds lost when held still"], axes)
    return page(f"Why {explanation.label}?", body)


def publish(explanation: Explanation, document: dict[str, Any], json_file: str | None, picture: str | None) -> None:
    """Print an explanation as text and JSON, and write the files of --json and --picture, if there are any.

    Args:
        explanation: what to show.
        document: its JSON form.
        json_file: file of --json.
        picture: file of --picture.
    """
    if picture is not None:
        write_text(Path(picture), render(explanation))
    print_and_write(f"{describe(explanation)}\n{json.dumps(document)}\n", json_file, document)
