"""The classifier of a package with the examples of a person: weights of new activities, moved weights of known ones.

A new activity gets a row of weights in the direction of the mean of its examples ("imprinted weights", Qi, Brown and
Lowe, CVPR 2018, arXiv 1712.07136), scaled so that its logits compare with those of the trained activities, and the bias
with which it has their mean logit where no activity is more likely than another. A known activity moves towards its
examples the more, the more there are.
"""

from collections import defaultdict

import numpy as np

from edgehar.package.personal import Personal
from edgehar.signals.clip import Floats

STRENGTH = 0.7
"""Length of a new activity's weights, relative to the mean length of the trained ones."""
OFFSET = 0.0
"""Added to the bias of a new activity."""
TRUST = 4.0
"""Number of examples of a known activity with which its weights move half of the way."""


def centre_of(weight: Floats, bias: Floats) -> Floats:
    """The shortest features (F,) for which all logits are equal, as nearly as possible."""
    return -np.linalg.pinv(weight - weight.mean(0)) @ (bias - bias.mean())


def personal_classifier(
    weight: Floats, bias: Floats, labels: tuple[str, ...], personal: Personal
) -> tuple[Floats, Floats]:
    """Weights (K', F) and biases (K',) of the package's activities and the new ones.

    Args:
        weight: (K, F) of the package.
        bias: (K,) of the package.
        labels: its K labels.
        personal: what was learnt.
    """
    grouped: dict[str, list[Floats]] = defaultdict(list)
    for one in personal.examples:
        grouped[one.label].append(one.features)
    centre, mean = centre_of(weight, bias), weight.mean(0)
    length = float(np.linalg.norm(weight - mean, axis=1).mean())
    level = float((weight @ centre + bias).mean())
    rows, biases = [*weight], [*bias]
    for label, features in grouped.items():
        offset = np.mean(features, 0) - centre
        direction = offset / max(float(np.linalg.norm(offset)), 1e-6)
        row = mean + STRENGTH * length * direction
        if label in labels:
            index = labels.index(label)
            share = len(features) / (len(features) + TRUST)
            rows[index] = (1 - share) * weight[index] + share * row
            biases[index] = bias[index] - (rows[index] - weight[index]) @ centre
        else:
            rows.append(row)
            biases.append(level - row @ centre + OFFSET)
    moved, shifted = np.asarray(rows, np.float32), np.asarray(biases, np.float32)
    if personal.adaptation is not None:
        learnt = personal.adaptation
        moved, shifted = moved * learnt.scale, shifted + moved @ learnt.shift
    return moved, shifted
