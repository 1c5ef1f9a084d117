"""Random subsets of the sensors of a batch, so that the weights serve users who have fewer of them."""

from dataclasses import replace

import torch
from torch import Tensor

from edgehar.signals.kinds import kinds_of
from edgehar.signals.modality import ModalitySpec

FEWER_SENSORS = 0.5
"""Probability that a batch has some of its sensors only, any number of them."""
ONE_GROUP = 0.3
"""Probability that a worn sensor of several groups keeps one of them, as an accelerometer without a gyroscope."""


def _one_group(spec: ModalitySpec, features: Tensor, generator: torch.Generator) -> tuple[ModalitySpec, Tensor]:
    """One triaxial group of a sensor."""
    group = int(torch.randint(spec.groups, (1,), generator=generator))
    site = (spec.site[group % len(spec.site)],) if spec.site else ()
    columns = spec.columns[group * spec.group : (group + 1) * spec.group]
    only = replace(spec, channels=spec.group, columns=columns, kind=(kinds_of(spec)[group],), site=site)
    return only, features[:, :, :, group : group + 1]


def some_sensors(
    specs: tuple[ModalitySpec, ...],
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    generator: torch.Generator,
) -> tuple[tuple[ModalitySpec, ...], dict[str, Tensor], dict[str, Tensor]]:
    """A random choice of the sensors of a batch, and of the groups of worn ones; all windows have the same.

    Args:
        specs: the sensors of the data set.
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S) bool.
        generator: source of every random number (CPU).
    """
    chosen = list(specs)
    if len(specs) > 1 and torch.rand(1, generator=generator) < FEWER_SENSORS:
        count = int(torch.randint(1, len(specs), (1,), generator=generator))
        chosen = [specs[index] for index in sorted(torch.randperm(len(specs), generator=generator)[:count].tolist())]
    kept: list[ModalitySpec] = []
    values: dict[str, Tensor] = {}
    for spec in chosen:
        tokens = features[spec.name]
        if not spec.is_skeleton and spec.groups > 1 and torch.rand(1, generator=generator) < ONE_GROUP:
            spec, tokens = _one_group(spec, tokens, generator)
        kept.append(spec)
        values[spec.name] = tokens
    return tuple(kept), values, {spec.name: valid[spec.name] for spec in kept}
