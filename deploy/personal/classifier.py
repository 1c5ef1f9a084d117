"""The classifier of a package with the examples of a person: weights of new activities, moved weights of known ones.

A new activity gets a row of weights in the direction of the mean of its examples from the centre of all activities
("imprinted weights", Qi, Brown and Lowe, CVPR 2018, arXiv 1712.07136), a share of the trained rows in length, and the
bias with which its logit is their mean at the centre. A known activity moves towards its examples the more, the more
there are.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from edgehar.package.personal import Personal
from edgehar.signals.clip import Floats

STRENGTH = 0.85
"""Length of a new activity's weights, relative to the mean length of the trained ones."""
ROUGH_STRENGTH = 0.55
"""The same with a centre from synthetic windows: it is further from that of the activities, and all recordings are on
one side of it."""
TRUST = 4.0
"""Number of examples of a known activity with which its weights move half of the way."""


class Centre(NamedTuple):
    """Where no activity is more likely than another.

    Attributes:
        features: (F,).
        strength: length of a new activity's weights, relative to the mean length of the trained ones.
    """

    features: Floats
    strength: float


def personal_classifier(
    weight: Floats, bias: Floats, labels: tuple[str, ...], centre: Centre, personal: Personal
) -> tuple[Floats, Floats]:
    """Weights (K', F) and biases (K',) of the package's activities and the new ones.

    Args:
        weight: (K, F) of the package.
        bias: (K,) of the package.
        labels: its K labels.
        centre: of the features.
        personal: what was learnt.
    """
    grouped: dict[str, list[Floats]] = defaultdict(list)
    for one in personal.examples:
        grouped[one.label].append(one.features)
    mean = weight.mean(0)
    length = float(np.linalg.norm(weight - mean, axis=1).mean())
    level = float((weight @ centre.features + bias).mean())
    rows, biases = [*weight], [*bias]
    for label, features in grouped.items():
        offset = np.mean(features, 0) - centre.features
        row = mean + centre.strength * length * offset / max(float(np.linalg.norm(offset)), 1e-6)
        if label in labels:
            index = labels.index(label)
            share = len(features) / (len(features) + TRUST)
            rows[index] = (1 - share) * weight[index] + share * row
            biases[index] = bias[index] - (rows[index] - weight[index]) @ centre.features
        else:
            rows.append(row)
            biases.append(level - row @ centre.features)
    moved, shifted = np.asarray(rows, np.float32), np.asarray(biases, np.float32)
    if personal.adaptation is not None:
        learnt = personal.adaptation
        moved, shifted = moved * learnt.scale, (shifted + moved @ learnt.shift).astype(np.float32)
    return moved, shifted
