"""Ridge classifier whose strength is chosen by leave-one-out, for more features than windows.

The result is that of scikit-learn's RidgeClassifierCV; memory and time are bounded. The classifier is found in its dual
form (Saunders, Gammerman and Vovk 1998): for N windows and P features one N x N matrix in double precision, 2 N^2 P
operations to compute it and about 10 N^3 to decompose it. The features stay in single precision.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows, stratified

STRENGTHS = np.logspace(-3, 3, 10)
"""The strengths to choose from, those of the authors of ROCKET."""
BLOCK = 4096
"""Features per matrix product; sums over more would lose digits in single precision. Rows of a block of vectors."""


def drawn_rows(windows: Windows, most: int, seed: int) -> NDArray[np.intp]:
    """Rows of all windows or, of more than `most`, of about that many drawn by activity and person.

    Args:
        windows: labelled windows.
        most: number to draw; every person's share of every activity is kept, at least one window of each.
        seed: of the draw.
    """
    if len(windows) <= most:
        return np.arange(len(windows))
    _, person = np.unique(windows.subject, return_inverse=True)
    return stratified(windows.label * (person.max() + 1) + person, most / len(windows), seed)


@dataclass(frozen=True)
class RidgeClassifier:
    """A fitted classifier.

    Attributes:
        mean: (P,) of the features.
        weights: (P, K); 0 for a class without a training window.
        intercept: (K,); -1 for such a class, the value of "no".
        strength: the chosen one of STRENGTHS.
        parameters: numbers fitted: weights and intercepts of the classes with training windows.
    """

    mean: Floats
    weights: Floats
    intercept: Floats
    strength: float
    parameters: int

    def decide(self, features: Floats) -> Floats:
        """Decision values (N, K) of features (N, P): about 1 for the predicted class and -1 for the others."""
        return (features @ self.weights + (self.intercept - self.mean @ self.weights)).astype(np.float32, copy=False)


def _centred_gram(features: Floats, mean: Floats) -> NDArray[np.float64]:
    """Products (N, N) of all pairs of centred rows."""
    gram = np.zeros((len(features), len(features)))
    for start in range(0, features.shape[1], BLOCK):
        block = features[:, start : start + BLOCK] - mean[start : start + BLOCK]
        gram += block @ block.T
    return gram


def fit_ridge(features: Floats, label: NDArray[np.int64], classes: int) -> RidgeClassifier:
    """Fit one regression per class to targets of 1 and -1.

    The strength has the smallest mean squared leave-one-out error over all classes, by the closed form of Rifkin and
    Lippert 2007 (Notes on Regularized Least Squares), with an intercept that is not shrunk.

    Args:
        features: (N, P) float32.
        label: (N,) classes.
        classes: number of classes K.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    targets = np.where(label[:, None] == np.arange(classes), 1.0, -1.0)  # (N, K)
    intercept = targets.mean(axis=0)
    # This driver needs no memory but for the matrix, which it overwrites, and the vectors.
    eigenvalues, vectors = eigh(_centred_gram(features, mean).T, overwrite_a=True, check_finite=False, driver="evr")
    eigenvalues = eigenvalues.clip(min=0)
    # The intercept takes the direction of equal entries, in which centred features have no extent.
    eigenvalues[np.abs(vectors.sum(axis=0)).argmax()] = np.inf
    projected = vectors.T @ (targets - intercept)  # (N, K)

    def leave_one_out(strength: float) -> float:
        inverse = 1 / (eigenvalues + strength)
        squared = 0.0
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            residual = (block @ (inverse[:, None] * projected)) / (block**2 @ inverse)[:, None]
            squared += float((residual**2).sum())
        return squared

    strength = min(STRENGTHS.tolist(), key=leave_one_out)
    dual = (vectors @ (projected / (eigenvalues + strength)[:, None])).astype(np.float32)  # (N, K), sums to 0 over N
    weights = np.empty((features.shape[1], classes), np.float32)
    for start in range(0, features.shape[1], BLOCK):
        block = features[:, start : start + BLOCK] - mean[start : start + BLOCK]
        weights[start : start + BLOCK] = block.T @ dual
    present = len(np.unique(label))
    return RidgeClassifier(mean, weights, intercept.astype(np.float32), strength, present * (len(mean) + 1))
