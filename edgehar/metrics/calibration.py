"""Temperature scaling, calibration error and the rejection threshold.

The functions take arrays; a package stores a `TemperatureScaling`.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Floats

BINS = 15
"""Bins of the expected calibration error, as in arXiv 1706.04599."""
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
SEARCH_STEPS = 60
"""Golden-section steps; each keeps 0.618 of the interval, sixty leave less than 1e-11 of it."""

Numbers = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class TemperatureScaling:
    """Temperature scaling (Guo et al., 2017) fitted on out-of-fold windows, and its calibration on them.

    Attributes:
        temperature: divisor of the logits.
        threshold: calibrated top probability below which the prediction is "unknown", or None.
        coverage: requested share of the windows that reach the threshold; None without a threshold.
        windows: number of windows N used for the fit.
        subjects: subjects of these windows.
        ece_before: expected calibration error (15 bins) of the raw probabilities.
        ece_after: the same of the calibrated probabilities.
        nll_before: mean negative log-likelihood of the raw probabilities, in nats.
        nll_after: the same of the calibrated probabilities.
    """

    temperature: float
    threshold: float | None
    coverage: float | None
    windows: int
    subjects: tuple[str, ...]
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float

    def __post_init__(self) -> None:
        """Raise DataError for values that no fit can give."""
        usable = LOWEST_TEMPERATURE <= self.temperature <= HIGHEST_TEMPERATURE
        _require(usable, f"temperature {self.temperature}", f"{LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}")
        _require((self.threshold is None) == (self.coverage is None), "one of threshold and coverage", "both or none")
        for name in ("threshold", "coverage"):
            share = getattr(self, name)
            _require(share is None or 0 < share <= 1, f"{name} {share}", "above 0 and up to 1")
        names = self.subjects
        _require(len(names) == len(set(names)) > 0 and all(names), f"subjects {names}", "unique names")
        _require(self.windows >= max(2, len(names)), f"{self.windows} windows", "two or more, one of each subject")
        for name in ("ece_before", "ece_after"):
            _require(0 <= getattr(self, name) <= 1, f"{name} {getattr(self, name)}", "0 to 1")
        for name in ("nll_before", "nll_after"):
            _require(0 <= getattr(self, name) < math.inf, f"{name} {getattr(self, name)}", "a number of 0 or more")

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        return asdict(self) | {"subjects": list(self.subjects)}

    @staticmethod
    def from_json(entry: Any) -> "TemperatureScaling":
        """Inverse of `to_json`; raises DataError for a missing or unknown key, a wrong type or an invalid value."""
        _require(isinstance(entry, dict), "calibration", "a JSON object")
        given = cast("dict[str, Any]", entry).copy()
        names = [field.name for field in fields(TemperatureScaling)]
        _require(set(given) == set(names), f"calibration with {sorted(map(str, given))}", f"the keys {sorted(names)}")
        _require(isinstance(given["subjects"], list | tuple), "calibration: subjects", "a list")
        subjects = tuple(cast("list[str]", given["subjects"]))
        _require(all(type(name) is str for name in subjects), "calibration: subjects", "texts")
        _require(type(given["windows"]) is int, "calibration: windows", "a whole number")
        optional = [name for name in ("threshold", "coverage") if given[name] is None]
        for name in set(names) - {"subjects", "windows", *optional}:
            _require(type(given[name]) in (int, float), f"calibration: {name}", "a number")
            try:
                given[name] = float(given[name])
            except OverflowError:
                raise DataError(f"calibration: {name} is too large; expected a number; calibrate again") from None
        given["subjects"] = subjects
        return TemperatureScaling(**given)


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise DataError(f"{found}; expected {expected}; calibrate again")


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Softmax along the last axis of logits divided by a temperature."""
    is_row = logits.ndim == 1  # without an axis a reduction is faster; the numbers are the same
    largest = logits.item(logits.argmax()) if is_row else np.maximum.reduce(logits, axis=-1, keepdims=True)
    shifted = logits - largest
    if temperature != 1:
        shifted /= temperature
    np.exp(shifted, out=shifted)
    shifted /= np.add.reduce(shifted) if is_row else np.add.reduce(shifted, axis=-1, keepdims=True)
    probabilities: Floats = shifted.astype(np.float32, copy=False)
    return probabilities


def check_logits(logits: Numbers, label: NDArray[np.integer[Any]]) -> None:
    """Raise DataError unless there are N >= 1 rows of K >= 2 finite logits and N labels among 0..K-1."""
    if logits.ndim != 2 or logits.shape[1] < 2 or label.shape != logits.shape[:1] or not len(logits):
        raise DataError(
            f"logits {logits.shape}, labels {label.shape}; expected (N, K) and (N,), with two or more classes and at "
            "least one window"
        )
    if not np.isfinite(logits).all():
        raise DataError("logits that are not finite; expected finite numbers; train or export the model again")
    if label.min() < 0 or label.max() >= logits.shape[1]:
        raise DataError(
            f"labels {label.min()} to {label.max()}; expected 0 to {logits.shape[1] - 1}; give labelled windows only"
        )


def negative_log_likelihood(logits: Numbers, label: NDArray[np.integer[Any]], temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the true class, in nats.

    Args:
        logits: (N, K).
        label: (N,) true classes.
        temperature: divisor of the logits.

    Raises DataError as `check_logits`.
    """
    check_logits(logits, label)
    exact = np.asarray(logits, np.float64)
    scaled = (exact - exact.max(axis=1, keepdims=True)) / temperature  # (N, K), the largest is 0
    return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(label)), label]).mean())


def fit_temperature(logits: Numbers, label: NDArray[np.integer[Any]]) -> float:
    """The temperature of least negative log-likelihood (arXiv 1706.04599, section 4.2), between 0.05 and 20.

    The negative log-likelihood is convex in 1 / T; a golden-section search over log T finds its minimum. The result is
    a bound if the minimum is beyond it (all windows correct, or uninformative logits), and 1 if no temperature is
    better than 1.

    Args:
        logits: (N, K), of windows that were not used in training.
        label: (N,) true classes.

    Raises DataError as `check_logits`.
    """
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    ratio = (math.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits, label, math.exp(log_temperature))

    left, right = high - ratio * (high - low), low + ratio * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(SEARCH_STEPS):
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - ratio * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + ratio * (high - low)
            loss_right = loss(right)
    if loss(0.0) <= min(loss_left, loss_right):
        return 1.0
    return min(max(math.exp((low + high) / 2), LOWEST_TEMPERATURE), HIGHEST_TEMPERATURE)


def expected_calibration_error(probabilities: Numbers, label: NDArray[np.integer[Any]], bins: int = BINS) -> float:
    """Expected calibration error: mean difference of confidence and accuracy by bin (arXiv 1706.04599, equation 3).

    Args:
        probabilities: (N, K).
        label: (N,) true classes.
        bins: number of bins of equal width, closed on the right.

    Raises DataError as `check_logits`, or for no bins.
    """
    check_logits(probabilities, label)
    if bins < 1:
        raise DataError(f"{bins} bins; expected one or more")
    confidence: NDArray[np.float64] = np.asarray(probabilities, np.float64).max(axis=1)
    correct = probabilities.argmax(axis=1) == label
    edges: NDArray[np.float64] = np.linspace(0, 1, bins + 1)[1:-1]
    index = np.searchsorted(edges, confidence, "left")
    return float(np.abs(np.bincount(index, correct - confidence, minlength=bins)).sum() / len(label))


def threshold_for_coverage(score: Numbers, coverage: float) -> float:
    """The highest score that at least this share of the scores reaches.

    Args:
        score: (N,) scores; with ties, more than the share may reach the threshold.
        coverage: share, above 0 and up to 1.

    Raises DataError for no scores, scores that are not finite or a share out of range.
    """
    if score.ndim != 1 or not len(score) or not np.isfinite(score).all() or not 0 < coverage <= 1:
        raise DataError(
            f"coverage {coverage} of scores {score.shape}; expected a share above 0 and up to 1 of one or more finite "
            "scores; choose another coverage"
        )
    # The product may exceed a whole number by rounding: 0.07 * 100 is 7.000000000000001.
    needed = max(math.ceil(coverage * len(score) - 1e-9), 1)
    return float(np.sort(score)[-needed])


def auroc(negative: Numbers, positive: Numbers) -> float:
    """Area under the ROC curve: probability that a positive score exceeds a negative one, ties count half.

    Args:
        negative: (N,) scores of the negative class, expected to be low.
        positive: (M,) scores of the positive class, expected to be high.

    Raises DataError if one is empty or not finite.
    """
    if not len(negative) or not len(positive) or not (np.isfinite(negative).all() and np.isfinite(positive).all()):
        raise DataError(
            f"{len(negative)} negative and {len(positive)} positive scores; expected at least one finite number of "
            "each; choose other subjects or activities"
        )
    ordered = np.sort(negative)
    below, up_to = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + up_to).mean() / (2 * len(negative)))
