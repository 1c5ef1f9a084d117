"""Differences between the outputs of two platforms, and their limits."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.packaging.parity import PARITY_TOLERANCE
from tools.aarch64.platforms import PlatformOutput

Floats = NDArray[np.float32]

LEAST_SAME = {"fp32": 1.0}
LEAST_SAME_QUANTISED = 0.98
HALF_SHARE = 2.0**-7
"""Limit as a share of the largest value: 16 roundings of half precision (11 bits). onnxruntime 1.31 computes in half
precision on aarch64; on x86-64, and with 1.23 on aarch64, it stores half precision and computes in single."""
LIMITS = (
    f"fp32: differences of at most {PARITY_TOLERANCE:g} and equal predictions. int8, int8-dynamic: not further from "
    "the reference than the reference's values are from its fp32 values. fp16, which one platform may compute in half "
    f"precision and the other in single: at most {HALF_SHARE:.2%} of the largest value. In all but fp32, at least "
    f"{LEAST_SAME_QUANTISED:.0%} of the predictions are equal."
)


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        side: name of the platform.
        reference: name of the platform it is compared with.
        precision: of both.
        what: "logits" of windows, "stream" (probabilities) or "evaluate" (scores of the sample's windows).
        answers: number of predictions.
        largest: largest absolute difference.
        limit: limit of `largest`.
        same: share of predictions with the same most probable class.
        identical: whether both are equal bit for bit.
        passed: whether the differences are within the limits.
    """

    side: str
    reference: str
    precision: str
    what: str
    answers: int
    largest: float
    limit: float
    same: float
    identical: bool
    passed: bool


def judged(
    names: tuple[str, str], precision: str, what: str, ours: Floats, theirs: Floats, fp32: Floats, same: Floats
) -> Row:
    """Compare values; `fp32` are the reference's values, `same` (0 or 1) whether each prediction is equal."""
    fits = ours.shape == theirs.shape and len(ours) > 0
    largest = float(np.abs(ours - theirs).max()) if fits else float("inf")
    match precision:
        case "fp32":
            limit = PARITY_TOLERANCE
        case "fp16":
            limit = HALF_SHARE * float(np.abs(theirs).max())
        case _:
            limit = max(PARITY_TOLERANCE, float(np.abs(theirs - fp32).max()))
    share = float(same.mean()) if fits else 0.0
    passed = fits and largest <= limit and share >= LEAST_SAME.get(precision, LEAST_SAME_QUANTISED)
    identical = fits and bool((ours == theirs).all())
    return Row(*names, precision, what, len(ours), largest, limit, share, identical, passed)


def scores(evaluation: dict[str, Any]) -> tuple[Floats, list[str]]:
    """Score and predicted label of every window of an evaluation."""
    rows = evaluation["predictions"]
    return np.asarray([row["score"] for row in rows], np.float32), [row["predicted"] for row in rows]


def compare(ours: PlatformOutput, theirs: PlatformOutput) -> list[Row]:
    """One row per precision and kind of output."""
    names, rows = (ours.platform.name, theirs.platform.name), list[Row]()
    for key, array in ours.arrays.items():
        precision, _, what = key.partition("/")
        other, fp32 = theirs.arrays[key], theirs.arrays[f"fp32/{what}"]
        same_shape = array.shape == other.shape
        same = (array.argmax(1) == other.argmax(1)).astype(np.float32) if same_shape else np.zeros(1, np.float32)
        rows.append(judged(names, precision, what, array, other, fp32, same))
    for precision, evaluation in ours.evaluations.items():
        (array, labels), (other, others) = scores(evaluation), scores(theirs.evaluations[precision])
        same = np.asarray([a == b for a, b in zip(labels, others, strict=False)], np.float32)
        rows.append(judged(names, precision, "evaluate", array, other, scores(theirs.evaluations["fp32"])[0], same))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a text table."""
    lines = [
        f"{'platform':<26}{'compared with':<26}{'precision':<14}{'output':<10}{'count':>7}{'largest':>10}{'limit':>10}"
        f"{'same':>9}  {'bits':<10}result"
    ]
    for row in rows:
        bits = "equal" if row.identical else "differ"
        lines.append(
            f"{row.side:<26}{row.reference:<26}{row.precision:<14}{row.what:<10}{row.answers:>7}{row.largest:>10.2g}"
            f"{row.limit:>10.2g}{row.same:>9.2%}  {bits:<10}{'ok' if row.passed else 'FAILED'}"
        )
    return "\n".join(lines)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as entries of a result file."""
    return [asdict(row) for row in rows]
