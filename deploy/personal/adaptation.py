"""Adapts the features to a person without labels: an affine map, learnt in numpy.

The map's scale and shift are learnt by gradient descent on the information that the answers have about the windows:
each answer should be certain, and all of them together should not be the same one (SHOT, Liang, Hu and Feng, ICML
2020, arXiv 2002.08546). As in Tent (Wang et al., ICLR 2021, arXiv 2006.10726), only an affine map at the last
normalisation is learnt, so that nothing has to be propagated back through the network and two vectors are the whole
result.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.metrics.calibration import softmax
from edgehar.package.personal import Adaptation
from edgehar.signals.clip import Floats

STEPS = 60
"""Updates of Adam (arXiv 1412.6980), each on all windows."""
RATE = 0.005
"""Size of an update, in standard deviations of a feature for the shift; larger ones cost more right answers."""
DIVERSITY = 1.0
"""Weight of the entropy of the mean answer."""
MOMENTS = 0.9, 0.99
SMALLEST = 1e-9


class Guard(NamedTuple):
    """What an adaptation does to answers it was not learnt from.

    Attributes:
        agreement_before: share of held-back windows that have the same answer when steps are lost, over all draws.
        agreement: the same after the adaptation.
        answers_before: number of different answers.
        answers: the same after the adaptation.
        examples_before: number of labelled examples that are right.
        examples: the same after the adaptation.
    """

    agreement_before: float
    agreement: float
    answers_before: int
    answers: int
    examples_before: int
    examples: int

    @property
    def reason(self) -> str:
        """Why the adaptation is refused, or an empty text."""
        if self.agreement_before < LEAST_AGREEMENT:
            return (
                f"{self.agreement_before:.1%} of the held-back answers stay the same when steps are lost; expected "
                f"{LEAST_AGREEMENT:.0%} or more, as there is little to learn from unsure answers"
            )
        if self.agreement <= self.agreement_before:
            return (
                f"{self.agreement:.1%} of the held-back answers stay the same when steps are lost, "
                f"{self.agreement_before:.1%} before; expected more"
                + ("; all of them did, so there is nothing to gain" if self.agreement_before == 1 else "")
            )
        if self.answers < LEAST_ANSWERS * self.answers_before:
            return f"{self.answers} different held-back answers, {self.answers_before} before"
        if self.examples < self.examples_before:
            return f"{self.examples} labelled recordings right, {self.examples_before} before"
        return ""


LEAST_AGREEMENT = 0.95
"""Smallest agreement before the adaptation: below, its gradients follow answers of which many are wrong."""
LEAST_ANSWERS = 0.8
"""Smallest share of the different answers that must remain."""


def learn_map(features: Floats, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Scale and shift (F,) of the features of a person's windows.

    Args:
        features: (N, F).
        weight: (K, F) of the classifier.
        bias: (K,) of the classifier.
    """
    spread = features.std(0) + 1e-6
    scale, shift = np.ones_like(spread), np.zeros_like(spread)
    first, second = np.zeros((2, 2, len(spread)))
    for update in range(1, STEPS + 1):
        answers = softmax((features * scale + shift) @ weight.T + bias)  # (N, K)
        surprise = np.log(answers + SMALLEST)
        mean = np.log(answers.mean(0) + SMALLEST) * DIVERSITY
        # Derivative of (entropy of each answer - entropy of the mean answer) by the logits.
        inner = mean - surprise
        slope = answers * (inner - (answers * inner).sum(1, keepdims=True)) / len(features)
        slope = slope @ weight  # (N, F)
        gradient = np.stack([(slope * features).sum(0), slope.sum(0)])
        first = MOMENTS[0] * first + (1 - MOMENTS[0]) * gradient
        second = MOMENTS[1] * second + (1 - MOMENTS[1]) * gradient**2
        change = first / (1 - MOMENTS[0] ** update) / (np.sqrt(second / (1 - MOMENTS[1] ** update)) + SMALLEST)
        scale, shift = scale - RATE * change[0], shift - RATE * spread * change[1]
    return scale.astype(np.float32), shift.astype(np.float32)


def _answers(features: Floats, weight: Floats, bias: Floats, learnt: tuple[Floats, Floats] | None) -> NDArray[np.intp]:
    """Index of the label (...) of features (..., F), with a learnt map or without."""
    adapted = features if learnt is None else features * learnt[0] + learnt[1]
    return (adapted @ weight.T + bias).argmax(-1)


def check(
    features: Floats, faulty: Floats, examples: Floats, truth: NDArray[np.int64], weight: Floats, bias: Floats
) -> Guard:
    """Learn from each half of the windows and compare the answers of the other half.

    Args:
        features: (N, F) of the person's windows, in the order in which they were recorded.
        faulty: (N, D, F) of the same windows in D draws of lost steps.
        examples: (E, F) labelled examples.
        truth: (E,) index of their labels.
        weight: (K, F) of the classifier.
        bias: (K,) of the classifier.
    """
    half = len(features) // 2
    halves = slice(0, half), slice(half, None)
    agreed, answers, right = np.zeros(2), [set[int](), set[int]()], np.zeros(2)
    for learnt_from, held_back in (halves, halves[::-1]):
        learnt = learn_map(features[learnt_from], weight, bias)
        for column, applied in enumerate((None, learnt)):
            found = _answers(features[held_back], weight, bias, applied)
            agreed[column] += (found[:, None] == _answers(faulty[held_back], weight, bias, applied)).mean(1).sum()
            answers[column] |= set(found.tolist())
            right[column] += (_answers(examples, weight, bias, applied) == truth).sum() if len(examples) else 0
    agreement = agreed / len(features)
    return Guard(
        float(agreement[0]), float(agreement[1]), len(answers[0]), len(answers[1]), int(right[0]), int(right[1])
    )


def adaptation_of(features: Floats, weight: Floats, bias: Floats, recordings: int) -> Adaptation:
    """The adaptation learnt from all windows (N, F) of a person."""
    return Adaptation(recordings, *learn_map(features, weight, bias))
