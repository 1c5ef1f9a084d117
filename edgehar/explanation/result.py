"""The explanation of one prediction, and its JSON form."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgehar.explanation.choice import Chosen
from edgehar.signals.clip import Bools, DatasetInfo, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation

AXES = ("x", "y", "z")
DIGITS = 6
"""Of numbers; of times, those after the point."""


@dataclass(frozen=True)
class Axis:
    """Evidence lost when one channel of a group is held still in all examined steps."""

    sensor: str
    group: int
    channel: int
    evidence: float


@dataclass(frozen=True)
class Saliency:
    """How much each part of one window mattered for one activity, by one method.

    Attributes:
        method: name of the method.
        steps: (S,) importance of each step, 0 or more.
        groups: sensor -> (S, G) importance of each group in each step, 0 or more.
        examined: (S,) True for the steps in which the evidence of groups and axes was measured.
        step_evidence: (S,) log odds lost without the step; empty for methods of gradients.
        sensor_evidence: sensor -> log odds lost without the sensor; empty for methods of gradients.
        sensor_steps: sensor -> (S,) log odds lost without the sensor in one step.
        group_evidence: sensor -> (G,) log odds lost with the group occluded in all examined steps.
        axes: the channels of the most important groups.
    """

    method: str
    steps: Floats
    groups: dict[str, Floats]
    examined: Bools
    step_evidence: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    sensor_evidence: dict[str, float] = field(default_factory=lambda: dict[str, float]())
    sensor_steps: dict[str, Floats] = field(default_factory=lambda: dict[str, Floats]())
    group_evidence: dict[str, Floats] = field(default_factory=lambda: dict[str, Floats]())
    axes: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why a network gave its answer for one window.

    Attributes:
        label: the activity that is explained.
        predicted: the label of the prediction, "unknown" below the package's threshold.
        probability: of the explained activity.
        evidence: its log odds, log(p / (1 - p)).
        window: number of the window among those of the recording, from 0.
        start_s: start of the window in seconds.
        end_s: end of the window.
        specs: the sensors.
        valid: sensor -> (S,) True where its step is valid.
        features: sensor -> (S, P, G, F), for drawing.
        saliency: the importance of each part.
        cost: what the explanation took, plain numbers.
    """

    label: str
    predicted: str
    probability: float
    evidence: float
    window: int
    start_s: float
    end_s: float
    specs: tuple[ModalitySpec, ...]
    valid: dict[str, Bools]
    features: dict[str, Floats]
    saliency: Saliency
    cost: dict[str, float]

    @staticmethod
    def of(
        chosen: Chosen,
        saliency: Saliency,
        info: DatasetInfo,
        normalisation: Normalisation,
        class_index: int,
        predicted: str,
        probability: float,
        evidence: float,
        cost: dict[str, float],
    ) -> "Explanation":
        """The explanation of a chosen window; features are returned to the sensors' units."""
        features: dict[str, Floats] = {}
        for spec in info.modalities:
            scale = np.repeat(normalisation.scale[spec.name], spec.group, axis=1)  # (G, F)
            features[spec.name] = chosen.windows.features[spec.name][0] * scale
        return Explanation(
            info.labels[class_index],
            predicted,
            probability,
            evidence,
            chosen.number,
            float(chosen.windows.start_s[0]),
            float(chosen.windows.end_s[0]),
            info.modalities,
            {spec.name: chosen.windows.valid[spec.name][0] for spec in info.modalities},
            features,
            saliency,
            cost,
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Sensors without a valid step in the window."""
        return tuple(spec.name for spec in self.specs if not self.valid[spec.name].any())

    def step_span_s(self, step: int) -> tuple[float, float]:
        """Start and end of a step in seconds."""
        length_s = (self.end_s - self.start_s) / len(self.saliency.steps)
        return self.start_s + step * length_s, self.start_s + (step + 1) * length_s

    def ranked_groups(self) -> list[tuple[ModalitySpec, int, float]]:
        """All groups with their summed importance, the most important one first."""
        totals = [
            (spec, group, float(total))
            for spec in self.specs
            for group, total in enumerate(self.saliency.groups[spec.name].sum(axis=0))
        ]
        return sorted(totals, key=lambda entry: -entry[2])

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        part = self.saliency
        sensors: dict[str, Any] = {}
        for spec in self.specs:
            name, entry = spec.name, dict[str, Any]()
            entry["valid_steps"] = int(self.valid[name].sum())
            if name in part.sensor_evidence:
                entry |= {"evidence": number(part.sensor_evidence[name]), "steps": numbers(part.sensor_steps[name])}
            entry["groups"] = [
                {
                    "name": group_name(spec, group),
                    "importance": numbers(part.groups[name][:, group]),
                    "total": number(float(part.groups[name][:, group].sum())),
                    **({"evidence": number(float(part.group_evidence[name][group]))} if part.group_evidence else {}),
                }
                for group in range(spec.groups)
            ]
            sensors[name] = entry
        spans = [self.step_span_s(step) for step in range(len(part.steps))]
        steps: list[dict[str, Any]] = [
            {
                "start_s": seconds(start_s),
                "end_s": seconds(end_s),
                "importance": number(float(part.steps[step])),
                **({"evidence": number(float(part.step_evidence[step]))} if len(part.step_evidence) else {}),
                "examined": bool(part.examined[step]),
            }
            for step, (start_s, end_s) in enumerate(spans)
        ]
        specs = {spec.name: spec for spec in self.specs}
        axes = [
            {
                "sensor": axis.sensor,
                "group": group_name(specs[axis.sensor], axis.group),
                "axis": channel_name(specs[axis.sensor], axis.group, axis.channel),
                "evidence": number(axis.evidence),
            }
            for axis in part.axes
        ]
        return {
            "format": "edgehar-explanation",
            "format_version": 1,
            "method": part.method,
            "label": self.label,
            "predicted": self.predicted,
            "probability": number(self.probability),
            "evidence": number(self.evidence),
            "window": self.window,
            "start_s": seconds(self.start_s),
            "end_s": seconds(self.end_s),
            "missing": list(self.missing),
            "steps": steps,
            "sensors": sensors,
            "axes": axes,
            "cost": {name: number(value) for name, value in self.cost.items()},
        }


def number(value: float) -> float:
    """A number with few digits, for JSON."""
    return float(f"{value:.{DIGITS}g}")


def seconds(value: float) -> float:
    """A time for JSON, to the microsecond whatever its origin."""
    return round(float(value), DIGITS)


def numbers(values: Floats) -> list[float]:
    """Numbers with few digits, for JSON."""
    return [number(float(value)) for value in values]


def group_name(spec: ModalitySpec, group: int) -> str:
    """Name of a group: a joint, the names of its channels, or their numbers."""
    if spec.is_skeleton:
        return spec.joints[group]
    first = group * spec.group
    if spec.columns:
        return "+".join(spec.columns[first : first + spec.group])
    return f"channels {first + 1} to {first + spec.group}" if spec.group > 1 else f"channel {first + 1}"


def channel_name(spec: ModalitySpec, group: int, channel: int) -> str:
    """Name of a channel of a group: its column, or its axis."""
    if spec.columns:
        return spec.columns[group * spec.group + channel]
    return AXES[channel] if spec.group <= len(AXES) else str(channel + 1)


def describe(explanation: Explanation, most: int = 5) -> str:
    """The explanation as a few lines of text: the most important groups, steps, sensors and axes."""
    part = explanation.saliency
    lines = [
        f"window {explanation.window}, {explanation.start_s:.2f} to {explanation.end_s:.2f} s: {explanation.predicted}",
        f"explained: {explanation.label}, probability {explanation.probability:.4f}, log odds "
        f"{explanation.evidence:.2f}, by {part.method}",
    ]
    if explanation.missing:
        lines.append(f"missing: {', '.join(explanation.missing)}")
    for name, lost in part.sensor_evidence.items():
        lines.append(f"  without {name}: log odds {explanation.evidence - lost:.2f}")
    total = float(part.steps.sum())
    for step in np.argsort(-part.steps, kind="stable")[:most].tolist():
        if part.steps[step] <= 0:
            break
        start_s, end_s = explanation.step_span_s(step)
        lines.append(f"  {start_s:6.2f} to {end_s:5.2f} s  {part.steps[step] / total:6.1%} of the steps' importance")
    groups = explanation.ranked_groups()
    total = sum(entry[2] for entry in groups)
    for spec, group, importance in groups[:most]:
        if importance <= 0:
            break
        name = f"{spec.name}, {group_name(spec, group)}"
        lines.append(f"  {name:<34}{importance / total:6.1%} of the groups' importance")
    specs = {spec.name: spec for spec in explanation.specs}
    for axis in sorted(part.axes, key=lambda axis: -axis.evidence)[:3]:
        spec = specs[axis.sensor]
        name = f"{spec.name}, {group_name(spec, axis.group)}, {channel_name(spec, axis.group, axis.channel)} held still"
        lines.append(f"  {name:<46}log odds {explanation.evidence - axis.evidence:.2f}")
    return "\n".join(lines)
