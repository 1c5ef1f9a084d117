"""Weights of a teacher for sensors it has never seen: one set of weights, from which those of any sensors follow.

A `Universal` holds the weights of a teacher of two families of signals, bodies (skeletons) and worn sensors. The
weights of a teacher of given sensors are these for each sensor of the family, except for the few that belong to a
place, a kind of signal or a point in time: they are computed from what each group measures (`edgehar.signals.kinds`),
where on the body it is (`edgehar.signals.sites`) and the time of each step in seconds. So sensors may differ in number,
order, kind, place and joints between pretraining and fine-tuning, and no weight has a sensor's name.

A joint graph shared over placements: UniMTS (arXiv 2410.19818); places as coordinates: AnyMo (arXiv 2605.22715).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from edgehar.signals.kinds import kinds_of
from edgehar.signals.modality import SIGNAL_KINDS, ModalitySpec, WindowSpec
from edgehar.signals.sites import SITES, places_of
from edgehar.teacher.network.convolutions import add_norms
from edgehar.teacher.network.model import Teacher, TeacherConfig

BODY = ModalitySpec("body", 3, "m", 30, 1, joints=("joint",), parents=(0,), lost_joints=True)
WORN = ModalitySpec("worn", 3, "", 50, 1)
"""The two families, as sensors of one group."""
FAMILIES = (BODY.name, WORN.name)
PLACE_OCTAVES = 3
"""Sines and cosines of the coordinates, each of twice the frequency of the one before."""
DESCRIPTOR = len(SIGNAL_KINDS) + 2 + 3 * (1 + 2 * PLACE_OCTAVES)
"""Numbers that describe a group: kind, whether its place is known, side, coordinates."""
TIME_OCTAVES = 8
LONGEST_S = 10.24
"""Period of the slowest sine of time."""
SLOTS = 16
"""Parts of the body among which groups are shared out before they are merged into a token."""
GENERATED = ("group_embedding", "merge.weight", "position_embedding", "modality_embedding")
"""Parameters that are computed instead of shared."""
HEADS = ("classifier.", "modality_head.")
"""Parameters that belong to the labels of a data set."""


def family_of(spec: ModalitySpec) -> ModalitySpec:
    """The family of a sensor."""
    return BODY if spec.is_skeleton else WORN


def describe_groups(spec: ModalitySpec) -> Tensor:
    """(G, DESCRIPTOR) description of each group of a sensor by kind and place."""
    rows: list[list[float]] = []
    for kind, place in zip(kinds_of(spec), places_of(spec), strict=True):
        one_hot = [float(kind == name) for name in SIGNAL_KINDS]
        across, up, front = SITES.get(place.site, (0.0, 0.0, 0.0))
        scales = [math.pi * 2**octave for octave in range(PLACE_OCTAVES)]
        angles = [coordinate * scale for coordinate in (across, up, front) for scale in scales]
        waves = [wave(angle) if place.is_known else 0.0 for angle in angles for wave in (math.sin, math.cos)]
        rows.append([*one_hot, float(place.is_known), place.side * across, across, up, front, *waves])
    return torch.tensor(rows)


def describe_steps(steps: int, step_s: float) -> Tensor:
    """(S, 2 * TIME_OCTAVES) sines and cosines of the middle of each step in seconds."""
    middle = (torch.arange(steps) + 0.5) * step_s
    angles = middle[:, None] * (2 * math.pi / LONGEST_S) * 2 ** torch.arange(TIME_OCTAVES)
    return torch.cat([angles.sin(), angles.cos()], 1)


def first_inputs(spec: ModalitySpec) -> list[int]:
    """For each input of a sensor's first convolution, that of its family: three values, three motions, two magnitudes.

    Axes beyond the third share weights with the first three.
    """
    axes = [axis % 3 for axis in range(spec.group)]
    return [*axes, *(3 + axis for axis in axes), *([6, 7] if spec.group == 3 else [])]


class Universal(nn.Module):
    """Weights from which those of a teacher of any sensors follow, before its batch normalisations are folded.

    A batch comes from one data set, so each data set is normalised by its own statistics in training. Those of the
    target replace them in fine-tuning; folded into the weights, the last data set's would stay.
    """

    def __init__(self, config: TeacherConfig) -> None:
        """Weights of teachers of this size."""
        super().__init__()
        joint_dim, dim = config.joint_dim, config.dim
        self.config = config
        self.shared = Teacher(config, (BODY, WORN), 1, 1)
        add_norms(self.shared)
        for name in FAMILIES:  # these are computed
            tokens = cast(nn.Module, self.shared.tokens[name])
            del tokens.group_embedding
            tokens.merge = _Bias(dim)
        del self.shared.position_embedding, self.shared.modality_embedding
        del self.shared.classifier, self.shared.modality_head
        self.group = nn.ModuleDict({name: nn.Linear(DESCRIPTOR, joint_dim) for name in FAMILIES})
        self.slots = nn.ModuleDict({name: nn.Linear(DESCRIPTOR, SLOTS) for name in FAMILIES})
        bound = 1 / math.sqrt(joint_dim)
        self.merge = nn.ParameterDict(
            {name: nn.Parameter(torch.empty(SLOTS, dim, joint_dim).uniform_(-bound, bound))
             for name in FAMILIES}
        )  # fmt: skip
        self.sensor = nn.ModuleDict({name: nn.Linear(DESCRIPTOR, dim) for name in FAMILIES})
        self.time = nn.ModuleDict({name: nn.Linear(2 * TIME_OCTAVES, dim) for name in FAMILIES})
        with torch.no_grad():
            for table in (self.group, self.sensor, self.time):
                for layer in table.values():
                    cast(nn.Linear, layer).weight.mul_(0.1)
            for layer in self.slots.values():  # groups begin in different parts
                cast(nn.Linear, layer).weight.mul_(4)

    def weights_for(self, specs: Sequence[ModalitySpec], steps: int, step_s: float) -> dict[str, Tensor]:
        """Parameters and buffers of a teacher of these sensors and S = `steps`, without those of `HEADS`.

        Gradients flow back to the shared weights.
        """
        shared = dict(self.shared.named_parameters()) | dict(self.shared.named_buffers())
        members = {name: [spec for spec in specs if family_of(spec).name == name] for name in FAMILIES}
        weights: dict[str, Tensor] = {}
        for name, tensor in shared.items():
            parts = name.split(".")
            family = next((part for part in parts[:2] if part in FAMILIES), None)
            if family is None:
                weights[name] = tensor
                continue
            for spec in members[family]:
                own = ".".join(spec.name if part == family else part for part in parts)
                if name.endswith("convolutions.layers.0.convolution.weight"):
                    weights[own] = tensor[:, first_inputs(spec)]
                elif name.endswith("lost_group") and not spec.lost_joints:
                    continue
                else:
                    weights[own] = tensor
        time = describe_steps(steps, step_s).to(self.merge[BODY.name])
        for spec in specs:
            family, name = family_of(spec).name, spec.name
            described = describe_groups(spec).to(time)
            share = self.slots[family](described).softmax(1)  # (G, slots)
            merge = torch.einsum("gk,kdj->dgj", share, self.merge[family]) / math.sqrt(spec.groups)
            weights[f"tokens.{name}.group_embedding"] = self.group[family](described)
            weights[f"tokens.{name}.merge.weight"] = merge.flatten(1)
            weights[f"position_embedding.{name}"] = self.time[family](time)
            weights[f"modality_embedding.{name}"] = self.sensor[family](described.mean(0))
        return weights

    def load_into(self, teacher: Teacher, window: WindowSpec) -> None:
        """Give a teacher the weights of its sensors; those of `HEADS` stay as they are."""
        weights = self.weights_for(teacher.specs, window.steps, window.step_s)
        teacher.load_state_dict(dict(teacher.state_dict()) | weights)


class _Bias(nn.Module):
    """The bias of a layer whose weight is computed."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(dim))
